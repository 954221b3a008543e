"""The form of ``POST /inference``.

Keys and their order: the contract's native inference API, sections 12 to 14.
"""

from __future__ import annotations

from typing import Any

import orjson

from tensorzero.api.errors import NativeErrors
from tensorzero.api.face import ChunkWriter
from tensorzero.functions.output import JsonOutput
from tensorzero.gateway.answer import Answer
from tensorzero.gateway.chunks import AnswerChunk, LastChunk, StreamError, StreamEvent
from tensorzero.gateway.request import InferenceRequest, parse_inference_request
from tensorzero.gateway.stream import InferenceStream
from tensorzero.types.model import TextChunk
from tzcore.chunks import ChunkWriter as WireChunks


class NativeFace(NativeErrors):
    """The gateway's own request and answer."""

    def parse(self, body: bytes) -> InferenceRequest:
        return parse_inference_request(body)

    def answer(self, answer: Answer) -> bytes:
        return answer.to_native()

    def chunks(self, stream: InferenceStream, *, error_json: bool) -> ChunkWriter:
        return NativeChunks(stream, error_json)


class NativeChunks:
    """Writes the chunks of one stream: the ids and the variant's name are in each."""

    def __init__(self, stream: InferenceStream, error_json: bool) -> None:
        inference = stream.inference
        self.writer = WireChunks(inference.id, inference.episode_id, stream.variant_name, TextChunk)
        self.json = stream.json
        self.error_json = error_json
        self.wants_raw_data = inference.request.wants_raw_data

    def around_text(self, block_id: str) -> tuple[bytes, bytes]:
        return self.writer.around_raw() if self.json else self.writer.around_text(block_id)

    def __call__(self, event: StreamEvent) -> bytes:
        if isinstance(event, StreamError):
            return self._error(event)
        if isinstance(event, AnswerChunk):
            extra = event.extra if self.wants_raw_data else None
            if self.json:
                return self.writer.raw(event.raw, extra)
            return self.writer.content(event.content, extra)
        return self._last(event)

    def _last(self, event: LastChunk) -> bytes:
        extra: dict[str, Any] = {"usage": event.usage.to_json()}
        if event.finish_reason is not None:
            extra["finish_reason"] = event.finish_reason
        whole = event.aggregated
        if isinstance(whole, JsonOutput):
            extra["aggregated_response"] = whole.to_json()
        elif whole is not None:
            extra["aggregated_response"] = [block.to_json() for block in whole]
        return self.writer.raw("", extra) if self.json else self.writer.content([], extra)

    def _error(self, event: StreamError) -> bytes:
        chunk: dict[str, Any] = {"error": str(event.error)}
        if self.error_json:
            chunk["error_json"] = event.error.to_json()
        if event.raw_chunk is not None:
            chunk["raw_chunk"] = event.raw_chunk
        return orjson.dumps(chunk, default=str)
