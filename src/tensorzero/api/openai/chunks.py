"""Streamed answers as chat completion chunks (the contract's page, 8)."""

from __future__ import annotations

from time import time
from typing import Any

import orjson

from tensorzero.api.openai.answer import FINISH_REASONS, WRITER
from tensorzero.api.openai.errors import error_fields
from tensorzero.api.openai.request import ChatCompletionRequest
from tensorzero.gateway.chunks import AnswerChunk, LastChunk, StreamError, StreamEvent
from tensorzero.gateway.stream import InferenceStream
from tensorzero.types.model import ChunkBlock, TextChunk, ToolCallChunk


class ChatCompletionChunks:
    """Writes the chunks of one stream. What is the same in all of them is made once."""

    def __init__(self, stream: InferenceStream, error_json: bool) -> None:
        inference = stream.inference
        request = inference.request
        if not isinstance(request, ChatCompletionRequest):
            raise TypeError("a stream for a request of another face")
        self.json = stream.json
        self.error_json = error_json
        self.include_usage = request.include_usage
        self.wants_raw_data = request.wants_raw_data
        self._first = True
        ids = {"id": inference.id, "episode_id": inference.episode_id}
        self._head = orjson.dumps(ids)[:-1] + b',"choices":[{"index":0,"finish_reason":'
        constant = {
            "created": int(time()),
            "model": request.model(stream.variant_name),
            "system_fingerprint": "",
            "service_tier": None,
            "object": "chat.completion.chunk",
        }
        self._tail = b"}]," + orjson.dumps(constant)[1:-1] + b',"usage":'
        # Positions: of tool calls among themselves, of thoughts and unknown blocks among all.
        self._calls: dict[str, int] = {}
        self._blocks: dict[tuple[type[ChunkBlock], str], int] = {}

    def around_text(self, block_id: str) -> tuple[bytes, bytes] | None:
        if self._first:
            return None  # the first chunk names the role
        if not self.json:
            self._position(TextChunk(block_id, ""))
        return (
            self._head + b'null,"logprobs":null,"delta":{"content":',
            b"}" + self._tail + b"null}",
        )

    def __call__(self, event: StreamEvent) -> bytes:
        if isinstance(event, AnswerChunk):
            delta = self._delta()
            if self.json:
                delta["content"] = event.raw
            else:
                self._add_content(delta, event.content)
            chunk = self._chunk(delta)
            if not self.wants_raw_data:
                return chunk
            extra = event.extra
            if extra:
                fields = {f"tensorzero_{name}": value for name, value in extra.items()}
                return chunk[:-1] + b"," + orjson.dumps(fields)[1:]
            return chunk
        if isinstance(event, LastChunk):
            return self._last(event)
        return self._error(event)

    def _delta(self) -> dict[str, Any]:
        if not self._first:
            return {}
        self._first = False
        return {"role": "assistant"}

    def _chunk(
        self, delta: dict[str, Any], finish: bytes = b"null", usage: bytes = b"null"
    ) -> bytes:
        return b"".join(
            (
                self._head,
                finish,
                b',"logprobs":null,"delta":',
                orjson.dumps(delta),
                self._tail,
                usage,
                b"}",
            )
        )

    def _add_content(self, delta: dict[str, Any], blocks: list[ChunkBlock]) -> None:
        text: str | None = None
        calls: list[dict[str, Any]] = []
        extra: list[dict[str, Any]] = []
        for block in blocks:
            if isinstance(block, TextChunk):
                self._position(block)
                text = block.text if text is None else text + block.text
            elif isinstance(block, ToolCallChunk):
                self._position(block)
                calls.append(self._call(block))
            else:
                fields = block.to_json()
                at = self._position(block)
                extra.append({"type": fields.pop("type"), "insert_index": at, **fields})
        if text is not None:
            delta["content"] = text
        if calls:
            delta["tool_calls"] = calls
        if extra:
            delta["tensorzero_extra_content"] = extra

    def _position(self, block: ChunkBlock) -> int:
        return self._blocks.setdefault((type(block), block.id), len(self._blocks))

    def _call(self, block: ToolCallChunk) -> dict[str, Any]:
        new = block.id not in self._calls
        index = self._calls.setdefault(block.id, len(self._calls))
        return {
            "id": block.id if new else None,
            "index": index,
            "type": "function",
            "function": {"name": block.raw_name or "", "arguments": block.raw_arguments},
        }

    def _last(self, event: LastChunk) -> bytes:
        delta = self._delta()
        if self.json:
            delta["content"] = ""
        reason = event.finish_reason
        finish = b"null" if reason is None else b'"%b"' % FINISH_REASONS[reason]
        usage = WRITER.usage(event.usage) if self.include_usage else b"null"
        return self._chunk(delta, finish, usage)

    def _error(self, event: StreamError) -> bytes:
        frame: dict[str, Any] = {"error": error_fields(event.error, error_json=self.error_json)}
        if event.raw_chunk is not None:
            frame["tensorzero_raw_chunk"] = event.raw_chunk
        return orjson.dumps(frame, default=str)
