"""Answers and events of Bedrock's Converse API.

Source: the contract's page on Anthropic and Bedrock, sections 4.5 to 4.7.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any

import orjson
from msgspec import Meta, Struct, field
from msgspec.json import Decoder

from tensorzero.providers.aws.event_stream import Frame
from tensorzero.providers.commonest import OTHER_FORM, CommonUsage
from tensorzero.providers.failures import BadAnswer
from tensorzero.providers.http import Answer
from tensorzero.providers.reader import StreamReader
from tensorzero.types import json_text
from tensorzero.types.content import OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.model import (
    Attempt,
    ChunkBlock,
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
    UnknownChunk,
)
from tensorzero.types.usage import FinishReason, RawUsage, Usage

log = logging.getLogger(__name__)

STOP_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_call",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}


def read_stop_reason(value: Any) -> FinishReason | None:
    if not isinstance(value, str):
        return None
    return STOP_REASONS.get(value, "unknown")


def read_usage(value: Any) -> Usage:
    """``usage`` of an answer or a ``metadata`` event: its input excludes what the cache served."""
    if not isinstance(value, dict):
        return Usage()
    given = _count(value, "inputTokens")
    read, written = _count(value, "cacheReadInputTokens"), _count(value, "cacheWriteInputTokens")
    total = None if given is None else given + (read or 0) + (written or 0)
    return Usage(total, _count(value, "outputTokens"), read, written)


def _count(usage: dict[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if type(value) is int and 0 <= value < 2**32 else None


# --- complete answers


class _Text(Struct, gc=False, forbid_unknown_fields=True):
    text: str


class _Message(Struct, gc=False):
    content: Annotated[list[_Text], Meta(min_length=1, max_length=1)]


class _Output(Struct, gc=False):
    message: _Message


class _Converse(Struct, gc=False, rename="camel"):
    output: _Output
    stop_reason: str
    usage: CommonUsage = None


_decode = Decoder(_Converse).decode


def read_plain_answer(body: bytes) -> Answer | None:
    """An answer that is one text, ``None`` for any other."""
    try:
        answer = _decode(body)
    except OTHER_FORM:
        return None
    text, usage = answer.output.message.content[0].text, answer.usage
    return Answer([Text(text)], read_usage(usage), usage, read_stop_reason(answer.stop_reason))


def read_answer(body: Any, *, provider_type: str, attempt: Attempt) -> Answer:
    """A complete answer; raises ``ValueError``."""
    if not isinstance(body, dict):
        raise ValueError("not an object")
    output = body.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    if message is None:
        raise BadAnswer("AWS Bedrock returned an empty message.")
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise ValueError("missing field `content`")
    reason = body.get("stopReason")
    if not isinstance(reason, str):
        raise ValueError("missing field `stopReason`")
    blocks = [_read_block(block, provider_type, attempt) for block in message["content"]]
    usage = body.get("usage")
    return Answer(blocks, read_usage(usage), usage, read_stop_reason(reason))


def _read_block(block: Any, provider_type: str, attempt: Attempt) -> OutputBlock:
    if isinstance(block, dict):
        text = block.get("text")
        if isinstance(text, str):
            return Text(text)
        tool = block.get("toolUse")
        if isinstance(tool, dict):
            call_id, name = tool.get("toolUseId"), tool.get("name")
            if isinstance(call_id, str) and isinstance(name, str):
                return ToolCall(call_id, name, orjson.dumps(tool.get("input", {})).decode())
        reasoning = block.get("reasoningContent")
        if isinstance(reasoning, dict):
            thought = _read_thought(reasoning, provider_type)
            if thought is not None:
                return thought
    return Unknown(block, attempt.model_name, attempt.provider_name)


def _read_thought(reasoning: dict[str, Any], provider_type: str) -> Thought | None:
    text = reasoning.get("reasoningText")
    if isinstance(text, dict) and isinstance(text.get("text"), str):
        signature = text.get("signature")
        if signature is None or isinstance(signature, str):
            return Thought(text["text"], signature, provider_type=provider_type)
    redacted = reasoning.get("redactedContent")
    if isinstance(redacted, str):
        return Thought(None, redacted, provider_type=provider_type)
    return None


def restore_prefill(output: list[OutputBlock]) -> None:
    """Put the brace that was sent for the model back before its first text."""
    for block in output:
        if isinstance(block, Text):
            block.text = "{" + block.text.strip()
            return
    log.warning("the answer to a prefilled JSON call has no text")


# --- streams


class _Delta(Struct, gc=False, forbid_unknown_fields=True):
    text: str


class _TextDelta(Struct, gc=False, rename="camel"):
    delta: _Delta
    content_block_index: int = field(default=0)


_decode_delta = Decoder(_TextDelta).decode


class ConverseReader(StreamReader):
    """Events of one ConverseStream. ``prefilled``: the first text gets its brace back."""

    def __init__(self, provider_type: str, attempt: Attempt, *, discards_unknown: bool) -> None:
        self.provider_type = provider_type
        self.attempt = attempt
        self.prefilled = False
        self.discards_unknown = discards_unknown
        self.stopped = False
        self._tools: dict[int, str] = {}

    def chunk(self, event: bytes) -> ProviderChunk | None:
        kind = event.event_type if isinstance(event, Frame) else ""
        event = bytes(event)  # the readers of JSON take nothing derived from it
        if kind == "contentBlockDelta":
            return self._delta(event)
        if kind in ("messageStart", "contentBlockStop"):
            return None
        try:
            data = json_text.loads(event)
            if not isinstance(data, dict):
                raise ValueError("not an object")
            if kind == "contentBlockStart":
                content = self._start(data)
                return None if content is None else ProviderChunk([content], event.decode())
            if kind == "messageStop":
                self.stopped = True
                reason = read_stop_reason(data.get("stopReason"))
                return ProviderChunk([], event.decode(), finish_reason=reason)
            if kind == "metadata":
                return self._metadata(data, event.decode())
        except ValueError as error:
            raise ValueError(f"Error parsing {kind or 'event'}: {error}") from None
        log.warning("an event of the unknown type `%s` of AWS Bedrock is not read", kind)
        return None

    def finish(self) -> None:
        if not self.stopped:
            raise ValueError("the stream ended before `messageStop`")

    def _delta(self, event: bytes) -> ProviderChunk | None:
        content: ChunkBlock | None
        try:
            plain = _decode_delta(event)
            content = self._text(str(plain.content_block_index), plain.delta.text)
        except OTHER_FORM:
            try:
                content = self._any_delta(json_text.loads(event))
            except UNREADABLE_EVENT as error:
                raise ValueError(f"Error parsing contentBlockDelta: {error}") from None
        return None if content is None else ProviderChunk([content], event.decode())

    def _text(self, block_id: str, text: str) -> TextChunk:
        if self.prefilled:
            self.prefilled = False
            text = "{" + text.lstrip()
        return TextChunk(block_id, text)

    def _any_delta(self, data: Any) -> ChunkBlock | None:
        delta = data.get("delta")
        if delta is None:
            return None
        index = _index(data)
        if isinstance(delta, dict):
            text, tool = delta.get("text"), delta.get("toolUse")
            if isinstance(text, str):
                return self._text(str(index), text)
            if isinstance(tool, dict):
                if index not in self._tools:
                    raise ValueError("Got tool use delta without current tool id")
                return ToolCallChunk(self._tools[index], None, _text_of(tool, "input"))
            reasoning = delta.get("reasoningContent")
            if isinstance(reasoning, dict):
                thought = self._thought(str(index), reasoning)
                if thought is not None:
                    return thought
        return self._unknown(index, delta)

    def _thought(self, block_id: str, reasoning: dict[str, Any]) -> ThoughtChunk | None:
        text, signature = reasoning.get("text"), reasoning.get("signature")
        if isinstance(text, str):
            return ThoughtChunk(block_id, text, provider_type=self.provider_type)
        if signature is None:
            signature = reasoning.get("redactedContent")
        if isinstance(signature, str):
            return ThoughtChunk(block_id, signature=signature, provider_type=self.provider_type)
        return None

    def _start(self, data: dict[str, Any]) -> ChunkBlock | None:
        start = data.get("start")
        if start is None:
            return None
        index = _index(data)
        tool = start.get("toolUse") if isinstance(start, dict) else None
        if isinstance(tool, dict):
            call_id, name = _text_of(tool, "toolUseId"), _text_of(tool, "name")
            self._tools[index] = call_id
            return ToolCallChunk(call_id, name, "")
        return self._unknown(index, start)

    def _unknown(self, index: int, data: Any) -> UnknownChunk | None:
        if self.discards_unknown:
            log.warning("Discarding unknown chunk in %s response", self.provider_type)
            return None
        attempt = self.attempt
        return UnknownChunk(str(index), data, attempt.model_name, attempt.provider_name)

    def _metadata(self, data: dict[str, Any], raw: str) -> ProviderChunk:
        chunk = ProviderChunk([], raw)
        usage = data.get("usage")
        if usage is not None:
            chunk.usage = read_usage(usage)
            chunk.raw_usage = RawUsage(
                self.attempt.model_inference_id, self.provider_type, "chat_completions", usage
            )
        return chunk


UNREADABLE_EVENT = (ValueError, AttributeError)


def _index(data: dict[str, Any]) -> int:
    index = data.get("contentBlockIndex", 0)
    if type(index) is not int:
        raise ValueError("`contentBlockIndex` is not a number")
    return index


def _text_of(tool: dict[str, Any], name: str) -> str:
    value = tool.get(name)
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is not a string")
    return value
