"""Tools and the response format of a ``ModelRequest`` in Chat Completions form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorzero.types.errors import ConfigError, IncompatibleTool
from tensorzero.types.model import Attempt, ModelRequest
from tensorzero.types.tools import CustomTool, FunctionTool, ToolCallConfig


def map_tool(tool: FunctionTool, *, strict: bool = True) -> dict[str, Any]:
    """``strict`` stands beside ``function``: inside it would turn on a vendor's schema rules."""
    mapped: dict[str, Any] = {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters.value,
        },
    }
    if strict:
        mapped["strict"] = tool.strict
    return mapped


def map_custom_tool(tool: CustomTool) -> dict[str, Any]:
    custom: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        custom["description"] = tool.description
    if tool.format is not None:
        custom["format"] = tool.format
    return {"type": "custom", "custom": custom}


def map_tool_choice(config: ToolCallConfig) -> Any:
    choice = config.tool_choice
    if isinstance(choice, dict):
        return {"type": "function", "function": {"name": choice["specific"]}}
    return choice


def restricting_tool_choice(config: ToolCallConfig) -> Any:
    """For providers that restrict natively: all tools are sent, and which of them are allowed."""
    if config.allowed_tools.choice != "explicit" or config.tool_choice == "none":
        return map_tool_choice(config)
    keys = config.allowed_tools.tools
    allowed: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": tool.name}}
        for tool in config.tools
        if tool.key in keys
    ]
    allowed += [
        {"type": "custom", "custom": {"name": tool.name}}
        for tool in config.custom_tools
        if tool.name in keys
    ]
    mode = "required" if config.tool_choice == "required" else "auto"
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}


def refuse_custom_tools(config: ToolCallConfig, provider_type: str) -> None:
    if config.custom_tools:
        raise IncompatibleTool(
            f"OpenAI custom tools are not supported by the provider type `{provider_type}`"
        )


def scoped_provider_tools(config: ToolCallConfig, attempt: Attempt) -> list[Any]:
    """The request's provider tools that this attempt takes, verbatim."""
    return [
        tool.tool
        for tool in config.provider_tools
        if tool.applies_to(attempt.model_name, attempt.provider_name)
    ]


def refuse_provider_tools(request: ModelRequest, attempt: Attempt, provider_type: str) -> None:
    """Provider tools that this attempt would have to take, on a provider without such tools."""
    config = request.tool_config
    if config is None or not config.provider_tools:
        return
    offered = len(scoped_provider_tools(config, attempt))
    if offered:
        raise ConfigError(
            f"Provider `{provider_type}` does not support `provider_tools`, but {offered} provider "
            f"tool(s) were configured for model `{attempt.model_name}` / provider "
            f"`{attempt.provider_name}`. Scope them to a provider that does, or leave them out."
        )


def json_object(request: ModelRequest) -> dict[str, Any]:
    """``response_format`` of any object."""
    return {"type": "json_object"}


def json_schema(request: ModelRequest) -> dict[str, Any]:
    """``response_format`` that holds the vendor to the schema, where there is one."""
    if request.output_schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {"name": "response", "strict": True, "schema": request.output_schema.value},
    }


def json_object_schema(request: ModelRequest) -> dict[str, Any]:
    """``response_format`` with the schema beside the type."""
    if request.output_schema is None:
        return {"type": "json_object"}
    return {"type": "json_object", "schema": request.output_schema.value}


JsonFormats = Mapping[str, Callable[[ModelRequest], dict[str, Any]]]
"""``response_format`` by ``json_mode``; a mode that is not in it sends none."""

NATIVE_FORMATS: JsonFormats = {"on": json_object, "strict": json_schema}
OBJECT_FORMATS: JsonFormats = {"on": json_object, "strict": json_object}
SCHEMA_FORMATS: JsonFormats = {"on": json_schema, "strict": json_schema}
OBJECT_SCHEMA_FORMATS: JsonFormats = {"on": json_object_schema, "strict": json_object_schema}
