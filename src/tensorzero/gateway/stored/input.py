"""The ``input`` column: unrendered messages, in today's form whatever wrote them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tensorzero.gateway.fields import choice, fault, items, mapping, required, string, wrong
from tensorzero.gateway.input_parser import (
    parse_storage_path,
    parse_thought,
    parse_tool_call,
    parse_unknown,
)
from tensorzero.gateway.stored.text import parsed, stored_json
from tensorzero.types.content import (
    Input,
    InputBlock,
    InputMessage,
    RawText,
    Role,
    Template,
    Text,
    ToolResult,
)
from tensorzero.types.files import Detail, File


def read_input(text: str) -> Input:
    """The stored input; raises ``ClickHouseDeserialization``.

    ``Input.to_json`` gives the form that inference queries answer, ``request_form`` that of
    datapoints.
    """
    value = stored_json(text, "input")
    return Input([]) if value is None else parsed(_input, value, "input")


def request_form(given: Input) -> dict[str, Any]:
    """As ``to_json``, with file pointers tagged, so that it can be sent to ``/inference``."""
    out = given.to_json()
    for message in out["messages"]:
        message["content"] = [_tagged(block) for block in message["content"]]
    return out


def _tagged(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] != "file":
        return block
    return {"type": "file", "file_type": "object_storage_pointer", **block}


def _input(value: Any, path: str) -> Input:
    table = mapping(value, path)
    system = table.get("system")
    if system is not None and type(system) not in (str, dict):
        raise wrong(system, f"{path}.system", "a string or an object")
    messages = items(required(table, "messages", path), f"{path}.messages")
    read = [_message(message, f"{path}.messages[{at}]") for at, message in enumerate(messages)]
    return Input(read, system)


def _message(value: Any, path: str) -> InputMessage:
    table = mapping(value, path)
    role = cast(Role, choice(required(table, "role", path), f"{path}.role", ("user", "assistant")))
    path = f"{path}.content"
    content = items(required(table, "content", path), path)
    return InputMessage(
        role, [_block(block, f"{path}[{at}]", role) for at, block in enumerate(content)]
    )


def _block(value: Any, path: str, role: str) -> InputBlock:
    table = mapping(value, path)
    kind = string(required(table, "type", path), f"{path}.type")
    parser = _BLOCKS.get(kind)
    if parser is None:
        raise fault(path, f"unknown variant `{kind[:64]}`")
    return parser(table, path, role)


def _text(table: dict[str, Any], path: str, role: str) -> InputBlock:
    if "text" in table:
        return Text(string(table["text"], f"{path}.text"))
    value = required(table, "value", path)
    if type(value) is dict:
        return Template(role, value)
    return Text(string(value, f"{path}.value"))


def _template(table: dict[str, Any], path: str, role: str) -> InputBlock:
    return Template(
        string(required(table, "name", path), f"{path}.name"),
        mapping(required(table, "arguments", path), f"{path}.arguments"),
    )


def _raw_text(table: dict[str, Any], path: str, role: str) -> InputBlock:
    return RawText(string(required(table, "value", path), f"{path}.value"))


def _tool_result(table: dict[str, Any], path: str, role: str) -> InputBlock:
    return ToolResult(
        string(required(table, "id", path), f"{path}.id"),
        string(required(table, "name", path), f"{path}.name"),
        string(required(table, "result", path), f"{path}.result"),
    )


def _file(table: dict[str, Any], path: str, role: str) -> InputBlock:
    # Old rows nest what describes the file under the block's own name.
    nested = table.get(table["type"])
    about = table if nested is None else mapping(nested, path)
    source_url = about.get("source_url")
    if source_url is None:
        source_url = about.get("url")
    stored = table.get("storage_path")
    return File(
        mime_type=_optional(about.get("mime_type"), f"{path}.mime_type"),
        storage_path=None if stored is None else parse_storage_path(stored, f"{path}.storage_path"),
        source_url=_optional(source_url, f"{path}.source_url"),
        detail=_detail(table.get("detail"), f"{path}.detail"),
        filename=_optional(table.get("filename"), f"{path}.filename"),
    )


def _optional(value: Any, path: str) -> str | None:
    return None if value is None else string(value, path)


def _detail(value: Any, path: str) -> Detail | None:
    if value is None:
        return None
    return cast(Detail, choice(value, path, ("low", "high", "auto")))


_BLOCKS: dict[str, Callable[[dict[str, Any], str, str], InputBlock]] = {
    "text": _text,
    "template": _template,
    "raw_text": _raw_text,
    "tool_call": parse_tool_call,
    "tool_result": _tool_result,
    "thought": parse_thought,
    "file": _file,
    "image": _file,
    "unknown": parse_unknown,
}
