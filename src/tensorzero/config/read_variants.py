"""Reads ``[functions.<f>.variants.*]``.

Rules and texts: the contract's configuration page, section 7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast

from tensorzero.config.locations import LocationError
from tensorzero.config.paths import LoadedFile
from tensorzero.config.provider_types import EMBEDDING_SHORTHANDS
from tensorzero.config.read_params import U32, read_params
from tensorzero.config.read_parts import (
    F32_MAX,
    check_limit,
    read_extra_body,
    read_extra_headers,
    read_namespace,
    read_retries,
    read_timeouts,
)
from tensorzero.config.read_templates import read_templates
from tensorzero.config.reader import Table
from tensorzero.config.shorthand import is_shorthand, shorthand_options
from tensorzero.config.surroundings import Surroundings
from tensorzero.config.timeouts import NO_TIMEOUTS, TimeoutsConfig
from tensorzero.config.variant import (
    BestOfNConfig,
    ChatCompletionConfig,
    DiclConfig,
    MixtureOfNConfig,
    VariantConfig,
    VariantTemplate,
)
from tensorzero.types.params import JsonMode

COMBINED_TYPES = {
    "experimental_best_of_n_sampling": "evaluator",
    "experimental_mixture_of_n": "fuser",
}
"""Types over candidates, and the key of the part that chooses or fuses."""
VARIANT_TYPES = (
    "chat_completion",
    *COMBINED_TYPES,
    "experimental_dynamic_in_context_learning",
    "experimental_chain_of_thought",
)
DYNAMIC_NAME = "tensorzero::dynamic_variant"


class VariantReader:
    """Reads the variants of one function; judges of evaluators subclass it."""

    def __init__(
        self,
        *,
        function_name: str,
        function_type: str,
        schemas: frozenset[str],
        has_tools: bool,
        surroundings: Surroundings,
    ) -> None:
        self.function_name = function_name
        self.function_type = function_type
        self.schemas = schemas
        self.has_tools = has_tools
        self.surroundings = surroundings
        self.candidate_timeouts: dict[str, int] = {}

    def read_all(self, owner: Table) -> dict[str, VariantConfig]:
        """``variants`` of a function: all of them, candidates checked."""
        tables = owner.tables("variants", required=True)
        variants: dict[str, VariantConfig] = {}
        for name, table in tables.items():
            variant = self.read(name, table)
            if variant is not None:
                variants[name] = variant
        check_candidates(variants, tables)
        return self._with_candidate_timeouts(variants, tables)

    def read(self, name: str, table: Table) -> VariantConfig | None:
        """One variant; ``None`` when its type is missing or unknown."""
        if name.startswith("tensorzero::") and name != DYNAMIC_NAME:
            table.fault(f"Variant name cannot start with 'tensorzero::': {name}")
        kind = table.tag(VARIANT_TYPES)
        if kind is None:
            return None
        common = self._common(table)
        variant: VariantConfig
        if kind in COMBINED_TYPES:
            variant = self._combined(name, kind, table, common)
        elif kind == "experimental_dynamic_in_context_learning":
            variant = DiclConfig(name=name, **self._dicl(name, table), **common)
        else:
            if kind == "experimental_chain_of_thought":
                self._check_chain_of_thought(name, table)
            variant = ChatCompletionConfig(
                name=name,
                type=cast(Literal["chat_completion", "experimental_chain_of_thought"], kind),
                **self._chat_completion(name, table),
                **common,
            )
        table.finish()
        return variant

    def _common(self, table: Table) -> dict[str, Any]:
        """The keys of every type."""
        weight = table.number("weight")
        if weight is not None and weight < 0:
            table.fault(f"`{table.path}`: `weight` must be non-negative", "weight")
        return {
            "timeouts": read_timeouts(table, self.surroundings.global_ms),
            "namespace": read_namespace(table),
            "weight": weight,
        }

    def _check_chain_of_thought(self, name: str, table: Table) -> None:
        table.faults.warn(
            f"Deprecation Warning: {table.path}: the type `experimental_chain_of_thought` is "
            "deprecated, use a reasoning model"
        )
        if self.function_type == "chat":
            table.error(
                f"Unsupported variant `{name}` of type `chain_of_thought` for function "
                f"`{self.function_name}` of type `chat`"
            )

    def _combined(
        self, name: str, kind: str, table: Table, common: dict[str, Any]
    ) -> BestOfNConfig | MixtureOfNConfig:
        part = COMBINED_TYPES[kind]
        candidates = self._candidates(table)
        seconds = table.number("timeout_s", high=F32_MAX)
        if seconds is not None:
            table.faults.warn(
                "Deprecation Warning: `timeout_s` is deprecated, give the candidates `timeouts`"
            )
            if seconds < 0:
                table.error("must not be negative", "timeout_s")
            else:
                self.candidate_timeouts[name] = int(seconds * 1000)
        inner = table.table(part, required=True)
        config = ChatCompletionConfig(name, "")
        if inner is not None:
            self._read_part_weight(inner)
            config = ChatCompletionConfig(name, **self._chat_completion(name, inner, part=part))
            inner.finish()
        if part == "evaluator":
            return BestOfNConfig(name=name, candidates=candidates, evaluator=config, **common)
        return MixtureOfNConfig(name=name, candidates=candidates, fuser=config, **common)

    def _candidates(self, table: Table) -> tuple[str, ...]:
        return table.strings("candidates", required=True) or ()

    def _read_part_weight(self, part: Table) -> None:
        part.number("weight")  # accepted, ignored

    def _model(self, table: Table) -> str:
        model = table.string("model", required=True)
        if model is None:
            return ""
        if model in self.surroundings.models:
            return model
        if is_shorthand(model):
            try:
                shorthand_options(model)
            except ValueError as error:
                table.error(str(error), "model")
        else:
            table.error(
                f"Model name '{model}' not found in model table: add `[models.{_quoted(model)}]`, or "
                "use a shorthand such as `openai::gpt-5-mini`"
            )
        return model

    def _chat_completion(
        self, name: str, table: Table, *, part: str | None = None
    ) -> dict[str, Any]:
        params = read_params(table)
        self._check_json_mode(name, params.json_mode, table, part)
        return {
            "model": self._model(table),
            "params": params,
            "templates": self._templates(name, table),
            "retries": read_retries(table),
            "extra_body": read_extra_body(table),
            "extra_headers": read_extra_headers(table),
        }

    def _templates(self, name: str, table: Table) -> dict[str, VariantTemplate]:
        return read_templates(table, self.function_name, self.schemas, self.surroundings.sources)

    def _check_json_mode(
        self, name: str, mode: JsonMode | None, table: Table, part: str | None
    ) -> None:
        if "json_mode" in table.value and mode is None:
            return  # of a wrong type or value, which has been reported
        shown = name if part is None else f"{name}.{part}"
        if self.function_type == "json":
            if mode is None and part != "evaluator":
                table.fault(
                    f"`json_mode` must be specified for "
                    f"`[functions.{self.function_name}.variants.{shown}]` (parent function "
                    f"`{self.function_name}` is a JSON function)"
                )
        elif part is None and mode is not None:
            table.error(
                f"JSON mode is not supported for variant `{name}` (parent function is a chat "
                "function)"
            )
        elif mode == "tool" and self.has_tools:
            table.error(
                'Cannot use `json_mode = "tool"` with chat functions that have tools configured'
            )

    def _dicl(self, name: str, table: Table) -> dict[str, Any]:
        params = read_params(table, tier=False)
        if self.function_type == "json":
            self._check_json_mode(name, params.json_mode, table, None)
        return {"params": params, **self._dicl_fields(table)}

    def _dicl_fields(self, table: Table) -> dict[str, Any]:
        distance = table.number("max_distance", high=F32_MAX)
        if distance is not None and distance < 0:
            table.fault(f"`{table.path}`: `max_distance` must be non-negative", "max_distance")
        instructions = table.raw("system_instructions")
        if isinstance(instructions, LoadedFile):
            instructions = instructions.content
        elif isinstance(instructions, dict):  # the JSON form, in a dynamic variant
            instructions = instructions.get("__data")
        return {
            "model": self._model(table),
            "embedding_model": self._embedding_model(table),
            "k": table.integer("k", required=True, high=U32) or 0,
            "max_distance": distance,
            "system_instructions": instructions if isinstance(instructions, str) else None,
            "retries": read_retries(table),
            "extra_body": read_extra_body(table),
            "extra_headers": read_extra_headers(table),
        }

    def _embedding_model(self, table: Table) -> str:
        """A configured model, or a shorthand whose credential is there now."""
        name = table.string("embedding_model", required=True)
        if name is None or name in self.surroundings.embedding_models:
            return name or ""
        if not name.startswith(EMBEDDING_SHORTHANDS):
            table.fault(
                f"`{table.path}`: `embedding_model` must be a valid embedding model name, found "
                f"`{name}`",
                "embedding_model",
            )
        elif self.surroundings.credentials is not None:
            try:
                self.surroundings.credentials.default(name.partition("::")[0])
            except LocationError as error:
                table.error(str(error), "embedding_model")
        return name

    def _with_candidate_timeouts(
        self, variants: dict[str, VariantConfig], tables: Mapping[str, Table]
    ) -> dict[str, VariantConfig]:
        """``timeout_s`` of a combined variant becomes ``timeouts`` of its candidates."""
        given: dict[str, tuple[str, int]] = {}
        for owner, milliseconds in self.candidate_timeouts.items():
            variant = variants[owner]
            table = tables[owner]
            for key in ("non_streaming.total_ms", "streaming.ttft_ms"):
                check_limit(table, key, milliseconds, self.surroundings.global_ms)
            candidates = getattr(variant, "candidates", ())
            for name in dict.fromkeys(candidates):
                candidate = variants.get(name)
                if candidate is None:
                    continue
                if candidate.timeouts != NO_TIMEOUTS:
                    table.error(
                        f"cannot use `timeout_s` when candidate `{name}` has `timeouts` of its own"
                    )
                elif given.setdefault(name, (owner, milliseconds))[1] != milliseconds:
                    table.error(
                        f"cannot use `timeout_s` when candidate `{name}` has another one from "
                        f"variant `{given[name][0]}`"
                    )
        for name, (_, milliseconds) in given.items():
            variants[name] = replace(
                variants[name],
                timeouts=TimeoutsConfig(milliseconds, milliseconds, None),
            )
        return variants


def _quoted(name: str) -> str:
    """A name as a TOML key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def check_candidates(variants: Mapping[str, VariantConfig], tables: Mapping[str, Table]) -> None:
    """Unknown candidates and cycles among them."""
    edges = {
        name: variant.candidates
        for name, variant in variants.items()
        if isinstance(variant, BestOfNConfig | MixtureOfNConfig)
    }
    for name, candidates in edges.items():
        for candidate in dict.fromkeys(candidates):
            if candidate not in tables:
                tables[name].error(f"Unknown candidate variant: {candidate}", "candidates")
    done: set[str] = set()
    for start in edges:
        if start in done:
            continue
        path, pending = [start], [iter(edges[start])]
        while pending:
            following = next(pending[-1], None)
            if following is None:
                pending.pop()
                done.add(path.pop())
            elif following in path:
                cycle = [*path[path.index(following) :], following]
                tables[following].error(
                    f"the candidates form a cycle: {' -> '.join(cycle)}", "candidates"
                )
            elif following in edges and following not in done:
                path.append(following)
                pending.append(iter(edges[following]))
