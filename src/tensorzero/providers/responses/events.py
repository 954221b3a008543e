"""Event streams of the Responses API."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from tensorzero.providers.chat_completions.answers import as_string
from tensorzero.providers.reader import StreamReader
from tensorzero.providers.responses.answers import PROVIDER_TYPE, read_usage
from tensorzero.providers.responses.plain import read_text_delta
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
from tensorzero.types.usage import FinishReason, RawUsage

log = logging.getLogger(__name__)

SILENT = frozenset(
    {
        "response.created",
        "response.in_progress",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.done",
        "response.reasoning_summary_text.done",
    }
)
"""Events that say nothing which others do not say."""

CALLS = ("function_call", "custom_tool_call")


class ResponsesReader(StreamReader):
    """Reads one stream. Calls go by ``call_id``, as in complete answers; events name the item."""

    read_text = staticmethod(read_text_delta)

    def __init__(self, attempt: Attempt, discards_unknown: bool) -> None:
        self.attempt = attempt
        self.discards_unknown = discards_unknown
        self._call_ids: dict[Any, str] = {}
        self._current: str | None = None

    def chunk(self, event: bytes) -> ProviderChunk | None:
        text = read_text_delta(event)
        return self.any_chunk(event) if text is None else self._made([text], event)

    def any_chunk(self, event: bytes) -> ProviderChunk | None:
        """An event of any form; raises like ``chunk``."""
        try:
            data = json_text.loads(event)
            kind = data["type"]
        except (ValueError, LookupError, TypeError):
            log.warning("openai sent an event that cannot be read: it is left out")
            return None
        if kind == "response.output_text.delta":
            text = as_string(data.get("delta"), "delta")
            return self._made([TextChunk(str(data.get("content_index", 0)), text)], event)
        if kind in SILENT:
            return None
        if kind in ("response.completed", "response.incomplete"):
            self.done = True
            return self._complete(data["response"], kind, event)
        if kind in ("response.failed", "error") or kind.startswith("response.refusal."):
            self.done = True
            raise ValueError(_failure(kind, data))
        content = self._content(kind, data)
        return None if content is None else self._made(content, event)

    def _content(self, kind: str, data: dict[str, Any]) -> list[ChunkBlock] | None:
        if kind == "response.reasoning_summary_text.delta":
            return [
                ThoughtChunk(
                    str(data["output_index"]),
                    summary_id=str(data["summary_index"]),
                    summary_text=as_string(data["delta"], "delta"),
                    provider_type=PROVIDER_TYPE,
                )
            ]
        if kind == "response.output_item.added":
            return self._added(data["item"], str(data["output_index"]))
        if kind == "response.output_item.done":
            item = data["item"]
            if item.get("type") != "reasoning":
                return None
            return self._unknown(str(data["output_index"]), item)
        if kind in (
            "response.function_call_arguments.delta",
            "response.custom_tool_call_input.delta",
        ):
            return [ToolCallChunk(self._call(data), None, as_string(data["delta"], "delta"))]
        if kind in (
            "response.function_call_arguments.done",
            "response.custom_tool_call_input.done",
        ):
            return [ToolCallChunk(self._call(data), None, "")]
        return self._unknown("unknown", data)

    def _added(self, item: dict[str, Any], index: str) -> list[ChunkBlock] | None:
        kind = item.get("type")
        if kind == "message":
            return None
        if kind not in CALLS:
            return self._unknown(index, item)
        self._current = as_string(item.get("call_id"), "call_id")
        self._call_ids[item.get("id")] = self._current
        return [ToolCallChunk(self._current, as_string(item.get("name"), "name"), "")]

    def _call(self, data: dict[str, Any]) -> str:
        call_id = self._call_ids.get(data.get("item_id"), self._current)
        if call_id is None:
            raise ValueError("arguments of a tool call before the call")
        return call_id

    def _unknown(self, block_id: str, data: Any) -> list[ChunkBlock] | None:
        if self.discards_unknown:
            log.warning("discarding an unknown chunk of openai's: %s", data.get("type"))
            return None
        return [UnknownChunk(block_id, data, self.attempt.model_name, self.attempt.provider_name)]

    def _complete(self, response: dict[str, Any], kind: str, event: bytes) -> ProviderChunk:
        cut_short = kind == "response.incomplete" or response.get("incomplete_details") is not None
        reason: FinishReason = "length" if cut_short else "stop"
        content: list[ChunkBlock] = [
            ThoughtChunk(
                str(position),
                signature=as_string(item["encrypted_content"], "encrypted_content"),
                provider_type=PROVIDER_TYPE,
            )
            for position, item in enumerate(response.get("output") or ())
            if item.get("type") == "reasoning" and item.get("encrypted_content") is not None
        ]
        chunk = self._made(content, event)
        chunk.finish_reason = reason
        usage = response.get("usage")
        if usage is not None:
            chunk.usage = read_usage(usage)
            chunk.raw_usage = RawUsage(
                self.attempt.model_inference_id, PROVIDER_TYPE, "responses", usage
            )
        return chunk

    def _made(self, content: list[ChunkBlock], event: bytes) -> ProviderChunk:
        return ProviderChunk(content, event.decode("utf-8", "replace"))


def _failure(kind: str, data: dict[str, Any]) -> str:
    """What an event says that ends the stream with an error."""
    if kind == "response.failed":
        fault = (data.get("response") or {}).get("error") or {}
        return str(fault.get("message") or "The response failed")
    if kind == "error":
        fault = data.get("error") or {key: one for key, one in data.items() if key != "type"}
        return orjson.dumps(fault).decode()
    return f"The model refused: {data.get('delta') or data.get('refusal') or ''}"
