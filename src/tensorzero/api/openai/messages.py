"""Messages of a chat completion, mapped onto the native input (the contract's page, 4).

In two steps, because their faults differ in rank: the shape of a message is judged with the body,
its content after the other fields.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import orjson

from tensorzero.api.openai.blocks import parse_content
from tensorzero.gateway.fields import choice, integer, items, mapping, required, string
from tensorzero.gateway.input_parser import parse_thought, parse_unknown
from tensorzero.types.content import (
    Input,
    InputBlock,
    InputMessage,
    RawText,
    Template,
    Text,
    ToolCall,
    ToolResult,
)
from tensorzero.types.errors import InvalidOpenAICompatibleRequest

log = logging.getLogger(__name__)

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(slots=True)
class ChatMessage:
    """A message whose content is not looked into yet."""

    role: str
    content: Any
    tool_calls: list[ToolCall] = field(default_factory=list)
    extra: list[tuple[int | None, InputBlock]] = field(default_factory=list)
    tool_call_id: str = ""


def parse_messages(value: Any, path: str) -> list[ChatMessage]:
    """Roles, tool calls and extra content; raises ``JsonRequest``."""
    return [
        _message(mapping(entry, f"{path}[{at}]"), f"{path}[{at}]")
        for at, entry in enumerate(items(value, path))
    ]


def _message(table: dict[str, Any], path: str) -> ChatMessage:
    role = choice(required(table, "role", path), f"{path}.role", ROLES)
    if role == "assistant":
        return ChatMessage(
            role,
            table.get("content"),
            _tool_calls(table.get("tool_calls"), f"{path}.tool_calls"),
            _extra(table.get("tensorzero_extra_content"), f"{path}.tensorzero_extra_content"),
        )
    if role == "tool":
        call_id = string(required(table, "tool_call_id", path), f"{path}.tool_call_id")
        return ChatMessage(role, table.get("content"), tool_call_id=call_id)
    return ChatMessage(role, required(table, "content", path))


def _tool_calls(value: Any, path: str) -> list[ToolCall]:
    if value is None:
        return []
    calls = []
    for at, entry in enumerate(items(value, path)):
        where = f"{path}[{at}]"
        table = mapping(entry, where)
        string(required(table, "type", where), f"{where}.type")
        call_id = string(required(table, "id", where), f"{where}.id")
        inner = f"{where}.function"
        function = mapping(required(table, "function", where), inner)
        name = string(required(function, "name", inner), f"{inner}.name")
        arguments = string(required(function, "arguments", inner), f"{inner}.arguments")
        calls.append(ToolCall(call_id, name, arguments))
    return calls


_INDEX = integer(0, 2**63 - 1)


def _extra(value: Any, path: str) -> list[tuple[int | None, InputBlock]]:
    if value is None:
        return []
    blocks: list[tuple[int | None, InputBlock]] = []
    for at, entry in enumerate(items(value, path)):
        where = f"{path}[{at}]"
        table = mapping(entry, where)
        kind = choice(required(table, "type", where), f"{where}.type", ("thought", "unknown"))
        index = table.get("insert_index")
        if index is not None:
            index = _INDEX(index, f"{where}.insert_index")
        parse = parse_thought if kind == "thought" else parse_unknown
        blocks.append((index, parse(table, where, "assistant")))
    return blocks


def to_input(messages: list[ChatMessage]) -> Input:
    """The native input; raises ``InvalidOpenAICompatibleRequest`` for the first fault."""
    system = _System()
    out: list[InputMessage] = []
    tool_names: dict[str, str] = {}
    results: InputMessage | None = None
    for at, message in enumerate(messages):
        role, path = message.role, f"messages[{at}].content"
        if role == "tool":
            if results is None:
                results = InputMessage("user", [])
                out.append(results)
            results.content.append(_tool_result(message, tool_names, at))
            continue
        results = None
        if role == "user":
            out.append(InputMessage("user", parse_content(message.content, "user", path)))
        elif role == "assistant":
            out.append(_assistant(message, path))
            for call in message.tool_calls:
                tool_names[call.id] = call.name
        else:
            system.add(parse_content(message.content, "system", path), at, path)
    return Input(out, system.value())


def _tool_result(message: ChatMessage, names: dict[str, str], at: int) -> ToolResult:
    call_id = message.tool_call_id
    name = names.get(call_id)
    if name is None:
        raise InvalidOpenAICompatibleRequest(
            f"messages[{at}]: tool call id `{call_id[:256]}` not found in an earlier assistant "
            "message"
        )
    return ToolResult(call_id, name, orjson.dumps(message.content).decode())


def _assistant(message: ChatMessage, path: str) -> InputMessage:
    content: list[InputBlock] = []
    if message.content is not None:
        content = parse_content(message.content, "assistant", path)
    content += message.tool_calls
    if message.extra:
        indexed = [(index, block) for index, block in message.extra if index is not None]
        indexed.sort(key=lambda entry: entry[0])
        for index, block in indexed:
            content.insert(min(index, len(content)), block)
        content[:0] = [block for index, block in message.extra if index is None]
    return InputMessage("assistant", content)


class _System:
    """Gathers system messages, wherever they stand: texts in order, or one template."""

    __slots__ = ("_arguments", "_pieces", "_seen")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._arguments: dict[str, Any] | None = None
        self._seen = 0

    def add(self, blocks: list[InputBlock], at: int, path: str) -> None:
        self._seen += 1
        if self._seen == 1 and at != 0:
            log.warning("a system message was moved to the start of the conversation")
        elif self._seen == 2:
            log.warning("several system messages were concatenated and moved to the start")
        for block in blocks:
            if isinstance(block, Template):
                if self._pieces or self._arguments is not None:
                    raise InvalidOpenAICompatibleRequest(
                        f"{path}: a template must be the only content of all system messages"
                    )
                self._arguments = block.arguments
            elif not isinstance(block, Text | RawText):
                raise InvalidOpenAICompatibleRequest(
                    f"{path}: System message must contain only text or template content blocks"
                )
            elif self._arguments is not None:
                raise InvalidOpenAICompatibleRequest(
                    f"{path}: no text can follow a template in system messages"
                )
            else:
                self._pieces.append(block.text if isinstance(block, Text) else block.value)

    def value(self) -> str | dict[str, Any] | None:
        if self._arguments is not None:
            return self._arguments
        return "\n".join(self._pieces) if self._pieces else None
