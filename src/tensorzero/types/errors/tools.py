"""Tools of a call."""

from __future__ import annotations

from tensorzero.types.errors.base import GatewayError, MessageError


class IncompatibleTool(MessageError):
    kind = "IncompatibleTool"
    status = 400


class InvalidTool(MessageError):
    """Tools asked for in a way that the provider has none."""

    kind = "InvalidTool"


class ToolNotFound(GatewayError):
    kind = "ToolNotFound"
    status = 400

    def __init__(self, name: str) -> None:
        super().__init__(f"Tool not found: {name}", name=name)


class DuplicateTool(GatewayError):
    kind = "DuplicateTool"
    status = 400

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Duplicate tool name: {name}. Tool names must be unique among the tools of a call.",
            name=name,
        )
