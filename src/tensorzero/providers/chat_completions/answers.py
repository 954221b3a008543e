"""Complete Chat Completions answers, read leniently where the family disagrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import orjson
from msgspec import Meta, Struct
from msgspec.json import Decoder

from tensorzero.providers.chat_completions.figures import (
    FINISH_REASONS,
    read_finish_reason,
    read_usage,
)
from tensorzero.providers.commonest import OTHER_FORM, CommonUsage
from tensorzero.providers.http import Answer
from tensorzero.types.batch import BatchResult
from tensorzero.types.content import OutputBlock, Text, Thought, ToolCall
from tensorzero.types.usage import FinishReason, Usage

Nothing = Annotated[list[Any], Meta(max_length=0)] | None
"""Absent, ``null`` or an empty list."""


class PlainMessage(Struct, gc=False):
    """A message, or a delta of one, that is one text."""

    content: str
    tool_calls: Nothing = None
    reasoning: None = None
    reasoning_content: None = None
    reasoning_details: Nothing = None


class _Choice(Struct, gc=False):
    message: PlainMessage
    finish_reason: str | None = None


class _Completion(Struct, gc=False):
    choices: Annotated[list[_Choice], Meta(min_length=1, max_length=1)]
    usage: CommonUsage = None


_decode = Decoder(_Completion).decode


class AnswerReader:
    """Reads one provider's answers; made at start. A type that differs derives from this.

    ``thought_type``: what thoughts carry as ``provider_type``, the type's own name unless said.
    """

    def __init__(
        self,
        provider_type: str,
        thought_type: str | None = None,
        finish_reasons: Mapping[str, FinishReason] = FINISH_REASONS,
        usage: Callable[[Any], Usage] = read_usage,
    ) -> None:
        self.provider_type = provider_type
        self.thought_type = thought_type or provider_type
        self.finish_reasons = finish_reasons
        self.usage = usage

    def plain(self, body: bytes) -> Answer | None:
        """An answer that is one text, read without its other parts; ``None`` for any other."""
        try:
            completion = _decode(body)
        except OTHER_FORM:
            return None
        choice, usage = completion.choices[0], completion.usage
        reason = read_finish_reason(choice.finish_reason, self.finish_reasons)
        return Answer([Text(choice.message.content)], self.usage(usage), usage, reason)

    def read(self, body: Any) -> Answer:
        """Any answer: thoughts, text, tool calls. Raises ``ValueError``."""
        choices = body.get("choices") if isinstance(body, dict) else None
        if not isinstance(choices, list):
            raise ValueError(without_choices(body))
        if len(choices) != 1:
            raise ValueError(f"Response has invalid number of choices: {len(choices)}. Expected 1.")
        choice = choices[0]
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            raise ValueError("missing field `message`")
        output: list[OutputBlock] = [*self.thoughts(message)]
        content = message.get("content")
        if content is not None:
            output.extend(self.content(content))
        calls = message.get("tool_calls")
        if calls:
            output.extend(read_tool_call(call) for call in as_list(calls, "tool_calls"))
        usage = body.get("usage")
        reason = read_finish_reason(choice.get("finish_reason"), self.finish_reasons)
        return Answer(output, self.usage(usage), usage, reason)

    def thoughts(self, message: dict[str, Any]) -> list[Thought]:
        """The thoughts that stand beside the content."""
        reasoning = message.get("reasoning") or message.get("reasoning_content")
        if isinstance(reasoning, str) and reasoning:
            return [Thought(reasoning, provider_type=self.thought_type)]
        return []

    def content(self, content: Any) -> list[OutputBlock]:
        """Blocks of a ``content`` that is not null; raises ``ValueError``."""
        return [Text(as_string(content, "content"))]


def batch_result(inference_id: str, answer: Answer, body: Any) -> BatchResult:
    """An item of a batch whose answer has ``body``."""
    raw = orjson.dumps(body).decode()
    return BatchResult(inference_id, answer.output, answer.usage, answer.finish_reason, raw)


def without_choices(body: Any) -> str:
    """What is wrong with a body that has no choices: some servers send an error as a success."""
    fault = body.get("error") if isinstance(body, dict) else None
    shown = "" if fault is None else f": {orjson.dumps(fault).decode()}"
    return f"missing field `choices`{shown}"


def read_tool_call(call: Any) -> ToolCall:
    if not isinstance(call, dict):
        raise ValueError("a tool call is not an object")
    call_id = as_string(call.get("id") or "", "id")
    if call.get("type") == "custom":
        custom = call.get("custom")
        if not isinstance(custom, dict):
            raise ValueError("a custom tool call without `custom`")
        name = as_string(custom.get("name"), "name")
        return ToolCall(call_id, name, as_string(custom.get("input") or "", "input"))
    function = call.get("function")
    if not isinstance(function, dict):
        raise ValueError("a tool call without `function`")
    name = as_string(function.get("name"), "name")
    return ToolCall(call_id, name, read_arguments(function.get("arguments")))


def read_arguments(value: Any) -> str:
    """A call's arguments as text: some servers send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def as_string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is not a string")
    return value


def as_text(value: Any, name: str) -> str | None:
    """A string or nothing."""
    return None if value is None else as_string(value, name)


def as_list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"`{name}` is not a list")
    return value
