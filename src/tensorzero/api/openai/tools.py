"""Reads ``tools``, ``tool_choice`` and ``response_format`` (the contract's page, 5 and 6)."""

from __future__ import annotations

from typing import Any, cast

from tensorzero.gateway.fields import (
    boolean,
    choice,
    items,
    mapping,
    refuse_unknown,
    required,
    string,
    wrong,
)
from tensorzero.gateway.tools_parser import parse_custom_tool
from tensorzero.types.params import JsonMode
from tensorzero.types.schema import request_schema
from tensorzero.types.tools import CustomTool, FunctionTool, ToolChoice


def parse_tools(value: Any, path: str) -> tuple[FunctionTool | CustomTool, ...]:
    return tuple(
        _tool(mapping(entry, f"{path}[{at}]"), f"{path}[{at}]")
        for at, entry in enumerate(items(value, path))
    )


def _tool(table: dict[str, Any], path: str) -> FunctionTool | CustomTool:
    kind = choice(required(table, "type", path), f"{path}.type", ("function", "custom"))
    inner = f"{path}.{kind}"
    body = mapping(required(table, kind, path), inner)
    if kind == "custom":
        refuse_unknown(body, inner, ("name", "description", "format"))
        return parse_custom_tool(body, inner)
    name = string(required(body, "name", inner), f"{inner}.name")
    description = body.get("description")
    if description is not None:
        string(description, f"{inner}.description")
    strict = body.get("strict")
    if strict is not None:
        boolean(strict, f"{inner}.strict")
    parameters = body.get("parameters")
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    return FunctionTool(name, name, description or "", request_schema(parameters), bool(strict))


def parse_tool_choice(value: Any, path: str) -> tuple[ToolChoice | None, tuple[str, ...] | None]:
    """The choice, and the names that ``allowed_tools`` gives."""
    if type(value) is str:
        return cast(ToolChoice, choice(value, path, ("none", "auto", "required"))), None
    if type(value) is not dict:
        raise wrong(value, path, "a string or an object")
    kind = choice(required(value, "type", path), f"{path}.type", ("function", "allowed_tools"))
    if kind == "function":
        return {"specific": _name(value, path)}, None
    path = f"{path}.allowed_tools"
    allowed = mapping(required(value, "allowed_tools", path), path)
    mode = choice(required(allowed, "mode", path), f"{path}.mode", ("auto", "required"))
    names = []
    for at, entry in enumerate(items(required(allowed, "tools", path), f"{path}.tools")):
        where = f"{path}.tools[{at}]"
        table = mapping(entry, where)
        choice(required(table, "type", where), f"{where}.type", ("function",))
        names.append(_name(table, where))
    return cast(ToolChoice, mode), tuple(names)


def _name(table: dict[str, Any], path: str) -> str:
    path = f"{path}.function"
    function = mapping(required(table, "function", path), path)
    return string(required(function, "name", path), f"{path}.name")


_MODES: dict[str, JsonMode] = {"text": "off", "json_object": "on", "json_schema": "strict"}


def parse_response_format(value: Any, path: str) -> tuple[JsonMode, Any]:
    """The JSON mode, and the schema if one is given."""
    table = mapping(value, path)
    kind = choice(required(table, "type", path), f"{path}.type", tuple(_MODES))
    schema = None
    if kind == "json_schema":
        inner = f"{path}.json_schema"
        body = mapping(required(table, "json_schema", path), inner)
        string(required(body, "name", inner), f"{inner}.name")
        if body.get("description") is not None:
            string(body["description"], f"{inner}.description")
        if body.get("strict") is not None:
            boolean(body["strict"], f"{inner}.strict")
        schema = body.get("schema")
    return _MODES[kind], schema
