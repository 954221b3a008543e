"""Reads ``[functions.<f>.variants.*]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tensorzero.config.model import ModelConfig
from tensorzero.config.paths import LoadedFile
from tensorzero.config.provider_types import PROVIDER_TYPES
from tensorzero.config.read_parts import (
    check_namespace,
    read_extra_body,
    read_extra_headers,
    read_retries,
    read_timeouts,
)
from tensorzero.config.reader import Table
from tensorzero.config.variant import (
    BestOfNConfig,
    ChatCompletionConfig,
    DiclConfig,
    MixtureOfNConfig,
    VariantConfig,
    VariantTemplate,
)
from tensorzero.types.params import ChatCompletionParams, JsonMode, ServiceTier, single_precision

VARIANT_TYPES = (
    "chat_completion",
    "experimental_best_of_n_sampling",
    "experimental_mixture_of_n",
    "experimental_dynamic_in_context_learning",
    "experimental_chain_of_thought",
)
ROLES = ("system", "user", "assistant")
U32 = 2**32 - 1


class VariantReader:
    """Reads the variants of one function. ``sources`` collects template texts by key."""

    def __init__(
        self,
        *,
        function_name: str,
        function_type: str,
        schemas: frozenset[str],
        has_tools: bool,
        models: Mapping[str, ModelConfig],
        embedding_models: frozenset[str],
        global_ms: int,
        sources: dict[str, str],
    ) -> None:
        self.function_name = function_name
        self.function_type = function_type
        self.schemas = schemas
        self.has_tools = has_tools
        self.models = models
        self.embedding_models = embedding_models
        self.global_ms = global_ms
        self.sources = sources

    def read(self, name: str, table: Table) -> VariantConfig | None:
        """One variant; ``None`` when its type is missing or unknown."""
        faults, where = table.faults, table.path
        if name.startswith("tensorzero::") and name != "tensorzero::dynamic_variant":
            faults.error(f"Variant name cannot start with 'tensorzero::': {name}")
        kind = table.value.get("type")
        table.known.append("type")
        if not isinstance(kind, str):
            faults.error(f"{where}: missing tag field `type`")
            return None
        if kind not in VARIANT_TYPES:
            known = ", ".join(f"`{one}`" for one in VARIANT_TYPES)
            faults.error(f"{where}: unknown variant `{kind}`, expected one of {known}")
            return None
        weight = table.number("weight")
        if weight is not None and weight < 0:
            faults.error(f"`{where}`: `weight` must be non-negative")
        namespace = table.string("namespace")
        check_namespace(namespace, where, faults)
        timeouts = read_timeouts(table, self.global_ms)
        common: dict[str, Any] = {
            "timeouts": timeouts,
            "namespace": namespace,
            "weight": weight,
        }
        variant: VariantConfig
        if kind in ("chat_completion", "experimental_chain_of_thought"):
            if kind == "experimental_chain_of_thought":
                faults.warn(f"Deprecation Warning: {where}: chain of thought is deprecated")
                if self.function_type == "chat":
                    faults.error(
                        f"Unsupported variant `{name}` of type `chain_of_thought` for function "
                        f"`{self.function_name}` of type `chat`"
                    )
            fields = self._chat_completion(name, table, where)
            variant = ChatCompletionConfig(name=name, type=kind, **fields, **common)  # type: ignore[arg-type]  # one of the two literals
        elif kind == "experimental_dynamic_in_context_learning":
            variant = DiclConfig(name=name, **self._dicl(table), **common)
        else:
            variant = self._combined(name, kind, table, common)
        table.finish()
        return variant

    def _combined(
        self, name: str, kind: str, table: Table, common: dict[str, Any]
    ) -> BestOfNConfig | MixtureOfNConfig:
        part = "evaluator" if kind == "experimental_best_of_n_sampling" else "fuser"
        candidates = table.strings("candidates", required=True) or ()
        table.number("timeout_s")
        inner = table.table(part, required=True)
        config = ChatCompletionConfig(part, "")
        if inner is not None:
            inner.number("weight")
            fields = self._chat_completion(name, inner, inner.path, part=part)
            inner.finish()
            config = ChatCompletionConfig(name=name, **fields)
        if part == "evaluator":
            return BestOfNConfig(name=name, candidates=candidates, evaluator=config, **common)
        return MixtureOfNConfig(name=name, candidates=candidates, fuser=config, **common)

    def _model(self, table: Table) -> str:
        model = table.string("model", required=True)
        if model is None:
            return ""
        prefix, separator, _ = model.partition("::")
        kind = PROVIDER_TYPES.get(prefix)
        shorthand = bool(separator) and kind is not None and kind.shorthand
        if model not in self.models and not shorthand:
            table.faults.error(f"{table.path}: Model name '{model}' not found in model table")
        return model

    def _params(self, table: Table, *, tier: bool = True) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
            number = table.number(key)
            try:
                values[key] = None if number is None else single_precision(number)
            except OverflowError:
                table.faults.error(f"{table.at(key)}: the number is too large")
        for key in ("max_tokens", "seed"):
            values[key] = table.integer(key, high=U32)
        values["stop_sequences"] = table.strings("stop_sequences")
        for key in ("reasoning_effort", "verbosity"):
            values[key] = table.string(key)
        if tier:
            values["service_tier"] = cast(
                "ServiceTier | None",
                table.choice("service_tier", ("auto", "default", "priority", "flex")),
            )
        values["thinking_budget_tokens"] = table.integer(
            "thinking_budget_tokens", low=-(2**31), high=2**31 - 1
        )
        mode = table.choice("json_mode", ("off", "on", "strict", "tool", "implicit_tool"))
        values["json_mode"] = cast("JsonMode | None", "tool" if mode == "implicit_tool" else mode)
        return values

    def _chat_completion(
        self, name: str, table: Table, where: str, *, part: str | None = None
    ) -> dict[str, Any]:
        params = ChatCompletionParams(**self._params(table))
        self._check_json_mode(name, params.json_mode, table, part)
        return {
            "model": self._model(table),
            "params": params,
            "templates": self._templates(table, where),
            "retries": read_retries(table),
            "extra_body": read_extra_body(table),
            "extra_headers": read_extra_headers(table),
        }

    def _check_json_mode(
        self, name: str, mode: JsonMode | None, table: Table, part: str | None
    ) -> None:
        shown = name if part is None else f"{name}.{part}"
        if self.function_type == "json":
            if mode is None and part != "evaluator":
                table.faults.error(
                    f"`json_mode` must be specified for "
                    f"`[functions.{self.function_name}.variants.{shown}]` (parent function "
                    f"`{self.function_name}` is a JSON function)"
                )
        elif part is None and mode is not None:
            table.faults.error(
                f"JSON mode is not supported for variant `{name}` (parent function is a chat "
                "function)"
            )
        elif mode == "tool" and self.has_tools:
            table.faults.error(
                f'{table.path}: Cannot use `json_mode = "tool"` with chat functions that have '
                "tools configured"
            )

    def _templates(self, table: Table, where: str) -> dict[str, VariantTemplate]:
        faults = table.faults
        templates: dict[str, VariantTemplate] = {}
        for name, entry in table.tables("templates").items():
            path = entry.raw("path")
            if path is None:
                faults.error(f"{entry.path}: missing field `path`")
            entry.finish()
            key = self._source(path, entry.at("path"), table)
            if key is not None:
                templates[name] = VariantTemplate(name, key, False, name in self.schemas)
        wrappers = table.table("input_wrappers")
        for role in ROLES:
            legacy = self._source(table.raw(f"{role}_template"), f"{where}.{role}_template", table)
            wrapper = None
            if wrappers is not None:
                wrapper = self._source(wrappers.raw(role), wrappers.at(role), table)
            if wrapper is not None and role in self.schemas:
                faults.error(
                    f"{where}: Cannot provide both `input_wrappers.{role}` and `{role}_schema`"
                )
            if wrapper is not None and legacy is not None:
                faults.error(
                    f"{where}: Cannot provide both `input_wrappers.{role}` and `{role}` template"
                )
            key = legacy or wrapper
            if key is None:
                continue
            if role in templates:
                faults.error(
                    f"{where}: Cannot specify both `templates.{role}.path` and `{role}_template`"
                )
            templates[role] = VariantTemplate(role, key, True, role in self.schemas)
        if wrappers is not None:
            faults.warn("Deprecation Warning: `input_wrappers` is deprecated, use `templates`")
            wrappers.finish()
        for name in sorted(self.schemas):
            if name in templates:
                continue
            if name in ROLES:
                faults.error(
                    f"`{where}.{name}_template`: template is required when schema is specified"
                )
            else:
                faults.error(
                    f"`{where}.templates.{name}` is required when "
                    f"`functions.{self.function_name}.schemas.{name}` is specified"
                )
        return templates

    def _source(self, value: Any, where: str, table: Table) -> str | None:
        if value is None:
            return None
        if isinstance(value, LoadedFile):
            self.sources[str(value)] = value.content
            return str(value)
        if isinstance(value, dict) and set(value) == {"__tensorzero_remapped_path", "__data"}:
            key, content = value["__tensorzero_remapped_path"], value["__data"]
            if isinstance(key, str) and isinstance(content, str):
                self.sources[key] = content
                return key
        if not isinstance(value, str):
            table.faults.error(f"`{where}`: Expected a string")
        return None

    def _dicl(self, table: Table) -> dict[str, Any]:
        faults, where = table.faults, table.path
        values = self._params(table, tier=False)
        if self.function_type == "json" and values["json_mode"] is None:
            self._check_json_mode(where.rpartition(".")[2], None, table, None)
        embedding = table.string("embedding_model", required=True) or ""
        known = embedding in self.embedding_models or embedding.startswith(
            ("openai::", "openrouter::")
        )
        if embedding and not known:
            faults.error(f"`{where}`: `embedding_model` must be a valid embedding model name")
        distance = table.number("max_distance")
        if distance is not None and distance < 0:
            faults.error(f"`{where}`: `max_distance` must be non-negative")
        instructions = table.raw("system_instructions")
        return {
            "model": self._model(table),
            "embedding_model": embedding,
            "k": table.integer("k", required=True, high=U32) or 0,
            "max_distance": distance,
            "system_instructions": instructions.content
            if isinstance(instructions, LoadedFile)
            else None,
            "params": ChatCompletionParams(**values),
            "retries": read_retries(table),
            "extra_body": read_extra_body(table),
            "extra_headers": read_extra_headers(table),
        }


def check_candidates(variants: Mapping[str, VariantConfig], where: str, table: Table) -> None:
    """Unknown candidates and cycles among them."""
    edges = {
        name: variant.candidates
        for name, variant in variants.items()
        if isinstance(variant, BestOfNConfig | MixtureOfNConfig)
    }
    for name, candidates in edges.items():
        for candidate in candidates:
            if candidate not in variants:
                table.faults.error(
                    f"{where}.variants.{name}: Unknown candidate variant: {candidate}"
                )
    for start in edges:
        path, pending = [start], [(start, iter(edges[start]))]
        while pending:
            _, rest = pending[-1]
            following = next(rest, None)
            if following is None:
                pending.pop()
                path.pop()
            elif following == start:
                cycle = " -> ".join([*path, start])
                table.faults.error(f"{where}.variants.{start}: candidates form a cycle: {cycle}")
                break
            elif following in edges and following not in path:
                path.append(following)
                pending.append((following, iter(edges[following])))
