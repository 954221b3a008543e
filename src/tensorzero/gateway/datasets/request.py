"""The datapoints that a client sends, and the changes to those that are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from msgspec import UNSET, UnsetType

from tensorzero.gateway.fields import boolean, choice, mapping, required, string, strings, uuid
from tensorzero.gateway.input_parser import parse_input
from tensorzero.gateway.request import parse_tags
from tensorzero.gateway.stored.output import chat_blocks
from tensorzero.gateway.tools_parser import (
    parse_additional_tools,
    parse_provider_tools,
    parse_tool_choice,
)
from tensorzero.types.content import ChatBlock, Input
from tensorzero.types.tools import CustomTool, FunctionTool, ProviderTool, ToolChoice

Kind = Literal["chat", "json"]
KINDS = ("chat", "json")


@dataclass(frozen=True, slots=True)
class RawOutput:
    """The output of a json datapoint as it is sent: only its text counts."""

    raw: str | None


@dataclass(frozen=True, slots=True)
class ToolChanges:
    """``UNSET`` keeps what is stored (of a new datapoint: the function's), ``None`` takes the
    function's."""

    allowed_tools: tuple[str, ...] | UnsetType | None = UNSET
    tool_choice: ToolChoice | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    additional_tools: tuple[FunctionTool | CustomTool, ...] | UnsetType = UNSET
    provider_tools: tuple[ProviderTool, ...] | UnsetType = UNSET


NO_CHANGES = ToolChanges()


@dataclass(frozen=True, slots=True)
class NewDatapoint:
    """An element of ``POST …/datapoints``. ``output`` ``None``: there is none."""

    kind: Kind
    function_name: str
    input: Input
    output: list[ChatBlock] | RawOutput | None
    output_schema: Any
    """``None``: the function's."""
    tools: ToolChanges
    episode_id: str | None
    tags: dict[str, str]
    name: str | None


@dataclass(frozen=True, slots=True)
class DatapointUpdate:
    """An element of ``PATCH …/datapoints``. ``UNSET``, and ``None`` where a field cannot be
    cleared, keep what is stored."""

    kind: Kind
    id: str
    input: Input | None
    output: list[ChatBlock] | RawOutput | UnsetType | None
    output_schema: Any
    tools: ToolChanges
    tags: dict[str, str] | None
    name: str | UnsetType | None


@dataclass(frozen=True, slots=True)
class MetadataUpdate:
    """An element of ``PATCH …/datapoints/metadata``."""

    id: str
    name: str | UnsetType | None


def parse_new(value: Any, path: str) -> NewDatapoint:
    """Raises ``JsonRequest``; fields that are not known are ignored."""
    table = mapping(value, path)
    kind = _kind(table, path)
    output = _output(table, kind, path)
    episode_id, tags = table.get("episode_id"), table.get("tags")
    name = _name(table, path)
    return NewDatapoint(
        kind,
        string(required(table, "function_name", path), f"{path}.function_name"),
        parse_input(required(table, "input", path), f"{path}.input"),
        None if output is UNSET else output,
        table.get("output_schema"),
        _tools(table, path) if kind == "chat" else NO_CHANGES,
        None if episode_id is None else uuid(episode_id, f"{path}.episode_id"),
        {} if tags is None else parse_tags(tags, f"{path}.tags"),
        None if name is UNSET else name,
    )


def parse_update(value: Any, path: str) -> DatapointUpdate:
    """Raises ``JsonRequest``; fields that are not known are ignored."""
    table = mapping(value, path)
    kind = _kind(table, path)
    given, tags = table.get("input"), table.get("tags")
    return DatapointUpdate(
        kind,
        uuid(required(table, "id", path), f"{path}.id"),
        None if given is None else parse_input(given, f"{path}.input"),
        _output(table, kind, path),
        table.get("output_schema"),
        _tools(table, path) if kind == "chat" else NO_CHANGES,
        None if tags is None else parse_tags(tags, f"{path}.tags"),
        _name(table, path),
    )


def parse_metadata_update(value: Any, path: str) -> MetadataUpdate:
    """Raises ``JsonRequest``; fields that are not known are ignored."""
    table = mapping(value, path)
    return MetadataUpdate(
        uuid(required(table, "id", path), f"{path}.id"),
        _name(table, path),
    )


def _kind(table: dict[str, Any], path: str) -> Kind:
    return cast(Kind, choice(required(table, "type", path), f"{path}.type", KINDS))


def _name(table: dict[str, Any], path: str) -> str | UnsetType | None:
    if "name" not in table:
        return UNSET
    return None if table["name"] is None else string(table["name"], f"{path}.name")


def _output(
    table: dict[str, Any], kind: Kind, path: str
) -> list[ChatBlock] | RawOutput | UnsetType | None:
    if "output" not in table:
        return UNSET
    value, path = table["output"], f"{path}.output"
    if value is None:
        return None
    if kind == "chat":
        return chat_blocks(value, path)
    raw = mapping(value, path).get("raw")
    return RawOutput(None if raw is None else string(raw, f"{path}.raw"))


def _tools(table: dict[str, Any], path: str) -> ToolChanges:
    changes: dict[str, Any] = {}
    for key, parse in (
        ("allowed_tools", strings),
        ("tool_choice", parse_tool_choice),
        ("parallel_tool_calls", boolean),
    ):
        if key in table:
            value = table[key]
            changes[key] = None if value is None else parse(value, f"{path}.{key}")
    for key, parse_list in (
        ("additional_tools", parse_additional_tools),
        ("provider_tools", parse_provider_tools),
    ):
        value = table.get(key)
        if value is not None:
            changes[key] = parse_list(value, f"{path}.{key}")
    return ToolChanges(**changes)
