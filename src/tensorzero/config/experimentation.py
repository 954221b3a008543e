"""``[functions.<f>.experimentation]``: how a variant is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class StaticExperimentation:
    """Fixed weights. ``candidates`` are sorted by name (UTF-8 bytes), ``fallbacks`` in the
    order in which they are tried. Also the form of legacy per-variant weights."""

    candidates: tuple[tuple[str, float], ...]
    fallbacks: tuple[str, ...] = ()
    type: Literal["static"] = "static"


@dataclass(frozen=True, slots=True)
class UniformExperimentation:
    """Every variant of the function with equal chance."""

    type: Literal["uniform"] = "uniform"


@dataclass(frozen=True, slots=True)
class AdaptiveExperimentation:
    """``type = "adaptive"``: a bandit over ``candidates`` (config order)."""

    metric: str
    candidates: tuple[str, ...]
    fallbacks: tuple[str, ...] = ()
    min_samples_per_variant: int = 10
    delta: float = 0.05
    epsilon: float = 0.0
    update_period_s: int = 300
    min_prob: float = 0.0
    max_samples_per_variant: int = 10000
    type: Literal["adaptive"] = "adaptive"


Sampler = StaticExperimentation | UniformExperimentation | AdaptiveExperimentation


@dataclass(frozen=True, slots=True)
class ExperimentationConfig:
    """The base section and those of namespaces."""

    base: Sampler
    namespaces: Mapping[str, Sampler] = field(default_factory=dict)
