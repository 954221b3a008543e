"""Rows of ``ChatInferenceDatapoint`` and ``JsonInferenceDatapoint``, and what answers show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from tensorzero.gateway.datasets.request import Kind
from tensorzero.gateway.datasets.versions import replacing
from tensorzero.gateway.rows import tool_columns
from tensorzero.gateway.stored.inference import output_json
from tensorzero.gateway.stored.input import read_input, request_form
from tensorzero.gateway.stored.output import read_chat_output, read_json_output
from tensorzero.gateway.stored.text import stored_json
from tensorzero.gateway.stored.tools import TOOL_COLUMNS, read_tools
from tensorzero.types.json_text import dumps_exactly
from tensorzero.types.tools import ToolCallConfig

TABLES: dict[Kind, str] = {"chat": "ChatInferenceDatapoint", "json": "JsonInferenceDatapoint"}
_TABLE_BYTES = {kind: table.encode() for kind, table in TABLES.items()}
_SHARED = (
    "dataset_name",
    "function_name",
    "id",
    "episode_id",
    "input",
    "output",
    "tags",
    "auxiliary",
    "is_deleted",
    "updated_at",
    "staled_at",
    "source_inference_id",
    "is_custom",
    "name",
    "snapshot_hash",
)
COLUMNS: dict[Kind, tuple[str, ...]] = {
    "chat": (*_SHARED, *TOOL_COLUMNS),
    "json": (*_SHARED, "output_schema"),
}
"""Every column of the tables, so that a row that was read can be written again."""
_NO_TOOLS: dict[str, Any] = {
    "tool_params": "",
    "dynamic_tools": [],
    "dynamic_provider_tools": [],
    "allowed_tools": None,
    "tool_choice": None,
    "parallel_tool_calls": None,
}


@dataclass(frozen=True, slots=True)
class DatapointRow:
    """One version of a datapoint."""

    kind: Kind
    columns: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.columns["id"])

    @property
    def version(self) -> str:
        """``updated_at``: of all versions the latest counts."""
        return str(self.columns["updated_at"])

    def changed(self, **columns: Any) -> DatapointRow:
        return DatapointRow(self.kind, {**self.columns, **columns})

    def replaced(self, now: str, **columns: Any) -> DatapointRow:
        """The version of this datapoint that counts from ``now`` on."""
        return self.changed(**columns, updated_at=replacing(self.version, now))

    def recorded(self) -> tuple[bytes, bytes]:
        """Its table and its text."""
        return _TABLE_BYTES[self.kind], dumps_exactly(self.columns)

    def to_json(self) -> dict[str, Any]:
        """The element of an answer's ``datapoints``; raises ``ClickHouseDeserialization``."""
        row, chat = self.columns, self.kind == "chat"
        out: dict[str, Any] = {
            "type": self.kind,
            "dataset_name": row["dataset_name"],
            "function_name": row["function_name"],
            "id": row["id"],
            "episode_id": row["episode_id"],
            "input": request_form(read_input(row["input"])),
        }
        if row["output"] is not None:
            read = read_chat_output if chat else read_json_output
            out["output"] = output_json(read(row["output"]))
        if chat:
            out.update(read_tools(row).to_json())
        else:
            schema = stored_json(row["output_schema"], "output_schema")
            out["output_schema"] = {} if schema is None else schema
        out["tags"] = row["tags"]
        out["is_deleted"] = row["is_deleted"]
        out["is_custom"] = row["is_custom"]
        for key in ("source_inference_id", "staled_at"):
            if row[key] is not None:
                out[key] = row[key]
        out["updated_at"] = f"{self.version[:10]}T{self.version[11:19]}Z"
        if row["name"] is not None:
            out["name"] = row["name"]
        return out


def new_row(
    kind: Kind,
    *,
    dataset_name: str,
    function_name: str,
    id_: str,
    version: str,
    snapshot_hash: str,
    input_text: str,
    output_text: str | None,
    tags: dict[str, str],
    **columns: Any,
) -> DatapointRow:
    """A datapoint that was not there before; ``columns``: those that are not NULL or false."""
    return DatapointRow(
        kind,
        {
            "dataset_name": dataset_name,
            "function_name": function_name,
            "id": id_,
            "episode_id": None,
            "input": input_text,
            "output": output_text,
            "tags": tags,
            "auxiliary": "",
            "is_deleted": False,
            "updated_at": version,
            "staled_at": None,
            "source_inference_id": None,
            "is_custom": False,
            "name": None,
            "snapshot_hash": snapshot_hash,
            **columns,
        },
    )


def datapoint_tools(tools: ToolCallConfig | None) -> dict[str, Any]:
    """The tool columns; without any tool they say nothing."""
    return _NO_TOOLS if tools is None else tool_columns(tools)


def text(value: Any) -> str:
    """A value as JSON columns hold it."""
    return orjson.dumps(value).decode()
