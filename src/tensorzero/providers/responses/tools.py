"""Tools and the tool choice of a ``ModelRequest`` in the form of the Responses API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorzero.types.tools import CustomTool, FunctionTool, ToolCallConfig


def map_tools(config: ToolCallConfig | None, own: Sequence[Any]) -> list[Any]:
    """Functions, custom tools, and the provider's ``own``."""
    if config is None:
        return list(own)
    tools: list[Any] = [_function(tool) for tool in config.tools]
    tools += [_custom(tool) for tool in config.custom_tools]
    return [*tools, *own]


def _function(tool: FunctionTool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters.value,
        "strict": tool.strict,
    }


def _custom(tool: CustomTool) -> dict[str, Any]:
    mapped: dict[str, Any] = {"type": "custom", "name": tool.name}
    if tool.description is not None:
        mapped["description"] = tool.description
    if tool.format is not None:
        grammar = tool.format.get("grammar")
        mapped["format"] = tool.format if grammar is None else {"type": "grammar", **grammar}
    return mapped


def map_choice(config: ToolCallConfig) -> Any:
    """An explicit list of allowed tools comes before every choice, even that of none."""
    choice = config.tool_choice
    if config.allowed_tools.choice == "explicit":
        keys = config.allowed_tools.tools
        names = [_named(tool.name, "function") for tool in config.tools if tool.key in keys]
        names += [_named(tool.name, "custom") for tool in config.custom_tools if tool.name in keys]
        return _allowed("required" if choice == "required" else "auto", names)
    if isinstance(choice, dict):
        name = choice["specific"]
        kind = "custom" if isinstance(config.find(name), CustomTool) else "function"
        return _allowed("required", [_named(name, kind)])
    return choice


def _named(name: str, kind: str) -> dict[str, Any]:
    return {"type": kind, "name": name}


def _allowed(mode: str, tools: list[dict[str, Any]]) -> dict[str, Any]:
    return {"mode": mode, "tools": tools, "type": "allowed_tools"}
