"""What a streamed inference yields, before a route gives it a form."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tensorzero.functions.output import JsonOutput
from tensorzero.types.content import ChatBlock
from tensorzero.types.errors import GatewayError
from tensorzero.types.model import ChunkBlock
from tensorzero.types.usage import FinishReason, Usage


class AnswerChunk(Struct):
    """A part of the answer: blocks of a chat function, or ``raw``, the delta of a json function's
    text. The raw data is there when it was asked for."""

    content: list[ChunkBlock]
    raw: str = ""
    raw_usage: list[dict[str, Any]] | None = None
    raw_response: list[dict[str, Any]] | None = None
    original_chunk: str | None = None
    raw_chunk: str | None = None

    @property
    def extra(self) -> dict[str, Any]:
        """The raw data, by its field name, in the order in which chunks show it."""
        fields = {
            "raw_usage": self.raw_usage,
            "raw_response": self.raw_response,
            "original_chunk": self.original_chunk,
            "raw_chunk": self.raw_chunk,
        }
        return {name: value for name, value in fields.items() if value is not None}


class LastChunk(Struct):
    """The end of the answer; ``aggregated`` is the whole of it, when it was asked for."""

    usage: Usage
    finish_reason: FinishReason | None
    aggregated: list[ChatBlock] | JsonOutput | None = None


class StreamError(Struct):
    """An error in the place of a chunk; it does not end the stream by itself."""

    error: GatewayError
    raw_chunk: str | None = None


StreamEvent = AnswerChunk | LastChunk | StreamError
