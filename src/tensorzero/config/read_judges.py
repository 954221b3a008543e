"""Makes the JSON functions that ``llm_judge`` evaluators ask for a score.

Source: the contract's configuration page, section 10.
"""

from __future__ import annotations

from typing import Any

from tensorzero.config.experimentation import ExperimentationConfig, StaticExperimentation
from tensorzero.config.function import FunctionConfig
from tensorzero.config.paths import LoadedFile
from tensorzero.config.read_params import read_params
from tensorzero.config.read_parts import read_timeouts
from tensorzero.config.read_variants import VariantReader
from tensorzero.config.reader import Table
from tensorzero.config.surroundings import Surroundings
from tensorzero.config.variant import VariantTemplate
from tensorzero.types.params import JsonMode
from tensorzero.types.schema import JSONSchema

USER_SCHEMA = JSONSchema(
    {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "input": {"type": "string"},
            "generated_output": {"type": "string"},
            "reference_output": {"type": ["string", "null"]},
        },
        "required": ["input", "generated_output", "reference_output"],
        "additionalProperties": False,
    }
)
"""What the runner of evaluations fills in, with ``input_format = "serialized"``."""
USER_TEMPLATE = (
    "# Input\n\n{{ input }}\n\n# Generated Output\n\n{{ generated_output }}"
    "{% if reference_output %}# Reference Output\n\n{{ reference_output }}{% endif %}"
)
"""No newline before the last heading: cache keys of stored evaluations depend on it."""


def score_schema(kind: str) -> JSONSchema:
    """The judge's answer: exactly ``score``, a number or a boolean."""
    return JSONSchema(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"score": {"type": "boolean" if kind == "boolean" else "number"}},
            "required": ["score"],
            "additionalProperties": False,
        }
    )


def read_judge(
    function_name: str,
    evaluator: Table,
    *,
    evaluators_path: str,
    serialized: bool,
    score: str,
    surroundings: Surroundings,
) -> FunctionConfig:
    """The judge function of one evaluator; only its active variant is ever sampled."""
    reader = _JudgeVariantReader(
        function_name=function_name,
        function_type="json",
        schemas=frozenset({"user"}) if serialized else frozenset(),
        has_tools=False,
        surroundings=surroundings,
    )
    variants = reader.read_all(evaluator)
    tables = evaluator.value.get("variants")
    declared = tables if isinstance(tables, dict) else {}
    active = [
        name
        for name, table in declared.items()
        if isinstance(table, dict) and table.get("active", len(declared) == 1) is True
    ]
    if len(active) != 1 and tables is not None:
        name = evaluator.path.removeprefix(f"{evaluators_path}.")
        evaluator.fault(
            f"Evaluator `{name}` in `[{evaluators_path}]` must have exactly 1 variant that is "
            f"active. Found {len(active)} variants with nonzero weights."
        )
    candidates = tuple((name, 1.0) for name in active)
    return FunctionConfig(
        name=function_name,
        type="json",
        variants=variants,
        schemas={"user": USER_SCHEMA} if serialized else {},
        output_schema=score_schema(score),
        experimentation=ExperimentationConfig(StaticExperimentation(candidates)),
        explicit_templates=frozenset({"user"}) if serialized else frozenset(),
    )


class _JudgeVariantReader(VariantReader):
    """Variants of judges: instructions instead of templates, ``active`` instead of a weight."""

    def _common(self, table: Table) -> dict[str, Any]:
        table.boolean("active")
        return {"timeouts": read_timeouts(table, self.surroundings.global_ms)}

    def _candidates(self, table: Table) -> tuple[str, ...]:
        return table.strings("candidates") or ()

    def _read_part_weight(self, part: Table) -> None:
        return

    def _check_chain_of_thought(self, name: str, table: Table) -> None:
        table.faults.warn(
            f"Deprecation Warning: {table.path}: the type `experimental_chain_of_thought` is "
            "deprecated, use a reasoning model"
        )

    def _templates(self, name: str, table: Table) -> dict[str, VariantTemplate]:
        """The instructions are the legacy system template; the input has a template of ours."""
        templates: dict[str, VariantTemplate] = {}
        instructions = table.raw("system_instructions", required=True)
        key = f"{self.function_name}::{name}::system"
        if isinstance(instructions, LoadedFile) and instructions:
            self.surroundings.sources.judges[key] = instructions.content + "\n"
            path = table.at("system_instructions")
            self.surroundings.sources.implicit.append((path, "system", key))
        templates["system"] = VariantTemplate("system", key, True, False)
        if "user" in self.schemas:
            key = f"{self.function_name}::{name}::user"
            self.surroundings.sources.judges[key] = USER_TEMPLATE
            templates["user"] = VariantTemplate("user", key, True, True)
        return templates

    def _check_json_mode(
        self, name: str, mode: JsonMode | None, table: Table, part: str | None
    ) -> None:
        if "json_mode" not in table.value:
            table.missing("json_mode")

    def _dicl(self, name: str, table: Table) -> dict[str, Any]:
        params = read_params(table, tier=False, reasoning=False)
        return {"params": params, **self._dicl_fields(table)}
