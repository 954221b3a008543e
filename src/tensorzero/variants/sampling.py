"""Chooses a variant: sticky per episode, without shared state.

Procedure: the contract's variants page, section 9.
"""

from __future__ import annotations

from collections.abc import Mapping

from tensorzero.config.config import Config
from tensorzero.config.experimentation import Sampler, StaticExperimentation
from tensorzero.config.function import FunctionConfig
from tensorzero.types.errors import InvalidFunctionVariants
from tzcore.sampling import draw, pick_uniform, pick_weighted


def sampler_of(function: FunctionConfig, namespace: str | None) -> Sampler | None:
    """The section that counts: the namespace's own, else the base; ``None`` for uniform."""
    section = function.experimentation
    if section is None:
        return None
    if namespace is not None and namespace in section.namespaces:
        return section.namespaces[namespace]
    return section.base


def drawable_variants(config: Config) -> Mapping[str, tuple[str, ...]]:
    """For each function the variants that this version can run, in name order (UTF-8 bytes)."""
    return {
        function.name: tuple(
            name
            for name in sorted(function.variants, key=str.encode)
            if (function.name, name) not in config.unserved_variants
        )
        for function in config.functions.values()
    }


class VariantSampler:
    """Draws variants of one inference one after the other, each at most once."""

    def __init__(
        self,
        function: FunctionConfig,
        active: tuple[str, ...],
        episode_id: str,
        namespace: str | None,
    ) -> None:
        """``active``: names that may be drawn, in name order (UTF-8 bytes)."""
        self.function_name = function.name
        self.active = list(active)
        self.sampler = sampler_of(function, namespace)
        self._episode_id = episode_id
        self._u: float | None = None

    def next(self) -> str:
        """Draw and remove one; raises ``InvalidFunctionVariants`` when none is left."""
        if not self.active:
            raise self._exhausted()
        if len(self.active) == 1 and self.sampler is None:
            return self.active.pop()  # the draw could not say anything else
        if self._u is None:
            self._u = draw(self.function_name, bytes.fromhex(self._episode_id.replace("-", "")))
        name = self._pick(self._u)
        self.active.remove(name)
        return name

    def _pick(self, u: float) -> str:
        sampler = self.sampler
        if isinstance(sampler, StaticExperimentation):
            names = [name for name, _ in sampler.candidates if name in self.active]
            weights = tuple(weight for name, weight in sampler.candidates if name in self.active)
            index = pick_weighted(weights, u)
            if index >= 0:
                return names[index]
            for name in sampler.fallbacks:
                if name in self.active:
                    return name
            named = {name for name, _ in sampler.candidates} | set(sampler.fallbacks)
            rest = [name for name in self.active if not named or name in named]
            if not rest:
                raise self._exhausted()
            return rest[pick_uniform(len(rest), u)]
        return self.active[pick_uniform(len(self.active), u)]

    def _exhausted(self) -> InvalidFunctionVariants:
        return InvalidFunctionVariants(
            f"No valid variants to sample from for function `{self.function_name}` after "
            "filtering by allowed variants"
        )
