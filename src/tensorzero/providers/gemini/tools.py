"""Tools, their choice, and JSON Schemas as Gemini takes them."""

from __future__ import annotations

from typing import Any

from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import ToolCallConfig

REMOVED = frozenset({"additionalProperties", "$schema", "ref"})
"""Keywords that the vendor refuses."""
NAMING = frozenset({"properties", "patternProperties", "$defs", "definitions"})
"""Keywords whose keys are names, not keywords."""
MAX_KEPT = 256


class Schemas:
    """Schemas without what the vendor refuses; each object is cleaned once."""

    def __init__(self) -> None:
        # With the object itself, so that its id stays its own.
        self._kept: dict[int, tuple[JSONSchema, Any]] = {}

    def clean(self, schema: JSONSchema) -> Any:
        """Raises ``RecursionError`` for one that is nested too deep to be sent."""
        kept = self._kept.get(id(schema))
        if kept is None:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            kept = self._kept[id(schema)] = (schema, clean_schema(schema.value))
        return kept[1]


def clean_schema(value: Any) -> Any:
    """``value`` without the removed keywords at any depth; the order of the rest stays."""
    if isinstance(value, dict):
        return {
            key: {name: clean_schema(one) for name, one in inner.items()}
            if key in NAMING and isinstance(inner, dict)
            else clean_schema(inner)
            for key, inner in value.items()
            if key not in REMOVED
        }
    if isinstance(value, list):
        return [clean_schema(one) for one in value]
    return value


def map_tools(config: ToolCallConfig, schemas: Schemas) -> list[dict[str, Any]] | None:
    """All function tools as one element, ``None`` where there are none."""
    declarations = [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": schemas.clean(tool.parameters),
        }
        for tool in config.tools
    ]
    return [{"functionDeclarations": declarations}] if declarations else None


def map_tool_config(config: ToolCallConfig) -> dict[str, Any]:
    """``toolConfig``. The vendor takes names with mode ``any`` only: a list forces a call."""
    choice = config.tool_choice
    calling: dict[str, Any]
    if isinstance(choice, dict):
        calling = {"mode": "any", "allowedFunctionNames": [choice["specific"]]}
    elif choice == "none":
        calling = {"mode": "none"}
    elif config.allowed_tools.choice == "explicit":
        display = {tool.key: tool.name for tool in config.tools}
        names = [display[key] for key in config.allowed_tools.tools if key in display]
        calling = {"mode": "any", "allowedFunctionNames": names} if names else {"mode": "none"}
    else:
        calling = {"mode": "any" if choice == "required" else "auto"}
    return {"functionCallingConfig": calling}
