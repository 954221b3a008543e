"""Reads ``[functions.<f>.evaluators.*]`` and ``[evaluations.*]``.

Rules and texts: the contract's configuration page, section 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from tensorzero.config.evaluation import (
    EvaluationConfig,
    EvaluatorConfig,
    EvaluatorOptions,
    ExactMatchConfig,
    LLMJudgeConfig,
    RegexConfig,
    ToolUseConfig,
    TypescriptConfig,
)
from tensorzero.config.function import FunctionConfig
from tensorzero.config.metric import MetricConfig
from tensorzero.config.paths import LoadedFile
from tensorzero.config.pattern import Pattern
from tensorzero.config.read_judges import read_judge
from tensorzero.config.read_parts import F32_MAX
from tensorzero.config.reader import Table
from tensorzero.config.surroundings import Surroundings

EVALUATOR_TYPES = ("exact_match", "llm_judge", "regex", "tool_use", "typescript")
BEHAVIORS = ("none", "any", "none_of", "any_of", "all_of")
OUTPUT_TYPES = ("float", "boolean")
DIRECTIONS = ("min", "max")


class EvaluatorReader:
    """Reads evaluators, and makes the metrics and judge functions that they add."""

    def __init__(self, metrics: dict[str, MetricConfig], surroundings: Surroundings) -> None:
        self.metrics = metrics
        self.surroundings = surroundings
        self.judges: dict[str, FunctionConfig] = {}

    def read(
        self, owner: Table, *, metric_prefix: str, judge_prefix: str
    ) -> dict[str, EvaluatorConfig]:
        """The evaluators of a function or evaluation by name."""
        out: dict[str, EvaluatorConfig] = {}
        for name, table in owner.tables("evaluators").items():
            if "::" in name:
                table.fault(f'Evaluator names cannot contain "::" (found `{name}`)')
            kind = table.tag(EVALUATOR_TYPES)
            if kind is None:
                continue
            value_type, optimize = "boolean", "max"
            if kind in ("llm_judge", "typescript"):
                value_type = table.choice("output_type", OUTPUT_TYPES, required=True) or "boolean"
                optimize = table.choice("optimize", DIRECTIONS, required=True) or "max"
            metric = metric_prefix + name
            options = self._options(name, kind, table, owner, judge_prefix, value_type)
            table.finish()
            out[name] = EvaluatorConfig(name, metric, options)
            self.metrics[metric] = MetricConfig(
                metric,
                cast(Literal["boolean", "float"], value_type),
                cast(Literal["min", "max"], optimize),
                "inference",
            )
        return out

    def _options(
        self, name: str, kind: str, table: Table, owner: Table, judge_prefix: str, value_type: str
    ) -> EvaluatorOptions:
        if kind == "exact_match":
            return ExactMatchConfig(_cutoff(table))
        if kind == "regex":
            return _regex(table)
        if kind == "tool_use":
            return _tool_use(table)
        if kind == "typescript":
            source = table.raw("typescript_file", required=True)
            table.faults.warn("evaluators of type `typescript` are accepted, and never run")
            return TypescriptConfig(source.content if isinstance(source, LoadedFile) else "")
        return self._llm_judge(name, table, owner, judge_prefix, value_type)

    def _llm_judge(
        self, name: str, table: Table, owner: Table, judge_prefix: str, value_type: str
    ) -> LLMJudgeConfig:
        form = table.choice("input_format", ("serialized", "messages")) or "serialized"
        include = table.table("include")
        reference = False
        if include is not None:
            reference = include.boolean("reference_output") or False
            include.finish()
        function_name = judge_prefix + name
        description = table.string("description")
        self.judges[function_name] = read_judge(
            function_name,
            table,
            evaluators_path=f"{owner.path}.evaluators",
            serialized=form == "serialized",
            score=value_type,
            surroundings=self.surroundings,
        )
        return LLMJudgeConfig(
            function_name,
            cast(Literal["serialized", "messages"], form),
            reference,
            description,
            _cutoff(table),
        )


def _cutoff(table: Table) -> float | None:
    cutoff = table.number("cutoff", high=F32_MAX)
    if cutoff is not None:
        table.faults.warn(
            "Deprecation Warning: `cutoff` of evaluators is deprecated, give cutoffs to the run"
        )
    return cutoff


def _regex(table: Table) -> RegexConfig:
    patterns: dict[str, Pattern | None] = {}
    for key in ("must_match", "must_not_match"):
        text = table.string(key)
        patterns[key] = None
        if text is None:
            continue
        try:
            patterns[key] = Pattern(text)
        except ValueError as error:
            table.error(str(error), key)
    if not {"must_match", "must_not_match"} & set(table.value):
        table.error("at least one of `must_match`, `must_not_match` is needed")
    return RegexConfig(patterns["must_match"], patterns["must_not_match"])


def _tool_use(table: Table) -> ToolUseConfig:
    behavior = table.choice("behavior", BEHAVIORS, required=True)
    named = behavior in ("none_of", "any_of", "all_of")
    tools: tuple[str, ...] | None = None
    if named or behavior is None:
        tools = table.strings("tools", required=named)
        if tools == ():
            table.error(f'`tools` must not be empty with `behavior = "{behavior}"`', "tools")
    return ToolUseConfig(
        cast(Literal["none", "any", "none_of", "any_of", "all_of"], behavior or "none"),
        tools or (),
    )


def read_evaluations(
    root: Table, functions: Mapping[str, FunctionConfig], reader: EvaluatorReader
) -> dict[str, EvaluationConfig]:
    """``[evaluations.*]``, deprecated: evaluators outside their function."""
    out: dict[str, EvaluationConfig] = {}
    section = root.value.get("functions")
    declared = section if isinstance(section, dict) else {}
    for name, table in root.tables("evaluations").items():
        table.faults.warn(
            "Deprecation Warning: `[evaluations]` is deprecated, use `[functions.<f>.evaluators]`"
        )
        if "::" in name:
            table.fault(f'evaluation names cannot contain "::" (found `{name}`)')
        if table.tag(("inference", "static")) == "static":
            table.faults.warn(
                'Deprecation Warning: `type = "static"` of evaluations is now `"inference"`'
            )
        function = table.string("function_name", required=True)
        if function is not None and function not in functions and function not in declared:
            table.fault(f"Function `{function}` not found (referenced in `[evaluations.{name}]`)")
        description = table.string("description")
        evaluators = reader.read(
            table,
            metric_prefix=f"tensorzero::evaluation_name::{name}::evaluator_name::",
            judge_prefix=f"tensorzero::llm_judge::{name}::",
        )
        table.finish()
        out[name] = EvaluationConfig(name, function or "", evaluators, description)
    return out
