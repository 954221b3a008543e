"""Reads ``[functions.*]``.

Rules and texts: the contract's configuration page, section 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from tensorzero.config.evaluation import EvaluatorConfig
from tensorzero.config.function import FunctionConfig
from tensorzero.config.metric import MetricConfig
from tensorzero.config.read_evaluators import EvaluatorReader
from tensorzero.config.read_experimentation import read_experimentation
from tensorzero.config.read_schemas import read_schema
from tensorzero.config.read_templates import ROLES
from tensorzero.config.read_variants import VariantReader
from tensorzero.config.reader import Table
from tensorzero.config.surroundings import Surroundings
from tensorzero.config.variant import (
    BestOfNConfig,
    ChatCompletionConfig,
    MixtureOfNConfig,
    VariantConfig,
)
from tensorzero.types.schema import ANY_JSON, JSONSchema
from tensorzero.types.tools import FunctionTool, ToolChoice


class FunctionReader:
    """Reads functions; ``evaluators`` are those of each, ``evaluator_reader`` holds the judge
    functions that they add."""

    def __init__(
        self,
        *,
        tools: Mapping[str, FunctionTool],
        metrics: dict[str, MetricConfig],
        surroundings: Surroundings,
    ) -> None:
        self.tools = tools
        self.metrics = metrics
        self.surroundings = surroundings
        self.evaluator_reader = EvaluatorReader(metrics, surroundings)
        self.evaluators: dict[str, dict[str, EvaluatorConfig]] = {}
        self._weighted: list[str] = []

    def read(self, root: Table) -> dict[str, FunctionConfig]:
        out: dict[str, FunctionConfig] = {}
        for name, table in root.tables("functions").items():
            if name.startswith("tensorzero::"):
                table.fault(f"User-defined function name cannot start with `tensorzero::`: {name}")
            function = self._function(name, table)
            if function is not None:
                out[name] = function
        if self._weighted:
            names = ", ".join(f"`{name}`" for name in self._weighted)
            root.faults.warn(
                "Deprecation Warning: variant `weight` is deprecated, use an `experimentation` "
                f"section (functions {names})"
            )
        return out

    def _function(self, name: str, table: Table) -> FunctionConfig | None:
        kind = table.tag(("chat", "json"))
        if kind is None:
            return None
        schemas = read_schemas(table)
        output_schema = ANY_JSON
        tools: list[FunctionTool] = []
        tool_choice: ToolChoice = "auto"
        parallel: bool | None = None
        if kind == "json":
            output_schema = read_schema(table, "output_schema")
        else:
            tools = self._tools(table)
            tool_choice = read_tool_choice(table)
            parallel = table.boolean("parallel_tool_calls")
        reader = VariantReader(
            function_name=name,
            function_type=kind,
            schemas=frozenset(schemas),
            has_tools=bool(tools),
            surroundings=self.surroundings,
        )
        variants = reader.read_all(table)
        declared = table.value.get("variants")
        if any(variant.weight is not None for variant in variants.values()):
            self._weighted.append(name)
        self.evaluators[name] = self.evaluator_reader.read(
            table,
            metric_prefix=f"tensorzero::function_name::{name}::evaluator_name::",
            judge_prefix=f"tensorzero::llm_judge::function_name::{name}::",
        )
        function = FunctionConfig(
            name=name,
            type=cast(Literal["chat", "json"], kind),
            variants=variants,
            schemas=schemas,
            output_schema=output_schema,
            tools=tuple(tools),
            tool_choice=tool_choice,
            parallel_tool_calls=parallel,
            description=table.string("description"),
            experimentation=read_experimentation(
                table,
                frozenset(declared if isinstance(declared, dict) else ()),
                variants,
                self.metrics,
            ),
            explicit_templates=explicit_templates(variants),
        )
        table.finish()
        return function

    def _tools(self, table: Table) -> list[FunctionTool]:
        tools = []
        for key in table.strings("tools") or ():
            tool = self.tools.get(key)
            if tool is None:
                table.fault(
                    f"`{table.path}.tools`: tool `{key}` is not present in the config", "tools"
                )
            else:
                tools.append(tool)
        return tools


def read_schemas(table: Table) -> dict[str, JSONSchema]:
    """Schemas by name: ``schemas.<name>.path``, and the legacy keys of the roles."""
    schemas: dict[str, JSONSchema] = {}
    for name, entry in table.tables("schemas").items():
        schemas[name] = read_schema(entry, "path", required=True)
        entry.finish()
    for role in ROLES:
        key = f"{role}_schema"
        legacy = read_schema(table, key)
        if key not in table.value:
            continue
        if role in schemas:
            table.error(f"Cannot specify both `schemas.{role}.path` and `{key}`")
        schemas[role] = legacy
    return schemas


def read_tool_choice(table: Table) -> ToolChoice:
    value = table.raw("tool_choice")
    if value is None:
        return "auto"
    if isinstance(value, dict):
        if set(value) == {"specific"} and isinstance(value["specific"], str):
            return {"specific": value["specific"]}
    elif value in ("none", "auto", "required"):
        return cast(ToolChoice, value)
    table.error(
        'expected `"none"`, `"auto"`, `"required"` or `{ specific = "name" }`', "tool_choice"
    )
    return "auto"


def explicit_templates(variants: Mapping[str, VariantConfig]) -> frozenset[str]:
    """Template names that accept arguments, over all variants, judges and fusers."""
    names: set[str] = set()
    for variant in variants.values():
        inner: VariantConfig = variant
        if isinstance(variant, BestOfNConfig):
            inner = variant.evaluator
        elif isinstance(variant, MixtureOfNConfig):
            inner = variant.fuser
        if isinstance(inner, ChatCompletionConfig):
            names.update(name for name, one in inner.templates.items() if one.explicit)
    return frozenset(names)
