"""Reads the request's tools and escape hatches."""

from __future__ import annotations

from typing import Any

from tensorzero.gateway.fields import (
    boolean,
    choice,
    fault,
    items,
    mapping,
    refuse_unknown,
    required,
    string,
    wrong,
)
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.schema import request_schema
from tensorzero.types.tools import CustomTool, FunctionTool, ProviderTool, ToolChoice


def parse_tool_choice(value: Any, path: str) -> ToolChoice:
    if type(value) is dict:
        refuse_unknown(value, path, ("specific",))
        return {"specific": string(required(value, "specific", path), f"{path}.specific")}
    text = choice(value, path, ("none", "auto", "required"))
    return "none" if text == "none" else "auto" if text == "auto" else "required"


def parse_additional_tools(value: Any, path: str) -> tuple[FunctionTool | CustomTool, ...]:
    return tuple(
        _tool(mapping(entry, f"{path}[{at}]"), f"{path}[{at}]")
        for at, entry in enumerate(items(value, path))
    )


def _tool(table: dict[str, Any], path: str) -> FunctionTool | CustomTool:
    kind = table.get("type")
    if kind is None:
        kind = "function"
    if kind == "openai_custom":
        return parse_custom_tool(table, path)
    choice(kind, f"{path}.type", ("function", "client_side_function", "openai_custom"))
    refuse_unknown(table, path, ("type", "name", "description", "parameters", "strict"))
    name = string(required(table, "name", path), f"{path}.name")
    description = string(required(table, "description", path), f"{path}.description")
    parameters = required(table, "parameters", path)
    strict = table.get("strict")
    strict = strict is not None and boolean(strict, f"{path}.strict")
    return FunctionTool(name, name, description, request_schema(parameters), strict)


def parse_custom_tool(table: dict[str, Any], path: str) -> CustomTool:
    refuse_unknown(table, path, ("type", "name", "description", "format"))
    name = string(required(table, "name", path), f"{path}.name")
    description = table.get("description")
    if description is not None:
        string(description, f"{path}.description")
    form = table.get("format")
    if form is not None:
        _custom_format(mapping(form, f"{path}.format"), f"{path}.format")
    return CustomTool(name, description, form)


def _custom_format(table: dict[str, Any], path: str) -> None:
    kind = choice(required(table, "type", path), f"{path}.type", ("text", "grammar"))
    if kind == "text":
        refuse_unknown(table, path, ("type",))
        return
    refuse_unknown(table, path, ("type", "grammar"))
    grammar = mapping(required(table, "grammar", path), f"{path}.grammar")
    path = f"{path}.grammar"
    refuse_unknown(grammar, path, ("syntax", "definition"))
    choice(required(grammar, "syntax", path), f"{path}.syntax", ("lark", "regex"))
    string(required(grammar, "definition", path), f"{path}.definition")


def parse_provider_tools(value: Any, path: str) -> tuple[ProviderTool, ...]:
    return tuple(
        _provider_tool(mapping(entry, f"{path}[{at}]"), f"{path}[{at}]")
        for at, entry in enumerate(items(value, path))
    )


def _provider_tool(table: dict[str, Any], path: str) -> ProviderTool:
    refuse_unknown(table, path, ("scope", "tool"))
    tool = required(table, "tool", path)
    scope = table.get("scope")
    if scope is None:
        return ProviderTool(tool)
    path = f"{path}.scope"
    fields = mapping(scope, path)
    refuse_unknown(fields, path, ("model_name", "provider_name", "model_provider_name"))
    model = string(required(fields, "model_name", path), f"{path}.model_name")
    provider = fields.get("provider_name")
    if provider is None:
        provider = fields.get("model_provider_name")
    if provider is not None:
        string(provider, f"{path}.provider_name")
    return ProviderTool(tool, model, provider)


_FILTERS = ("variant_name", "model_name", "provider_name")


def _filters(table: dict[str, Any], path: str) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for key in _FILTERS:
        value = table.get(key)
        if value is not None:
            values[key] = string(value, f"{path}.{key}")
    if "variant_name" in values and len(values) > 1:
        raise fault(path, "`variant_name` cannot stand beside `model_name` or `provider_name`")
    if "provider_name" in values and "model_name" not in values:
        raise fault(path, "`provider_name` needs `model_name` beside it")
    return values


def _edit(table: dict[str, Any], path: str, *, has_value: bool) -> bool:
    """Whether the entry deletes; exactly one of ``value`` and ``delete`` must be there."""
    has_delete = table.get("delete") is not None
    if has_delete and has_value:
        raise fault(path, "`value` and `delete` exclude each other")
    if has_delete:
        if table["delete"] is not True:
            raise fault(f"{path}.delete", "`delete` must be `true`, or not set")
        return True
    if not has_value:
        raise fault(path, "missing field `value` (or `delete: true`)")
    return False


def parse_extra_body(value: Any, path: str) -> tuple[ExtraBody, ...]:
    entries = []
    for index, entry in enumerate(items(value, path)):
        where = f"{path}[{index}]"
        table = mapping(entry, where)
        if "model_provider_name" in table:
            refuse_unknown(table, where, ("model_provider_name", "pointer", "value", "delete"))
        else:
            refuse_unknown(table, where, ("pointer", "value", "delete", *_FILTERS))
        pointer = string(required(table, "pointer", where), f"{where}.pointer")
        # A body may be given the value null; a header has none.
        delete = _edit(table, where, has_value="value" in table)
        entries.append(ExtraBody(pointer, table.get("value"), delete, **_filters(table, where)))
    return tuple(entries)


def parse_extra_headers(value: Any, path: str) -> tuple[ExtraHeader, ...]:
    entries = []
    for index, entry in enumerate(items(value, path)):
        where = f"{path}[{index}]"
        table = mapping(entry, where)
        refuse_unknown(table, where, ("name", "value", "delete", *_FILTERS))
        name = string(required(table, "name", where), f"{where}.name")
        text = table.get("value")
        delete = _edit(table, where, has_value=text is not None)
        if not delete and type(text) is not str:
            raise wrong(text, f"{where}.value", "a string")
        entries.append(ExtraHeader(name, text, delete, **_filters(table, where)))
    return tuple(entries)
