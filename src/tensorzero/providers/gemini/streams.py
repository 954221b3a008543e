"""Events of a Gemini stream: each is an answer of its own, whose parts become chunks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import orjson

from tensorzero.providers.failures import BadAnswer
from tensorzero.providers.gemini.answers import (
    block_reason,
    candidate_parts,
    first_candidate,
    read_part,
)
from tensorzero.providers.gemini.figures import read_finish_reason, read_usage
from tensorzero.providers.reader import StreamReader
from tensorzero.types import json_text
from tensorzero.types.model import (
    Attempt,
    ChunkBlock,
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
    UnknownChunk,
)
from tensorzero.types.usage import RawUsage

log = logging.getLogger(__name__)

TextDelta = Callable[[bytes], tuple[str, Any] | None]
"""Reads an event that is one piece of text and perhaps figures; ``None`` for any other."""


class GeminiReader(StreamReader):
    """``final_usage_only``: figures count only in an event with a finish reason."""

    def __init__(
        self,
        attempt: Attempt,
        *,
        provider_type: str,
        display_name: str,
        text_delta: TextDelta,
        final_usage_only: bool,
        discards_unknown: bool,
    ) -> None:
        self.attempt = attempt
        self.provider_type = provider_type
        self.display_name = display_name
        self.text_delta = text_delta
        self.final_usage_only = final_usage_only
        self.discards_unknown = discards_unknown
        self.calls = 0
        self.thoughts = 0
        self.unknowns = 0

    def ends(self, event: bytes) -> bool:
        """Only the end of the answer ends a stream."""
        return False

    def chunk(self, event: bytes) -> ProviderChunk:
        delta = self.text_delta(event)
        if delta is None:
            return self.any_chunk(event)
        result = ProviderChunk([TextChunk("0", delta[0])], event.decode("utf-8", "replace"))
        if delta[1] is not None:
            self._count(delta[1], result)
        return result

    def any_chunk(self, event: bytes) -> ProviderChunk:
        """An event of any form; raises like ``chunk``."""
        data = json_text.loads(event)
        result = ProviderChunk([], event.decode("utf-8", "replace"))
        usage = data.get("usageMetadata") if isinstance(data, dict) else None
        if usage is None or _says_more(data):
            candidate = first_candidate(data, self.display_name)
            for part in candidate_parts(candidate):
                self._add(part, result.content)
            result.finish_reason = read_finish_reason(candidate.get("finishReason"))
            if self.final_usage_only and result.finish_reason is None:
                return result
        if usage is not None:
            self._count(usage, result)
        return result

    def _count(self, usage: Any, chunk: ProviderChunk) -> None:
        counts = read_usage(usage)
        if counts.input_tokens is not None or counts.output_tokens is not None:
            chunk.usage = counts
            chunk.raw_usage = RawUsage(
                self.attempt.model_inference_id, self.provider_type, "chat_completions", usage
            )

    def _add(self, item: Any, content: list[ChunkBlock]) -> None:
        part = read_part(item)
        if part.kind == "thought":
            self._add_thought(part.value, part.signature, content)
            return
        if part.signature is not None:
            self._add_thought(None, part.signature, content)
        if part.kind == "text":
            if part.value:
                content.append(TextChunk("0", part.value))
        elif part.kind == "call":
            content.append(ToolCallChunk(str(self.calls), *part.value))
            self.calls += 1
        elif part.kind == "unknown":
            self._add_unknown(part.value, content)
        elif part.kind == "strange":
            shown = orjson.dumps(part.value).decode()
            raise BadAnswer(
                f"Thought part in {self.display_name} response must be a text block: {shown}"
            )

    def _add_thought(
        self, text: str | None, signature: str | None, content: list[ChunkBlock]
    ) -> None:
        self.thoughts += 1
        content.append(
            ThoughtChunk(str(self.thoughts), text, signature, provider_type=self.provider_type)
        )

    def _add_unknown(self, data: Any, content: list[ChunkBlock]) -> None:
        if self.discards_unknown:
            log.warning("a chunk of unknown form is discarded: %s", ", ".join(data))
            return
        attempt = self.attempt
        number = str(self.unknowns)
        self.unknowns += 1
        content.append(UnknownChunk(number, data, attempt.model_name, attempt.provider_name))


def _says_more(data: dict[str, Any]) -> bool:
    """Whether an event with figures is more than that: they may come alone."""
    return data.get("candidates") is not None or "error" in data or block_reason(data) is not None
