"""Events of Chat Completions streams, read leniently where the family disagrees."""

from __future__ import annotations

from typing import Any

import orjson

from tensorzero.providers.chat_completions.answers import (
    AnswerReader,
    as_list,
    as_string,
    read_arguments,
    without_choices,
)
from tensorzero.providers.chat_completions.deltas import read_text_delta
from tensorzero.providers.chat_completions.figures import read_finish_reason
from tensorzero.providers.reader import StreamReader, TextReading
from tensorzero.types import json_text
from tensorzero.types.model import (
    ChunkBlock,
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
)
from tensorzero.types.usage import RawUsage


class ChatCompletionsReader(StreamReader):
    """Reads one stream. ``answers`` knows what usage and finish reasons mean."""

    thought_id = "1"
    read_text: TextReading = read_text_delta

    def __init__(self, answers: AnswerReader, model_inference_id: str) -> None:
        self.answers = answers
        self.model_inference_id = model_inference_id
        self.tool_ids: dict[int, str] = {}

    def chunk(self, event: bytes) -> ProviderChunk:
        text = read_text_delta(event)
        if text is None:
            return self.any_chunk(event)
        return ProviderChunk([text], event.decode("utf-8", "replace"))

    def any_chunk(self, event: bytes) -> ProviderChunk:
        """An event of any form; raises like ``chunk``."""
        data = json_text.loads(event)
        if not isinstance(data, dict):
            raise ValueError("not an object")
        fault = data.get("error")
        if fault is not None:  # some servers keep the choices beside it
            raise ValueError(orjson.dumps(fault).decode())
        choices = data.get("choices")
        if not isinstance(choices, list):
            raise ValueError(without_choices(data))
        if len(choices) > 1:
            raise ValueError(f"Response has invalid number of choices: {len(choices)}. Expected 1.")
        result = ProviderChunk([], event.decode("utf-8", "replace"))
        usage = data.get("usage")
        answers = self.answers
        if usage is not None:
            result.usage = answers.usage(usage)
            result.raw_usage = RawUsage(
                self.model_inference_id, answers.provider_type, "chat_completions", usage
            )
        if choices:
            choice = choices[0]
            if not isinstance(choice, dict):
                raise ValueError("a choice is not an object")
            reason = read_finish_reason(choice.get("finish_reason"), answers.finish_reasons)
            result.finish_reason = reason
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self.delta(delta, result.content)
        return result

    def delta(self, delta: dict[str, Any], content: list[ChunkBlock]) -> None:
        """Add what a delta carries: thought, text, tool calls."""
        self.thoughts(delta, content)
        text = delta.get("content")
        if text is not None:
            self.add_text(text, content)
        calls = delta.get("tool_calls")
        if calls:
            content.extend(self.tool_call(call) for call in as_list(calls, "tool_calls"))

    def thoughts(self, delta: dict[str, Any], content: list[ChunkBlock]) -> None:
        reasoning = delta.get("reasoning")
        if reasoning is None:
            reasoning = delta.get("reasoning_content")
        if isinstance(reasoning, str):
            thought_type = self.answers.thought_type
            content.append(ThoughtChunk(self.thought_id, reasoning, provider_type=thought_type))

    def add_text(self, text: Any, content: list[ChunkBlock]) -> None:
        content.append(TextChunk("0", as_string(text, "content")))

    def tool_call(self, call: Any) -> ToolCallChunk:
        if not isinstance(call, dict):
            raise ValueError("a tool call is not an object")
        index = call.get("index") or 0
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
                call_id, _name(custom), as_string(custom.get("input") or "", "input")
            )
        function = call.get("function")
        if not isinstance(function, dict):
            return ToolCallChunk(call_id, None, "")
        return ToolCallChunk(call_id, _name(function), read_arguments(function.get("arguments")))


def _name(call: dict[str, Any]) -> str | None:
    name = call.get("name")
    return as_string(name, "name") if name else None
