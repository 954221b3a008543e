"""Tools that a model may call, and which of them a call offers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tensorzero.types.schema import JSONSchema

ToolChoice = Literal["none", "auto", "required"] | dict[str, str]
"""``{"specific": name}`` forces one tool."""


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A tool with JSON arguments. ``key`` is what configs and ``allowed_tools`` name, ``name``
    what the model sees."""

    key: str
    name: str
    description: str
    parameters: JSONSchema
    strict: bool = False

    def to_legacy_json(self) -> dict[str, Any]:
        """The element of the ``tool_params`` column."""
        return {
            "description": self.description,
            "parameters": self.parameters.value,
            "name": self.name,
            "strict": self.strict,
        }

    def to_json(self) -> dict[str, Any]:
        """The element of the ``dynamic_tools`` column."""
        return {"type": "function", **self.to_legacy_json()}


@dataclass(frozen=True, slots=True)
class CustomTool:
    """An OpenAI custom tool: free text or a grammar instead of JSON arguments."""

    name: str
    description: str | None = None
    format: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "openai_custom", "name": self.name}
        if self.description is not None:
            out["description"] = self.description
        if self.format is not None:
            out["format"] = self.format
        return out


@dataclass(frozen=True, slots=True)
class ProviderTool:
    """A tool of a provider's own, passed through. Without scope every provider gets it."""

    tool: Any
    model_name: str | None = None
    provider_name: str | None = None

    def applies_to(self, model_name: str, provider_name: str) -> bool:
        if self.model_name is None:
            return True
        return self.model_name == model_name and self.provider_name in (None, provider_name)

    def to_json(self) -> dict[str, Any]:
        scope: dict[str, Any] | None = None
        if self.model_name is not None:
            scope = {"model_name": self.model_name}
            if self.provider_name is not None:
                scope["provider_name"] = self.provider_name
        return {"scope": scope, "tool": self.tool}


@dataclass(frozen=True, slots=True)
class AllowedTools:
    """Which tools a call may use, and who said so."""

    tools: tuple[str, ...]
    choice: Literal["function_default", "explicit"]

    def to_json(self) -> dict[str, Any]:
        return {"tools": list(self.tools), "choice": self.choice}


@dataclass(frozen=True, slots=True)
class ToolCallConfig:
    """Everything about tools that one model call needs. ``None`` in its place: no tools."""

    static_tools: tuple[FunctionTool, ...]
    dynamic_tools: tuple[FunctionTool, ...] = ()
    custom_tools: tuple[CustomTool, ...] = ()
    provider_tools: tuple[ProviderTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    allowed_tools: AllowedTools = field(
        default_factory=lambda: AllowedTools((), "function_default")
    )

    @property
    def tools(self) -> tuple[FunctionTool, ...]:
        """Static tools, then the request's."""
        return self.static_tools + self.dynamic_tools

    def find(self, name: str) -> FunctionTool | CustomTool | None:
        """The offered tool with this display name."""
        for tool in self.static_tools:
            if tool.name == name:
                return tool
        for tool in self.dynamic_tools:
            if tool.name == name:
                return tool
        for custom in self.custom_tools:
            if custom.name == name:
                return custom
        return None

    def allowed_function_tools(self) -> tuple[FunctionTool, ...]:
        """What providers get that cannot restrict natively: with an explicit list, its members
        (by key), else all."""
        if self.allowed_tools.choice != "explicit":
            return self.tools
        keys = self.allowed_tools.tools
        return tuple(tool for tool in self.tools if tool.key in keys)
