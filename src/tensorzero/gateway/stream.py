"""``open_stream``: a streamed inference, from its first chunk to its rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from tensorzero.functions.merge import StreamMerger
from tensorzero.functions.output import JsonOutput
from tensorzero.gateway import answer
from tensorzero.gateway.attempts import run_variants
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.record import function_output, record
from tensorzero.models.cost import stream_cost
from tensorzero.models.deadline import bounded_stream
from tensorzero.types.errors import GatewayError, ProviderError, VariantTimeout
from tensorzero.types.model import (
    ChunkBlock,
    ModelResult,
    ProviderChunk,
    ProviderResponse,
    TextChunk,
    ToolCallChunk,
)
from tensorzero.types.usage import RawResponse, total_usage
from tensorzero.variants.chat_completion import VariantStream

log = logging.getLogger(__name__)


class InferenceStream:
    """A streamed inference: opened before the status is sent, then a series of chunks.

    Iterate ``chunks`` to its end whether or not anybody listens: the record is written by it.
    """

    def __init__(
        self,
        inference: Inference,
        variant_name: str,
        opened: VariantStream,
        failed_variants: list[RawResponse],
        ttft_ms: int,
        ends_at: float | None,
    ) -> None:
        self.inference = inference
        self.variant_name = variant_name
        self.opened = opened
        self.failed_variants = failed_variants
        self.ttft_ms = ttft_ms
        self.ends_at = ends_at
        self.head = answer.head(inference.id, inference.episode_id, variant_name)
        self.json = inference.function.type == "json"

    def _chunk(self, blocks: list[dict[str, Any]], raw: str = "") -> dict[str, Any]:
        if self.json:
            return {**self.head, "raw": raw}
        return {**self.head, "content": blocks}

    async def chunks(self) -> AsyncIterator[dict[str, Any]]:
        """Every frame's content in order, error frames included; the last carries the usage."""
        request = self.inference.request
        stream = self.opened.stream
        if request.include_raw_response:
            for failed in (self.failed_variants, self.opened.failed_raw):
                if failed:
                    yield {
                        **self._chunk([]),
                        "raw_response": [raw.to_json() for raw in failed],
                    }
        merger = StreamMerger(json=self.json)
        items = stream.items
        timeouts = self._timeouts()
        if self.ends_at is not None and timeouts is not None:
            expired = VariantTimeout(self.variant_name, "streaming_total", timeouts)
            items = bounded_stream(items, self.ends_at, expired)
        async for item in items:
            if isinstance(item, ProviderChunk):
                delta = merger.add(item)
                frame = self._frame(item, delta)
                if frame is not None:
                    yield frame
            else:
                log.error("error in a stream: %s", item)
                yield self._error_frame(item)
        for last in await self._finish(merger):
            yield last

    def _timeouts(self) -> int | None:
        variant = self.inference.variants[self.variant_name]
        return variant.timeouts.streaming_total_ms

    def _frame(self, item: ProviderChunk, delta: str | None) -> dict[str, Any] | None:
        request = self.inference.request
        raw_usage = item.raw_usage if request.include_raw_usage else None
        wants_raw = bool(item.raw) and (
            request.include_raw_response or request.include_original_response
        )
        if self.json:
            if not delta and raw_usage is None and not wants_raw:
                return None
            frame = self._chunk([], delta or "")
        else:
            if not item.content and raw_usage is None and not wants_raw:
                return None
            frame = self._chunk([self._block(block) for block in item.content])
        if raw_usage is not None:
            frame["raw_usage"] = [raw_usage.to_json()]
        if request.include_original_response:
            frame["original_chunk"] = item.raw
        if request.include_raw_response:
            frame["raw_chunk"] = item.raw
        return frame

    def _block(self, block: ChunkBlock) -> dict[str, Any]:
        if self.inference.implicit_tool and isinstance(block, ToolCallChunk):
            return TextChunk(block.id, block.raw_arguments).to_json()
        return block.to_json()

    def _error_frame(self, error: GatewayError) -> dict[str, Any]:
        frame: dict[str, Any] = {"error": str(error)}
        if self.inference.services.config.gateway.unstable_error_json:
            frame["error_json"] = error.to_json()
        if self.inference.request.include_raw_response and isinstance(error, ProviderError):
            raw = error.raw
            if raw is not None:
                frame["raw_chunk"] = raw.data
        return frame

    async def _finish(self, merger: StreamMerger) -> list[dict[str, Any]]:
        stream = self.opened.stream
        inference = self.inference
        merger.usage.cost = stream_cost(stream.route.config.cost, merger.events)
        response = ProviderResponse(
            stream.model_inference_id,
            merger.output(),
            stream.raw_request,
            merger.raw_response(),
            merger.usage,
            merger.raw_usage,
            merger.finish_reason,
            int((monotonic() - stream.started) * 1000),
            stream.messages,
            stream.system,
            stream.ttft_ms,
        )
        result = ModelResult(
            response, stream.model_name, stream.route.config.name, stream.route.provider.type
        )
        results = [result, *self.opened.previous]
        output = function_output(inference, response)
        final = self._chunk([])
        usage = total_usage([entry.response.usage for entry in results])
        final.update(answer.final_fields(usage, merger.finish_reason))
        if inference.request.include_aggregated_response:
            if isinstance(output, JsonOutput):
                final["aggregated_response"] = output.to_json()
            else:
                final["aggregated_response"] = [block.to_json() for block in output]
        await record(
            inference, self.variant_name, output, results, self.opened.params, self.ttft_ms
        )
        return [final]


async def open_stream(inference: Inference) -> InferenceStream:
    """Run until the first chunk of a provider is there; raises ``GatewayError``."""
    started = asyncio.get_running_loop().time()
    name, opened, failed = await run_variants(inference, stream=True)
    if not isinstance(opened, VariantStream):
        raise TypeError("a variant answered at once where it should stream")
    ttft_ms = int((monotonic() - inference.received_at) * 1000)
    total = inference.variants[name].timeouts.streaming_total_ms
    ends_at = None if total is None else started + total / 1000
    return InferenceStream(inference, name, opened, failed, ttft_ms, ends_at)
