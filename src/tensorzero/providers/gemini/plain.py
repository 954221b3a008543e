"""Answers and events that are one text, read without their other parts."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import DecodeError, Meta, Struct
from msgspec.json import Decoder

from tensorzero.providers.gemini.figures import read_finish_reason, read_usage
from tensorzero.providers.http import Answer
from tensorzero.types.content import Text


class _Part(Struct, gc=False):
    text: str
    thought: None = None
    thoughtSignature: None = None
    functionCall: None = None


class _Content(Struct, gc=False):
    parts: Annotated[list[_Part], Meta(min_length=1, max_length=1)]


class _Delta(Struct, gc=False):
    content: _Content
    finishReason: None = None


class _Candidate(Struct, gc=False):
    content: _Content
    finishReason: str | None = None


class _Answer(Struct, gc=False):
    candidates: Annotated[list[_Candidate], Meta(min_length=1)]
    usageMetadata: Any = None


class _Event(Struct, gc=False):
    candidates: Annotated[list[_Delta], Meta(min_length=1)]


class _Counts(Struct, gc=False):
    promptTokenCount: None = None
    candidatesTokenCount: None = None
    thoughtsTokenCount: None = None


class _EventWithoutCounts(Struct, gc=False):
    candidates: Annotated[list[_Delta], Meta(min_length=1)]
    usageMetadata: _Counts | None = None


_answer = Decoder(_Answer).decode
_event = Decoder(_Event).decode
_event_without_counts = Decoder(_EventWithoutCounts).decode


def read_plain_answer(body: bytes) -> Answer | None:
    """An answer whose first candidate is one text, ``None`` for any other."""
    try:
        answer = _answer(body)
    except (DecodeError, ValueError):
        return None
    candidate, usage = answer.candidates[0], answer.usageMetadata
    reason = read_finish_reason(candidate.finishReason)
    return Answer([Text(candidate.content.parts[0].text)], read_usage(usage), usage, reason)


def read_text_delta(event: bytes) -> str | None:
    """The text of an event before the last one, whatever figures it has."""
    try:
        return _event(event).candidates[0].content.parts[0].text or None
    except (DecodeError, ValueError):
        return None


def read_text_delta_without_counts(event: bytes) -> str | None:
    """The text of an event before the last one that counts no tokens."""
    try:
        return _event_without_counts(event).candidates[0].content.parts[0].text or None
    except (DecodeError, ValueError):
        return None
