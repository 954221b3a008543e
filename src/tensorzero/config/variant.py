"""``[functions.<f>.variants.<v>]``: one data class for each type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tensorzero.config.timeouts import NO_TIMEOUTS, TimeoutsConfig
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.params import NO_PARAMS, ChatCompletionParams


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """``retries``: attempts after the first, and the cap of the delay between them (seconds)."""

    num_retries: int = 0
    max_delay_s: float = 10.0


@dataclass(frozen=True, slots=True)
class VariantTemplate:
    """A template of a variant under one name.

    ``key`` is the template engine's key. ``legacy`` marks ``user_template``, ``input_wrappers``
    and the like; ``has_schema`` says whether the function has a schema of the same name.
    """

    name: str
    key: str
    legacy: bool = False
    has_schema: bool = False

    @property
    def implicit(self) -> bool:
        """Legacy without schema: renders with the one variable ``<name>_text``."""
        return self.legacy and not self.has_schema

    @property
    def explicit(self) -> bool:
        """Accepts arguments: defined by ``templates.*``, or legacy with a schema."""
        return not self.implicit


@dataclass(frozen=True, slots=True)
class ChatCompletionConfig:
    """``type = "chat_completion"``; also the evaluator of best-of-n, the fuser of mixture-of-n,
    and (with ``chain_of_thought``) the deprecated chain-of-thought type.

    ``params.json_mode`` is the variant's own mode.
    """

    name: str
    model: str
    params: ChatCompletionParams = NO_PARAMS
    templates: Mapping[str, VariantTemplate] = field(default_factory=dict)
    retries: RetryConfig = RetryConfig()
    extra_body: tuple[ExtraBody, ...] = ()
    extra_headers: tuple[ExtraHeader, ...] = ()
    timeouts: TimeoutsConfig = NO_TIMEOUTS
    namespace: str | None = None
    weight: float | None = None
    type: Literal["chat_completion", "experimental_chain_of_thought"] = "chat_completion"


@dataclass(frozen=True, slots=True)
class BestOfNConfig:
    """``type = "experimental_best_of_n_sampling"``."""

    name: str
    candidates: tuple[str, ...]
    evaluator: ChatCompletionConfig
    timeouts: TimeoutsConfig = NO_TIMEOUTS
    namespace: str | None = None
    weight: float | None = None
    type: Literal["experimental_best_of_n_sampling"] = "experimental_best_of_n_sampling"


@dataclass(frozen=True, slots=True)
class MixtureOfNConfig:
    """``type = "experimental_mixture_of_n"``."""

    name: str
    candidates: tuple[str, ...]
    fuser: ChatCompletionConfig
    timeouts: TimeoutsConfig = NO_TIMEOUTS
    namespace: str | None = None
    weight: float | None = None
    type: Literal["experimental_mixture_of_n"] = "experimental_mixture_of_n"


@dataclass(frozen=True, slots=True)
class DiclConfig:
    """``type = "experimental_dynamic_in_context_learning"``.

    ``system_instructions`` is plain text; ``None`` = the built-in default.
    """

    name: str
    model: str
    embedding_model: str
    k: int
    max_distance: float | None = None
    system_instructions: str | None = None
    params: ChatCompletionParams = NO_PARAMS
    retries: RetryConfig = RetryConfig()
    extra_body: tuple[ExtraBody, ...] = ()
    extra_headers: tuple[ExtraHeader, ...] = ()
    timeouts: TimeoutsConfig = NO_TIMEOUTS
    namespace: str | None = None
    weight: float | None = None
    type: Literal["experimental_dynamic_in_context_learning"] = (
        "experimental_dynamic_in_context_learning"
    )


VariantConfig = ChatCompletionConfig | BestOfNConfig | MixtureOfNConfig | DiclConfig


def model_of(variant: VariantConfig) -> str:
    """The model that it calls itself: its own, its evaluator's or its fuser's."""
    if isinstance(variant, BestOfNConfig):
        return variant.evaluator.model
    return variant.fuser.model if isinstance(variant, MixtureOfNConfig) else variant.model


VariantTable = Mapping[str, Any]
"""A variant as a parsed table, before it is checked: config files and dynamic variants."""
