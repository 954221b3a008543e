"""Reads ``[functions.*]``, ``[tools.*]``, ``[metrics.*]`` and experimentation sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import orjson

from tensorzero.config.evaluation import EvaluationConfig, EvaluatorConfig
from tensorzero.config.experimentation import (
    ExperimentationConfig,
    Sampler,
    StaticExperimentation,
    UniformExperimentation,
)
from tensorzero.config.function import FunctionConfig
from tensorzero.config.metric import MetricConfig
from tensorzero.config.model import ModelConfig
from tensorzero.config.paths import LoadedFile
from tensorzero.config.read_parts import check_namespace
from tensorzero.config.read_variants import ROLES, VariantReader, check_candidates
from tensorzero.config.reader import Faults, Table
from tensorzero.config.variant import (
    BestOfNConfig,
    ChatCompletionConfig,
    MixtureOfNConfig,
    VariantConfig,
)
from tensorzero.types.schema import ANY_JSON, JSONSchema, SchemaError
from tensorzero.types.tools import FunctionTool, ToolChoice

METRIC_CHARACTERS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-")
EVALUATOR_TYPES = ("exact_match", "regex", "tool_use", "llm_judge", "typescript")


def read_schema(value: Any, faults: Faults) -> JSONSchema | None:
    """A schema file, parsed and compiled."""
    if not isinstance(value, LoadedFile):
        return None
    try:
        return JSONSchema(orjson.loads(value.content))
    except orjson.JSONDecodeError as error:
        faults.error(f"Failed to parse JSON Schema `{value}`: {error}")
    except SchemaError as error:
        faults.error(f"Failed to compile JSON Schema `{value}`: {error}")
    return None


def read_tools(root: Table) -> dict[str, FunctionTool]:
    out: dict[str, FunctionTool] = {}
    for key, table in root.tables("tools").items():
        if key.startswith("tensorzero::"):
            root.faults.error(f"Tool name cannot start with 'tensorzero::': {key}")
        description = table.string("description", required=True)
        parameters = table.raw("parameters")
        if parameters is None:
            root.faults.error(f"{table.path}: missing field `parameters`")
        schema = read_schema(parameters, root.faults)
        name = table.string("name") or key
        strict = table.boolean("strict") or False
        table.finish()
        out[key] = FunctionTool(key, name, description or "", schema or ANY_JSON, strict)
    return out


def read_metrics(root: Table) -> dict[str, MetricConfig]:
    out: dict[str, MetricConfig] = {}
    faults = root.faults
    for name, table in root.tables("metrics").items():
        if name.startswith("tensorzero::"):
            faults.error(f"Metric name cannot start with 'tensorzero::': {name}")
        elif name in ("comment", "demonstration"):
            faults.error(f"Metric name '{name}' is reserved and cannot be used")
        elif not name or set(name) - METRIC_CHARACTERS:
            faults.error(
                f"Metric name `{name}` contains characters that are not allowed. Use letters, "
                "digits and `_ . : / -`."
            )
        kind = table.choice("type", ("boolean", "float"), required=True)
        optimize = table.choice("optimize", ("min", "max"), required=True)
        level = table.choice("level", ("inference", "episode"), required=True)
        description = table.string("description")
        table.finish()
        out[name] = MetricConfig(
            name,
            cast(Literal["boolean", "float"], kind or "float"),
            cast(Literal["min", "max"], optimize or "max"),
            cast(Literal["inference", "episode"], level or "inference"),
            description,
        )
    return out


class FunctionReader:
    """Reads functions; ``sources`` collects template texts by key."""

    def __init__(
        self,
        *,
        tools: Mapping[str, FunctionTool],
        metrics: dict[str, MetricConfig],
        models: Mapping[str, ModelConfig],
        embedding_models: frozenset[str],
        global_ms: int,
    ) -> None:
        self.tools = tools
        self.metrics = metrics
        self.models = models
        self.embedding_models = embedding_models
        self.global_ms = global_ms
        self.sources: dict[str, str] = {}
        self.evaluators: dict[str, dict[str, EvaluatorConfig]] = {}
        self.weighted: list[str] = []

    def read(self, root: Table) -> dict[str, FunctionConfig]:
        out: dict[str, FunctionConfig] = {}
        for name, table in root.tables("functions").items():
            if name.startswith("tensorzero::"):
                root.faults.error(
                    f"User-defined function name cannot start with `tensorzero::`: {name}"
                )
            function = self._function(name, table)
            if function is not None:
                out[name] = function
        if self.weighted:
            names = ", ".join(f"`{name}`" for name in self.weighted)
            root.faults.warn(
                "Deprecation Warning: variant `weight` is deprecated, use an `experimentation` "
                f"section (functions {names})"
            )
        return out

    def variant_reader(
        self, name: str, kind: str, schemas: frozenset[str], has_tools: bool
    ) -> VariantReader:
        return VariantReader(
            function_name=name,
            function_type=kind,
            schemas=schemas,
            has_tools=has_tools,
            models=self.models,
            embedding_models=self.embedding_models,
            global_ms=self.global_ms,
            sources=self.sources,
        )

    def _function(self, name: str, table: Table) -> FunctionConfig | None:
        faults, where = table.faults, table.path
        if not isinstance(table.value.get("type"), str):
            faults.error(f"{where}: missing tag field `type`")
            return None
        kind = table.choice("type", ("chat", "json"))
        if kind is None:
            return None
        schemas = self._schemas(table)
        output_schema = ANY_JSON
        tools: list[FunctionTool] = []
        tool_choice: ToolChoice = "auto"
        parallel: bool | None = None
        if kind == "json":
            output_schema = read_schema(table.raw("output_schema"), faults) or ANY_JSON
        else:
            for key in table.strings("tools") or ():
                tool = self.tools.get(key)
                if tool is None:
                    faults.error(f"`{where}.tools`: tool `{key}` is not present in the config")
                else:
                    tools.append(tool)
            tool_choice = self._tool_choice(table)
            parallel = table.boolean("parallel_tool_calls")
        reader = self.variant_reader(name, kind, frozenset(schemas), bool(tools))
        variants: dict[str, VariantConfig] = {}
        for variant_name, variant_table in table.tables("variants", required=True).items():
            variant = reader.read(variant_name, variant_table)
            if variant is not None:
                variants[variant_name] = variant
        check_candidates(variants, where, table)
        description = table.string("description")
        self.evaluators[name] = self._evaluators(name, table)
        function = FunctionConfig(
            name=name,
            type=cast(Literal["chat", "json"], kind),
            variants=variants,
            schemas=schemas,
            output_schema=output_schema,
            tools=tuple(tools),
            tool_choice=tool_choice,
            parallel_tool_calls=parallel,
            description=description,
            experimentation=self._experimentation(table, variants),
            explicit_templates=explicit_templates(variants),
        )
        table.finish()
        return function

    def _schemas(self, table: Table) -> dict[str, JSONSchema]:
        faults = table.faults
        schemas: dict[str, JSONSchema] = {}
        for name, entry in table.tables("schemas").items():
            value = entry.raw("path")
            if value is None:
                faults.error(f"{entry.path}: missing field `path`")
            entry.finish()
            schemas[name] = read_schema(value, faults) or ANY_JSON
        for role in ROLES:
            value = table.raw(f"{role}_schema")
            if value is None:
                continue
            if role in schemas:
                faults.error(
                    f"{table.path}: Cannot specify both `schemas.{role}.path` and `{role}_schema`"
                )
            schemas[role] = read_schema(value, faults) or ANY_JSON
        return schemas

    def _tool_choice(self, table: Table) -> ToolChoice:
        value = table.raw("tool_choice")
        if value is None:
            return "auto"
        if isinstance(value, dict):
            if set(value) == {"specific"} and isinstance(value["specific"], str):
                return {"specific": value["specific"]}
        elif value in ("none", "auto", "required"):
            return cast(ToolChoice, value)
        table.faults.error(
            f"{table.at('tool_choice')}: expected `none`, `auto`, `required` or "
            '`{ specific = "name" }`'
        )
        return "auto"

    def _evaluators(self, owner: str, table: Table) -> dict[str, EvaluatorConfig]:
        return read_evaluators(
            table, f"tensorzero::function_name::{owner}::evaluator_name::", self.metrics
        )

    def _experimentation(
        self, table: Table, variants: Mapping[str, VariantConfig]
    ) -> ExperimentationConfig | None:
        weights = {
            name: variant.weight for name, variant in variants.items() if variant.weight is not None
        }
        section = table.table("experimentation")
        if weights:
            self.weighted.append(table.path.removeprefix("functions."))
        if section is None:
            if not weights:
                return None
            return ExperimentationConfig(_from_weights(variants, weights))
        if weights:
            table.faults.error(
                f"{table.path}: Cannot mix `experimentation` configuration with individual variant "
                "`weight` values."
            )
        namespaces: dict[str, Sampler] = {}
        for name, inner in section.tables("namespaces").items():
            check_namespace(name, inner.path, table.faults)
            namespaces[name] = _sampler(inner, variants)
        base = _sampler(section, variants)
        return ExperimentationConfig(base, namespaces)


def explicit_templates(variants: Mapping[str, VariantConfig]) -> frozenset[str]:
    """Template names that accept arguments, over all variants, judges and fusers."""
    names: set[str] = set()
    for variant in variants.values():
        inner: Any = variant
        if isinstance(variant, BestOfNConfig):
            inner = variant.evaluator
        elif isinstance(variant, MixtureOfNConfig):
            inner = variant.fuser
        if isinstance(inner, ChatCompletionConfig):
            names.update(name for name, one in inner.templates.items() if one.explicit)
    return frozenset(names)


def _from_weights(variants: Mapping[str, VariantConfig], weights: Mapping[str, float]) -> Sampler:
    """Legacy weights: positive ones are candidates, variants without one are fallbacks."""
    candidates = tuple(
        (name, weights[name]) for name in sorted(weights, key=str.encode) if weights[name] > 0
    )
    fallbacks = tuple(sorted((n for n in variants if n not in weights), key=str.encode))
    return StaticExperimentation(candidates, fallbacks)


def _sampler(table: Table, variants: Mapping[str, VariantConfig]) -> Sampler:
    faults, where = table.faults, table.path
    kind = table.choice(
        "type",
        ("static", "adaptive", "uniform", "static_weights", "track_and_stop"),
        required=True,
    )
    if kind in ("uniform", "static_weights", "track_and_stop"):
        faults.warn(f'Deprecation Warning: experimentation `type = "{kind}"` is deprecated')
    if kind in ("adaptive", "track_and_stop"):
        faults.error(
            f'{where}: `type = "{kind}"` is not provided by this version yet; use `type = "static"`'
        )
        return UniformExperimentation()
    weights = _candidates(table)
    fallbacks = table.strings("fallback_variants") or ()
    table.finish(tolerant=True)
    for name in (*weights, *fallbacks):
        if name not in variants:
            faults.error(f"{where}: unknown variant `{name}`")
    for name in fallbacks:
        if name in weights or fallbacks.count(name) > 1:
            faults.error(f"{where}: variant `{name}` is listed twice")
    if not weights and not fallbacks:
        if kind != "uniform":
            faults.error(f"{where}: at least one candidate or fallback variant is needed")
        return UniformExperimentation()
    ordered = tuple((name, weights[name]) for name in sorted(weights, key=str.encode))
    return StaticExperimentation(ordered, fallbacks)


def _candidates(table: Table) -> dict[str, float]:
    value = table.raw("candidate_variants")
    where = table.at("candidate_variants")
    weights: dict[str, float] = {}
    if isinstance(value, list):
        for name in value:
            if not isinstance(name, str):
                table.faults.error(f"{where}: expected variant names")
            elif name in weights:
                table.faults.error(f"{where}: variant `{name}` is listed twice")
            else:
                weights[name] = 1.0
    elif isinstance(value, dict):
        for name, weight in value.items():
            plain = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not plain or not 0 <= weight < float("inf"):
                table.faults.error(f"{where}.{name}: expected a finite weight of at least 0")
            else:
                weights[name] = float(weight)
    elif value is not None:
        table.wrong("candidate_variants", "a list of names or a map from names to weights")
    return weights


def read_evaluators(
    owner: Table, prefix: str, metrics: dict[str, MetricConfig]
) -> dict[str, EvaluatorConfig]:
    """Evaluators, and the metrics that they add."""
    out: dict[str, EvaluatorConfig] = {}
    faults = owner.faults
    for name, table in owner.tables("evaluators").items():
        if "::" in name:
            faults.error(f'Evaluator names cannot contain "::" (found `{name}`)')
        kind = table.choice("type", EVALUATOR_TYPES, required=True)
        if kind is None:
            continue
        value_type: str | None = "boolean"
        optimize: str | None = "max"
        if kind in ("llm_judge", "typescript"):
            value_type = table.choice("output_type", ("float", "boolean"), required=True)
            optimize = table.choice("optimize", ("min", "max"), required=True)
        elif kind == "regex":
            if not (table.string("must_match") or table.string("must_not_match")):
                faults.error(
                    f"{table.path}: at least one of `must_match`, `must_not_match` is needed"
                )
        elif kind == "tool_use":
            behavior = table.choice(
                "behavior", ("none", "any", "none_of", "any_of", "all_of"), required=True
            )
            tools = table.strings("tools")
            if (behavior in ("none_of", "any_of", "all_of")) != bool(tools):
                faults.error(f"{table.path}: `tools` does not fit `behavior`")
        if kind == "llm_judge":
            _check_judge(name, table, owner.path)
        out[name] = EvaluatorConfig(name, kind, dict(table.value))
        metric = prefix + name
        metrics[metric] = MetricConfig(
            metric,
            cast(Literal["boolean", "float"], value_type or "boolean"),
            cast(Literal["min", "max"], optimize or "max"),
            "inference",
        )
    return out


def _check_judge(name: str, table: Table, owner: str) -> None:
    variants = table.tables("variants", required=True)
    actives = [
        variant
        for variant in variants.values()
        if variant.value.get("active", len(variants) == 1) is True
    ]
    if len(actives) != 1:
        table.faults.error(
            f"Evaluator `{name}` in `[{owner}.evaluators]` must have exactly 1 variant that is "
            f"active. Found {len(actives)} variants with nonzero weights."
        )


def read_evaluations(
    root: Table, functions: Mapping[str, FunctionConfig], metrics: dict[str, MetricConfig]
) -> dict[str, EvaluationConfig]:
    out: dict[str, EvaluationConfig] = {}
    faults = root.faults
    for name, table in root.tables("evaluations").items():
        faults.warn("Deprecation Warning: `[evaluations]` is deprecated, use function evaluators")
        if "::" in name:
            faults.error(f'evaluation names cannot contain "::" (found `{name}`)')
        table.choice("type", ("inference", "static"), required=True)
        function = table.string("function_name", required=True)
        if function is not None and function not in functions:
            faults.error(f"Function `{function}` not found (referenced in `[evaluations.{name}]`)")
        description = table.string("description")
        prefix = f"tensorzero::evaluation_name::{name}::evaluator_name::"
        evaluators = read_evaluators(table, prefix, metrics)
        table.finish()
        out[name] = EvaluationConfig(name, function or "", evaluators, description)
    return out
