"""Chat Completions answers and events, read leniently where the family disagrees."""

from __future__ import annotations

from typing import Any

import orjson

from tensorzero.providers.chat_completions.deltas import read_text_delta
from tensorzero.providers.http import Answer, StreamReader
from tensorzero.types.content import OutputBlock, Text, Thought, ToolCall
from tensorzero.types.model import (
    ChunkBlock,
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
)
from tensorzero.types.usage import ApiType, FinishReason, RawUsage, Usage

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
}


def read_finish_reason(value: Any) -> FinishReason | None:
    if not isinstance(value, str) or value == "":
        return None
    return FINISH_REASONS.get(value, "unknown")


def read_usage(value: Any) -> Usage:
    """``usage`` of an answer; missing figures stay unknown."""
    if not isinstance(value, dict):
        return Usage()
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        _count(value.get("prompt_tokens")),
        _count(value.get("completion_tokens")),
        _count(cached),
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**32 else None


def read_answer(body: Any, *, provider_type: str) -> Answer:
    """A complete answer: thought, text, tool calls. Raises ``ValueError``."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list):
        raise ValueError(_without_choices(body))
    if len(choices) != 1:
        raise ValueError(f"Response has invalid number of choices: {len(choices)}. Expected 1.")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise ValueError("missing field `message`")
    output: list[OutputBlock] = []
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    if isinstance(reasoning, str) and reasoning:
        output.append(Thought(reasoning, provider_type=provider_type))
    text = message.get("content")
    if text is not None:
        output.append(Text(_string(text, "content")))
    calls = message.get("tool_calls")
    if calls:
        output.extend(_read_tool_call(call) for call in _list(calls, "tool_calls"))
    usage = body.get("usage")
    return Answer(output, read_usage(usage), usage, read_finish_reason(choice.get("finish_reason")))


def _without_choices(body: Any) -> str:
    """What is wrong with a body that has no choices: some servers send an error as a success."""
    fault = body.get("error") if isinstance(body, dict) else None
    shown = "" if fault is None else f": {orjson.dumps(fault).decode()}"
    return f"missing field `choices`{shown}"


def _read_tool_call(call: Any) -> ToolCall:
    if not isinstance(call, dict):
        raise ValueError("a tool call is not an object")
    call_id = _string(call.get("id") or "", "id")
    if call.get("type") == "custom":
        custom = call.get("custom")
        if not isinstance(custom, dict):
            raise ValueError("a custom tool call without `custom`")
        name = _string(custom.get("name"), "name")
        return ToolCall(call_id, name, _string(custom.get("input") or "", "input"))
    function = call.get("function")
    if not isinstance(function, dict):
        raise ValueError("a tool call without `function`")
    name = _string(function.get("name"), "name")
    return ToolCall(call_id, name, read_arguments(function.get("arguments")))


def read_arguments(value: Any) -> str:
    """A call's arguments as text: some servers send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is not a string")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"`{name}` is not a list")
    return value


class ChatCompletionsReader(StreamReader):
    """Events of a Chat Completions stream."""

    __slots__ = ("api_type", "model_inference_id", "provider_type", "tool_ids")

    def __init__(
        self, provider_type: str, model_inference_id: str, api_type: ApiType = "chat_completions"
    ) -> None:
        self.provider_type = provider_type
        self.model_inference_id = model_inference_id
        self.api_type = api_type
        self.tool_ids: dict[int, str] = {}

    def chunk(self, event: bytes) -> ProviderChunk:
        text = read_text_delta(event)
        if text is not None:
            return ProviderChunk([TextChunk("0", text)], event.decode("utf-8", "replace"))
        return self.any_chunk(event)

    def any_chunk(self, event: bytes) -> ProviderChunk:
        """An event of any form; raises like ``chunk``."""
        data = orjson.loads(event)
        if not isinstance(data, dict):
            raise ValueError("not an object")
        choices = data.get("choices")
        if not isinstance(choices, list):
            raise ValueError(_without_choices(data))
        if len(choices) > 1:
            raise ValueError(f"Response has invalid number of choices: {len(choices)}. Expected 1.")
        result = ProviderChunk([], event.decode("utf-8", "replace"))
        usage = data.get("usage")
        if usage is not None:
            result.usage = read_usage(usage)
            result.raw_usage = RawUsage(
                self.model_inference_id, self.provider_type, self.api_type, usage
            )
        if choices:
            choice = choices[0]
            if not isinstance(choice, dict):
                raise ValueError("a choice is not an object")
            result.finish_reason = read_finish_reason(choice.get("finish_reason"))
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._delta(delta, result.content)
        return result

    def _delta(self, delta: dict[str, Any], content: list[ChunkBlock]) -> None:
        reasoning = delta.get("reasoning")
        if reasoning is None:
            reasoning = delta.get("reasoning_content")
        if isinstance(reasoning, str):
            content.append(ThoughtChunk("1", reasoning, provider_type=self.provider_type))
        text = delta.get("content")
        if text is not None:
            content.append(TextChunk("0", _string(text, "content")))
        calls = delta.get("tool_calls")
        if calls:
            content.extend(self._tool_call(call) for call in _list(calls, "tool_calls"))

    def _tool_call(self, call: Any) -> ToolCallChunk:
        if not isinstance(call, dict):
            raise ValueError("a tool call is not an object")
        index = call.get("index", 0)
        if type(index) is not int:
            raise ValueError("a tool call's index is not a number")
        call_id = call.get("id")
        if isinstance(call_id, str) and call_id:
            self.tool_ids[index] = call_id
        elif index in self.tool_ids:
            call_id = self.tool_ids[index]
        else:
            raise ValueError(f"Invalid tool call index in a stream: {index}")
        custom = call.get("custom")
        if isinstance(custom, dict):
            return ToolCallChunk(
                call_id, _name(custom), _string(custom.get("input") or "", "input")
            )
        function = call.get("function")
        if not isinstance(function, dict):
            return ToolCallChunk(call_id, None, "")
        return ToolCallChunk(call_id, _name(function), read_arguments(function.get("arguments")))


def _name(call: dict[str, Any]) -> str | None:
    name = call.get("name")
    return _string(name, "name") if name else None
