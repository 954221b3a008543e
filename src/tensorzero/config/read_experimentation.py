"""Reads ``[functions.<f>.experimentation]`` and the legacy weights of variants.

Rules: the contract's operations page, section 11.2; its variants page, section 9.2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from tensorzero.config.experimentation import (
    AdaptiveExperimentation,
    ExperimentationConfig,
    Sampler,
    StaticExperimentation,
    UniformExperimentation,
)
from tensorzero.config.metric import MetricConfig
from tensorzero.config.read_parts import check_namespace
from tensorzero.config.reader import Table
from tensorzero.config.variant import VariantConfig

TYPES = ("static", "adaptive", "uniform", "static_weights", "track_and_stop")
SUCCESSORS = {
    "uniform": 'leave the section out, or use `type = "static"`',
    "static_weights": 'use `type = "static"`',
    "track_and_stop": 'use `type = "adaptive"`',
}
ADAPTIVE_TYPES = ("adaptive", "track_and_stop")
Number = TypeVar("Number", int, float)


def read_experimentation(
    function: Table,
    declared: Collection[str],
    variants: Mapping[str, VariantConfig],
    metrics: Mapping[str, MetricConfig],
) -> ExperimentationConfig | None:
    """The section, or what legacy weights mean; ``None`` for neither.

    ``declared`` are the names of all variants, those that could not be read included.
    """
    weights = {
        name: variant.weight for name, variant in variants.items() if variant.weight is not None
    }
    section = function.table("experimentation")
    if section is None:
        return ExperimentationConfig(from_weights(variants, weights)) if weights else None
    if weights:
        function.error(
            "Cannot mix `experimentation` configuration with individual variant `weight` values.",
            "experimentation",
        )
    reader = _SamplerReader(declared, metrics)
    namespaces: dict[str, Sampler] = {}
    for name, inner in section.tables("namespaces").items():
        check_namespace(name, inner)
        namespaces[name] = reader.read(inner)
    return ExperimentationConfig(reader.read(section), namespaces)


def from_weights(variants: Collection[str], weights: Mapping[str, float]) -> Sampler:
    """Legacy weights: positive ones are candidates, variants without one are fallbacks."""
    candidates = tuple(
        (name, weights[name]) for name in sorted(weights, key=str.encode) if weights[name] > 0
    )
    fallbacks = tuple(sorted((n for n in variants if n not in weights), key=str.encode))
    return StaticExperimentation(candidates, fallbacks)


class _SamplerReader:
    """Reads the base section or that of a namespace."""

    def __init__(self, declared: Collection[str], metrics: Mapping[str, MetricConfig]) -> None:
        self.declared = declared
        self.metrics = metrics

    def read(self, table: Table) -> Sampler:
        kind = table.tag(TYPES)
        if kind is None:
            return UniformExperimentation()
        if kind in SUCCESSORS:
            table.faults.warn(
                f'Deprecation Warning: experimentation `type = "{kind}"` is deprecated, '
                f"{SUCCESSORS[kind]}"
            )
        if kind in ADAPTIVE_TYPES:
            return self._adaptive(kind, table)
        weights = self._weights(table)
        fallbacks = table.strings("fallback_variants") or ()
        table.finish(tolerant=True)
        self._check_names(table, tuple(weights), fallbacks)
        if not weights and not fallbacks:
            given = {"candidate_variants", "fallback_variants"} & set(table.value)
            if kind != "uniform" or given:
                table.error(
                    "at least one candidate or fallback variant is needed: set "
                    "`candidate_variants` or `fallback_variants`"
                )
            return UniformExperimentation()
        ordered = tuple((name, weights[name]) for name in sorted(weights, key=str.encode))
        return StaticExperimentation(ordered, fallbacks)

    def _check_names(
        self, table: Table, candidates: tuple[str, ...], fallbacks: tuple[str, ...]
    ) -> None:
        for key, names in (("candidate_variants", candidates), ("fallback_variants", fallbacks)):
            for name in dict.fromkeys(names):
                if name not in self.declared:
                    table.error(f"unknown variant `{name}`", key)
                if names.count(name) > 1:
                    table.error(f"variant `{name}` is listed twice", key)
        for name in dict.fromkeys(fallbacks):
            if name in candidates:
                table.error(f"variant `{name}` is a candidate too", "fallback_variants")

    def _weights(self, table: Table) -> dict[str, float]:
        """A list of names (weight 1 each), or a map from names to weights."""
        value = table.raw("candidate_variants")
        if isinstance(value, dict):
            inner = Table(value, table.at("candidate_variants"), table.faults)
            weights: dict[str, float] = {}
            for name in value:
                weight = inner.number(name)
                if weight is not None and weight < 0:
                    inner.error("the weight must be non-negative", name)
                weights[name] = weight or 0.0
            return weights
        if isinstance(value, list):
            names = table.strings("candidate_variants") or ()
            for name in dict.fromkeys(names):
                if names.count(name) > 1:
                    table.error(f"variant `{name}` is listed twice", "candidate_variants")
            return dict.fromkeys(names, 1.0)
        if value is not None:
            table.wrong("candidate_variants", "a sequence of names or a map of weights")
        return {}

    def _adaptive(self, kind: str, table: Table) -> AdaptiveExperimentation:
        if kind == "adaptive":
            table.choice("algorithm", ("track_and_stop",))
        metric = table.string("metric", required=True) or ""
        if metric and metric not in self.metrics:
            table.error(f"unknown metric `{metric}`, expected a key of `[metrics]`", "metric")
        candidates = table.strings("candidate_variants", required=True)
        if candidates == ():
            table.error("at least one candidate is needed", "candidate_variants")
        candidates = candidates or ()
        fallbacks = table.strings("fallback_variants") or ()
        self._check_names(table, candidates, fallbacks)
        minimum = _default(table.integer("min_samples_per_variant", low=1), 10)
        delta = _default(table.number("delta"), 0.05)
        if not 0 < delta < 1:
            table.error("expected a number above 0 and below 1", "delta")
        epsilon = _default(table.number("epsilon"), 0.0)
        if epsilon < 0:
            table.error("must not be negative", "epsilon")
        period = _default(table.integer("update_period_s", low=1), 300)
        share = _default(table.number("min_prob"), 0.0)
        if share < 0 or share * len(candidates) > 1:
            table.error("`min_prob` times the number of candidates must be from 0 to 1", "min_prob")
        maximum = _default(table.integer("max_samples_per_variant"), 10_000)
        if maximum < minimum:
            table.error(
                f"must be at least `min_samples_per_variant`, {minimum}", "max_samples_per_variant"
            )
        table.finish(tolerant=True)
        table.error(
            f'`type = "{kind}"` is not provided by this version yet; use `type = "static"`', "type"
        )
        return AdaptiveExperimentation(
            metric, candidates, fallbacks, minimum, delta, epsilon, period, share, maximum
        )


def _default(value: Number | None, default: Number) -> Number:
    return default if value is None else value
