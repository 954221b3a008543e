"""The tool columns of chat rows, and the request fields that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tensorzero.gateway.fields import boolean, choice, items, mapping, required, string, strings
from tensorzero.gateway.stored.text import parsed, stored_json
from tensorzero.gateway.tools_parser import (
    parse_custom_tool,
    parse_provider_tools,
    parse_tool_choice,
)
from tensorzero.types.tools import AllowedTools, ProviderTool, ToolChoice

TOOL_COLUMNS = (
    "tool_params",
    "dynamic_tools",
    "dynamic_provider_tools",
    "allowed_tools",
    "tool_choice",
    "parallel_tool_calls",
)
"""What ``read_tools`` wants of a row of ``ChatInference`` or ``ChatInferenceDatapoint``."""


@dataclass(frozen=True, slots=True)
class StoredTools:
    """What a chat row says about tools. ``tool_choice`` is ``None`` where it says nothing."""

    additional_tools: tuple[dict[str, Any], ...] = ()
    """Tools as a request gives them, each with its ``type``."""
    provider_tools: tuple[ProviderTool, ...] = ()
    allowed_tools: AllowedTools | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None

    @property
    def explicitly_allowed(self) -> tuple[str, ...] | None:
        """``allowed_tools`` of a request: ``None`` for the function's default."""
        if self.allowed_tools is None or self.allowed_tools.choice != "explicit":
            return None
        return self.allowed_tools.tools

    def to_json(self) -> dict[str, Any]:
        """The fields of an answer, absent ones left out; all but ``provider_tools`` may be."""
        out: dict[str, Any] = {}
        allowed = self.explicitly_allowed
        if allowed is not None:
            out["allowed_tools"] = list(allowed)
        if self.additional_tools:
            out["additional_tools"] = list(self.additional_tools)
        if self.tool_choice is not None:
            out["tool_choice"] = self.tool_choice
        if self.parallel_tool_calls is not None:
            out["parallel_tool_calls"] = self.parallel_tool_calls
        out["provider_tools"] = [tool.to_json() for tool in self.provider_tools]
        return out


NO_TOOLS = StoredTools()


def read_tools(row: Mapping[str, Any]) -> StoredTools:
    """The ``TOOL_COLUMNS`` of a row; raises ``ClickHouseDeserialization``.

    Rows from before there were columns have only ``tool_params``; of its tools, which may be the
    function's own, nothing is shown.
    """
    allowed, chosen = stored_json(row["allowed_tools"] or "", "allowed_tools"), row["tool_choice"]
    if allowed is None and chosen is None:
        legacy = stored_json(row["tool_params"], "tool_params")
        return NO_TOOLS if legacy is None else parsed(_legacy, legacy, "tool_params")
    provider_tools = [
        stored_json(text, "dynamic_provider_tools") for text in row["dynamic_provider_tools"]
    ]
    return StoredTools(
        tuple(
            parsed(_tool, stored_json(text, "dynamic_tools"), "dynamic_tools")
            for text in row["dynamic_tools"]
        ),
        parsed(parse_provider_tools, provider_tools, "dynamic_provider_tools"),
        None if allowed is None else parsed(_allowed, allowed, "allowed_tools"),
        "auto" if chosen is None else parsed(_choice, chosen, "tool_choice"),
        row["parallel_tool_calls"],
    )


def _tool(value: Any, path: str) -> dict[str, Any]:
    table = mapping(value, path)
    if table.get("type") == "openai_custom":
        return parse_custom_tool(table, path).to_json()
    kind = table.get("type")
    if kind is not None:
        choice(kind, f"{path}.type", ("function", "client_side_function"))
    strict = table.get("strict")
    return {
        "type": "function",
        "description": string(required(table, "description", path), f"{path}.description"),
        "parameters": required(table, "parameters", path),
        "name": string(required(table, "name", path), f"{path}.name"),
        "strict": strict is not None and boolean(strict, f"{path}.strict"),
    }


def _allowed(value: Any, path: str) -> AllowedTools:
    table = mapping(value, path)
    names = strings(required(table, "tools", path), f"{path}.tools")
    said = choice(
        required(table, "choice", path),
        f"{path}.choice",
        ("function_default", "explicit", "dynamic_allowed_tools"),
    )
    return AllowedTools(names, "function_default" if said == "function_default" else "explicit")


def _choice(value: Any, path: str) -> ToolChoice:
    """A bare word, or an object as JSON."""
    text = string(value, path)
    return parse_tool_choice(stored_json(text, path) if text[:1] in '{"' else text, path)


def _legacy(value: Any, path: str) -> StoredTools:
    table = mapping(value, path)
    items(required(table, "tools_available", path), f"{path}.tools_available")
    parallel = table.get("parallel_tool_calls")
    return StoredTools(
        tool_choice=parse_tool_choice(required(table, "tool_choice", path), f"{path}.tool_choice"),
        parallel_tool_calls=(
            None if parallel is None else boolean(parallel, f"{path}.parallel_tool_calls")
        ),
    )
