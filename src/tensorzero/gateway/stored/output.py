"""The ``output`` column: blocks of chat functions, ``{raw, parsed}`` of json functions."""

from __future__ import annotations

from typing import Any, cast

from tensorzero.functions.output import JsonOutput
from tensorzero.gateway.fields import fault, items, mapping, required, string
from tensorzero.gateway.input_parser import parse_thought, parse_unknown
from tensorzero.gateway.stored.text import parsed, stored_json
from tensorzero.types.content import ChatBlock, CheckedToolCall, Text


def read_chat_output(text: str, column: str = "output") -> list[ChatBlock]:
    """A recorded answer, a demonstration or a datapoint's output; raises
    ``ClickHouseDeserialization``."""
    value = stored_json(text, column)
    return [] if value is None else parsed(chat_blocks, value, column)


def read_json_output(text: str, column: str = "output") -> JsonOutput:
    """The same for json functions."""
    value = stored_json(text, column)
    return JsonOutput(None, None, []) if value is None else parsed(_json_output, value, column)


def chat_blocks(value: Any, path: str) -> list[ChatBlock]:
    """Output blocks, each complete; raises ``JsonRequest``."""
    return [_block(block, f"{path}[{at}]") for at, block in enumerate(items(value, path))]


def _block(value: Any, path: str) -> ChatBlock:
    table = mapping(value, path)
    kind = string(required(table, "type", path), f"{path}.type")
    if kind == "text":
        return Text(string(required(table, "text", path), f"{path}.text"))
    if kind == "tool_call":
        name = table.get("name")
        return CheckedToolCall(
            string(required(table, "id", path), f"{path}.id"),
            string(required(table, "raw_name", path), f"{path}.raw_name"),
            string(required(table, "raw_arguments", path), f"{path}.raw_arguments"),
            None if name is None else string(name, f"{path}.name"),
            table.get("arguments"),
        )
    if kind == "thought":
        return cast(ChatBlock, parse_thought(table, path, ""))
    if kind == "unknown":
        return cast(ChatBlock, parse_unknown(table, path, ""))
    expected = "`text`, `tool_call`, `thought`, `unknown`"
    raise fault(path, f"unknown variant `{kind[:64]}`, expected one of {expected}")


def _json_output(value: Any, path: str) -> JsonOutput:
    table = mapping(value, path)
    raw = table.get("raw")
    return JsonOutput(None if raw is None else string(raw, f"{path}.raw"), table.get("parsed"), [])
