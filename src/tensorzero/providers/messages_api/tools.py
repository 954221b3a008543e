"""Tools and their choice as the Messages API takes them."""

from __future__ import annotations

from typing import Any

from tensorzero.types.errors import IncompatibleTool
from tensorzero.types.tools import FunctionTool, ToolCallConfig


def refuse_custom_tools(config: ToolCallConfig) -> None:
    """Raises ``IncompatibleTool``, unless no tool is offered anyway."""
    if config.custom_tools and config.tool_choice != "none":
        raise IncompatibleTool("OpenAI custom tools are not supported by this provider")


def tool_fields(
    config: ToolCallConfig | None, provider_tools: list[Any], *, strict: bool
) -> dict[str, Any]:
    """``tool_choice`` and ``tools``. ``provider_tools`` are sent as they are, after the function
    tools; ``strict``: whether the host takes that key."""
    if config is None:
        return {"tools": provider_tools} if provider_tools else {}
    if config.tool_choice == "none":
        return {}
    offered = config.allowed_function_tools()
    tools = [_map_tool(tool, strict=strict) for tool in offered] + provider_tools
    if not tools:
        return {}
    return {"tool_choice": _map_choice(config), "tools": tools}


def _map_tool(tool: FunctionTool, *, strict: bool) -> dict[str, Any]:
    mapped: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.parameters.value,
    }
    if strict:
        mapped["strict"] = tool.strict
    return mapped


def _map_choice(config: ToolCallConfig) -> dict[str, Any]:
    choice = config.tool_choice
    alone = {"disable_parallel_tool_use": config.parallel_tool_calls is False}
    if isinstance(choice, dict):
        return {"type": "tool", "name": choice["specific"], **alone}
    return {"type": "any" if choice == "required" else "auto", **alone}
