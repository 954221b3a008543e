"""Answers and events that are one text, read without their other parts."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.json import Decoder

from tensorzero.providers.commonest import OTHER_FORM, CommonUsage
from tensorzero.providers.gemini.figures import read_finish_reason, read_usage
from tensorzero.providers.http import Answer
from tensorzero.types.content import OutputBlock, Text, Thought


class _Part(Struct, gc=False):
    text: str
    thought: None = None
    thoughtSignature: str | None = None
    functionCall: None = None


class _Content(Struct, gc=False):
    parts: Annotated[list[_Part], Meta(min_length=1, max_length=1)]


class _Candidate(Struct, gc=False):
    content: _Content
    finishReason: str | None = None


class _Answer(Struct, gc=False):
    candidates: Annotated[list[_Candidate], Meta(min_length=1)]
    usageMetadata: CommonUsage = None


class _Piece(Struct, gc=False):
    text: Annotated[str, Meta(min_length=1)]
    thought: None = None
    thoughtSignature: None = None
    functionCall: None = None


class _Pieces(Struct, gc=False):
    parts: Annotated[list[_Piece], Meta(min_length=1, max_length=1)]


class _Delta(Struct, gc=False):
    content: _Pieces
    finishReason: None = None


class _Event(Struct, gc=False):
    candidates: Annotated[list[_Delta], Meta(min_length=1)]


class _CountedEvent(Struct, gc=False):
    candidates: Annotated[list[_Delta], Meta(min_length=1)]
    usageMetadata: CommonUsage = None


_answer = Decoder(_Answer).decode
_event = Decoder(_Event).decode
_counted_event = Decoder(_CountedEvent).decode


def read_plain_answer(body: bytes, provider_type: str) -> Answer | None:
    """An answer whose first candidate is one text, signed or not; ``None`` for any other."""
    try:
        answer = _answer(body)
    except OTHER_FORM:
        return None
    candidate, usage = answer.candidates[0], answer.usageMetadata
    part = candidate.content.parts[0]
    output: list[OutputBlock] = [Text(part.text)]
    if part.thoughtSignature is not None:
        output.insert(0, Thought(None, part.thoughtSignature, provider_type=provider_type))
    reason = read_finish_reason(candidate.finishReason)
    return Answer(output, read_usage(usage), usage, reason)


def read_text_delta(event: bytes) -> tuple[str, Any] | None:
    """The text of an event before the last one; its figures are not looked at."""
    try:
        return _event(event).candidates[0].content.parts[0].text, None
    except OTHER_FORM:
        return None


def read_counted_text_delta(event: bytes) -> tuple[str, Any] | None:
    """The text of an event before the last one, and its ``usageMetadata``."""
    try:
        read = _counted_event(event)
    except OTHER_FORM:
        return None
    return read.candidates[0].content.parts[0].text, read.usageMetadata
