"""An inference as it was recorded: the contract's page on inference queries, section 6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tensorzero.functions.output import JsonOutput
from tensorzero.gateway.database import Row
from tensorzero.gateway.fields import items, mapping
from tensorzero.gateway.stored.input import read_input
from tensorzero.gateway.stored.output import read_chat_output, read_json_output
from tensorzero.gateway.stored.text import parsed, stored_json
from tensorzero.gateway.stored.tools import TOOL_COLUMNS, StoredTools, read_tools
from tensorzero.types.content import ChatBlock, Input

Output = list[ChatBlock] | JsonOutput

_SHARED_COLUMNS = (
    "id",
    "function_name",
    "variant_name",
    "episode_id",
    "input",
    "output",
    "inference_params",
    "processing_time_ms",
    "ttft_ms",
    "tags",
    "extra_body",
    "formatDateTime(timestamp, '%Y-%m-%dT%H:%i:%SZ', 'UTC') AS created_at",
    "lower(hex(snapshot_hash)) AS snapshot_hash_hex",
)
CHAT_COLUMNS = (*_SHARED_COLUMNS, *TOOL_COLUMNS)
"""What ``read_chat_inference`` wants, as expressions over ``ChatInference``."""
JSON_COLUMNS = (*_SHARED_COLUMNS, "output_schema")
"""What ``read_json_inference`` wants, as expressions over ``JsonInference``."""


@dataclass(frozen=True, slots=True)
class StoredInference:
    """One inference. ``output`` is what ``output_source`` asked for, ``None`` for ``none``."""

    id: str
    function_name: str
    variant_name: str
    episode_id: str
    input: Input
    recorded_output: Output
    output: Output | None
    demonstrated: bool
    """``output`` is a demonstration: the recorded one is the dispreferred."""
    output_schema: Any
    """Of json functions; ``None`` for chat functions."""
    tools: StoredTools | None
    """Of chat functions; ``None`` for json functions."""
    created_at: str
    """RFC 3339, whole seconds, UTC."""
    tags: Mapping[str, str]
    extra_body: list[Any]
    inference_params: dict[str, Any]
    processing_time_ms: int | None
    ttft_ms: int | None
    snapshot_hash: str | None
    """Lower-case hexadecimal; ``None`` for rows from before there were snapshots."""

    def to_json(self) -> dict[str, Any]:
        """The element of an answer's ``inferences``."""
        out: dict[str, Any] = {
            "type": "chat" if self.tools is not None else "json",
            "function_name": self.function_name,
            "variant_name": self.variant_name,
            "input": self.input.to_json(),
        }
        if self.output is not None:
            out["output"] = output_json(self.output)
        out["dispreferred_outputs"] = (
            [output_json(self.recorded_output)] if self.demonstrated else []
        )
        out["timestamp"] = self.created_at
        out["episode_id"] = self.episode_id
        out["inference_id"] = self.id
        if self.tools is None:
            out["output_schema"] = self.output_schema
        else:
            out.update(self.tools.to_json())
        out["tags"] = self.tags
        out["extra_body"] = self.extra_body
        out["inference_params"] = self.inference_params
        out["processing_time_ms"] = self.processing_time_ms
        out["ttft_ms"] = self.ttft_ms
        if self.snapshot_hash is not None:
            out["snapshot_hash"] = self.snapshot_hash
        return out


def output_json(output: Output) -> Any:
    """An output as answers and rows show it."""
    if isinstance(output, JsonOutput):
        return output.to_json()
    return [block.to_json() for block in output]


def read_inference(
    row: Row, *, chat: bool, demonstration: str | None, with_output: bool
) -> StoredInference:
    """One row of ``CHAT_COLUMNS`` or ``JSON_COLUMNS``; raises ``ClickHouseDeserialization``.

    ``demonstration``: the text that takes the output's place.
    """
    read = read_chat_output if chat else read_json_output
    recorded = read(row["output"])
    output = recorded if with_output else None
    if demonstration is not None:
        output = read(demonstration, "demonstration")
    schema = None
    if not chat:
        schema = stored_json(row["output_schema"], "output_schema")
    return StoredInference(
        id=row["id"],
        function_name=row["function_name"],
        variant_name=row["variant_name"],
        episode_id=row["episode_id"],
        input=read_input(row["input"]),
        recorded_output=recorded,
        output=output,
        demonstrated=demonstration is not None,
        output_schema={} if schema is None else schema,
        tools=read_tools(row) if chat else None,
        created_at=row["created_at"],
        tags=row["tags"],
        extra_body=_extra_body(row["extra_body"]),
        inference_params=_params(row["inference_params"]),
        processing_time_ms=row["processing_time_ms"],
        ttft_ms=row["ttft_ms"],
        snapshot_hash=row["snapshot_hash_hex"],
    )


def _extra_body(text: str | None) -> list[Any]:
    value = stored_json(text or "", "extra_body")
    return [] if value is None else parsed(items, value, "extra_body")


def _params(text: str) -> dict[str, Any]:
    value = stored_json(text, "inference_params")
    params = {} if value is None else parsed(mapping, value, "inference_params")
    chat = parsed(mapping, params.get("chat_completion", {}), "inference_params")
    if chat.get("json_mode") == "implicit_tool":
        chat["json_mode"] = "tool"
    return {**params, "chat_completion": chat}
