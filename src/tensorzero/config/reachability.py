"""Namespaces: a namespaced variant or model is reachable from its namespace only.

Rules: the contract's page on models, section 1; its operations page, section 11.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tensorzero.config.experimentation import Sampler, UniformExperimentation
from tensorzero.config.function import FunctionConfig
from tensorzero.config.model import ModelConfig
from tensorzero.config.reader import Faults
from tensorzero.config.variant import VariantConfig, model_of


def check_namespaces(
    functions: Mapping[str, FunctionConfig], models: Mapping[str, ModelConfig], faults: Faults
) -> None:
    """Every variant that sampling can reach may be used in the namespaces that reach it."""
    owned = {name: model.namespace for name, model in models.items() if model.namespace is not None}
    for function in functions.values():
        namespaced = any(variant.namespace is not None for variant in function.variants.values())
        if owned or namespaced:
            _check_function(function, owned, faults)


def _check_function(function: FunctionConfig, owned: Mapping[str, str], faults: Faults) -> None:
    for section, names in _reachable(function):
        place = "the base experimentation" if section is None else f"namespace `{section}`"
        for name in names:
            for part, kind, used, namespace in _restrictions(name, function.variants, owned, ()):
                if namespace == section:
                    continue
                through = "" if part == name else f" (through its candidate `{part}`)"
                what = f"has namespace `{namespace}`"
                if kind == "model":
                    what = f"uses model `{used}`, which has namespace `{namespace}`"
                elif part != name:
                    what = f"uses variant `{part}`, which has namespace `{namespace}`"
                    through = ""
                faults.error(
                    f"functions.{function.name}.variants.{name}: variant `{name}` of function "
                    f"`{function.name}` {what}{through}, but can be reached from {place}; list it "
                    f"only in `functions.{function.name}.experimentation.namespaces.{namespace}`",
                    f"functions.{function.name}.variants.{name}",
                )


def _reachable(function: FunctionConfig) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """Which variants each section may draw; ``None`` is the base."""
    section = function.experimentation
    everything = tuple(function.variants)
    if section is None:
        yield None, everything
        return
    yield None, _named(section.base, everything)
    for name, sampler in section.namespaces.items():
        yield name, _named(sampler, everything)


def _named(sampler: Sampler, everything: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(sampler, UniformExperimentation):
        return everything
    candidates = [entry if isinstance(entry, str) else entry[0] for entry in sampler.candidates]
    return tuple(dict.fromkeys((*candidates, *sampler.fallbacks))) or everything


def _restrictions(
    name: str,
    variants: Mapping[str, VariantConfig],
    owned: Mapping[str, str],
    above: tuple[str, ...],
) -> Iterator[tuple[str, str, str, str]]:
    """Namespaces that a variant depends on: (variant, ``variant`` or ``model``, name, namespace)."""
    variant = variants.get(name)
    if variant is None or name in above:
        return
    if variant.namespace is not None:
        yield name, "variant", name, variant.namespace
    model = model_of(variant)
    if model in owned:
        yield name, "model", model, owned[model]
    for candidate in dict.fromkeys(getattr(variant, "candidates", ())):
        yield from _restrictions(candidate, variants, owned, (*above, name))
