"""Takes a model's answer apart: chat blocks with checked tool calls, or parsed JSON."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tensorzero.types import json_text
from tensorzero.types.content import (
    ChatBlock,
    CheckedToolCall,
    OutputBlock,
    Text,
    ToolCall,
)
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import FunctionTool, ToolCallConfig

log = logging.getLogger(__name__)


class JsonOutput(Struct):
    """A json function's answer. ``auxiliary`` are the model's other blocks: recorded only."""

    raw: str | None
    parsed: Any
    auxiliary: list[OutputBlock]

    def to_json(self) -> dict[str, Any]:
        return {"raw": self.raw, "parsed": self.parsed}


def chat_output(
    blocks: Sequence[OutputBlock],
    tools: ToolCallConfig | None,
    *,
    implicit_tool: bool = False,
) -> list[ChatBlock]:
    """The blocks of a chat answer. ``implicit_tool``: the request asked for ``json_mode =
    "tool"``, so the call comes back as text."""
    out: list[ChatBlock] = []
    for block in blocks:
        if not isinstance(block, ToolCall):
            out.append(block)
        elif implicit_tool:
            out.append(Text(block.arguments))
        else:
            out.append(check_tool_call(block, tools))
    if not out:
        log.error("the model answered without any content block")
    return out


def check_tool_call(call: ToolCall, tools: ToolCallConfig | None) -> CheckedToolCall:
    """Name and arguments where the call is valid; an invalid call is not an error."""
    tool = None if tools is None else tools.find(call.name)
    arguments = None
    if isinstance(tool, FunctionTool):
        try:
            parsed = json_text.loads(call.arguments)
        except ValueError:
            parsed = None
        else:
            if tool.parameters.is_valid(parsed):
                arguments = parsed
    name = None if tool is None else call.name
    return CheckedToolCall(call.id, call.name, call.arguments, name, arguments)


def json_output(blocks: Sequence[OutputBlock], schema: JSONSchema) -> JsonOutput:
    """The last text or tool call, parsed if it is JSON and fits ``schema``."""
    index = -1
    raw: str | None = None
    for position, block in enumerate(blocks):
        if isinstance(block, Text):
            index, raw = position, block.text
        elif isinstance(block, ToolCall):
            index, raw = position, block.arguments
    auxiliary = [block for position, block in enumerate(blocks) if position != index]
    if raw is None:
        log.warning("the model answered a json function without text or tool call")
        return JsonOutput(None, None, auxiliary)
    try:
        parsed = json_text.loads(raw)
    except ValueError as error:
        log.warning("the answer of a json function is not JSON: %s", error)
        return JsonOutput(raw, None, auxiliary)
    if not schema.is_valid(parsed):
        log.warning("the answer of a json function does not fit its output schema")
        return JsonOutput(raw, None, auxiliary)
    return JsonOutput(raw, parsed, auxiliary)
