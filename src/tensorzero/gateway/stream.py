"""``open_stream``: a streamed inference, from its first chunk to its rows."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Protocol

from tensorzero.functions.merge import StreamMerger
from tensorzero.gateway.attempts import run_variants
from tensorzero.gateway.chunks import AnswerChunk, LastChunk, StreamError, StreamEvent
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.record import function_output, record
from tensorzero.models.cost import stream_cost
from tensorzero.models.deadline import BoundedItems
from tensorzero.providers.items import Items, StreamItem
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
from tzcore.streams import FrameQueue, TextLane
from tzcore.task import Signal

log = logging.getLogger(__name__)


class StreamListener(Protocol):
    """Where the events of a stream go."""

    @property
    def queue(self) -> FrameQueue:
        """What holds the frames of events until their read is done."""

    def take(self, event: StreamEvent) -> None:
        """The next event."""

    def around_text(self, block_id: str) -> tuple[bytes, bytes] | None:
        """What stands before and after a text in the chunk of an event that is one text of this
        block (of a json function: any text); ``None`` while such a chunk says more."""


class InferenceStream:
    """A streamed inference: opened before the status is sent, then a series of chunks.

    ``run`` it to its end whether or not anybody listens: the record is written by it.
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
        self.json = inference.function.type == "json"
        self._merger = StreamMerger(json=self.json)
        self._items = self._bounded(opened.stream.items, ends_at)
        self._listener: StreamListener | None = None
        self._over = Signal(asyncio.get_running_loop())

    def _bounded(self, items: Items, ends_at: float | None) -> Items:
        total = self.inference.variants[self.variant_name].timeouts.streaming_total_ms
        if ends_at is None or total is None:
            return items
        expired = VariantTimeout(self.variant_name, "streaming_total", total)
        return BoundedItems(items, ends_at, expired)

    async def run(self, listener: StreamListener) -> None:
        """Give every event to ``listener`` in order, errors in their places; the last one carries
        the usage. Events are given within the callback that brought them, this returns when the
        inference is recorded and the last event given. Raises what goes wrong in the gateway.
        """
        self._listener = listener
        try:
            if self.inference.request.include_raw_response:
                for failed in (self.failed_variants, self.opened.failed_raw):
                    if failed:
                        raw = [one.to_json() for one in failed]
                        listener.take(AnswerChunk([], raw_response=raw))
            self._give(self.opened.stream.first, listener)
            listener.queue.flush()
            self._items.push(self, self._lane(listener))
            fault = await self._over
            if fault is not None:
                raise fault
            listener.take(await self._finish())
        finally:
            self._listener = None
            self._items.close()

    def _lane(self, listener: StreamListener) -> TextLane | None:
        """The short way of texts, where nothing is to be said beside them."""
        if self.inference.request.wants_raw_data:
            return None
        merger = self._merger
        return TextLane(
            listener.queue,
            merger.texts,
            merger.events,
            listener.around_text,
            skips_empty=self.json,
        )

    # --- called by the items

    def take(self, item: StreamItem) -> None:
        """See ``ItemReceiver``."""
        listener = self._listener
        if listener is None:
            return
        try:
            self._give(item, listener)
        except Exception as fault:  # ours: ``run`` raises it
            self._items.close()
            self.end(fault)

    def flush(self) -> None:
        """See ``ItemReceiver``."""
        if self._listener is not None:
            self._listener.queue.flush()

    def end(self, fault: Exception | None) -> None:
        """See ``ItemReceiver``."""
        if not self._over.done():
            self._over.set_result_now(fault)

    def _give(self, item: StreamItem, listener: StreamListener) -> None:
        """Take an item in, and pass on what of it goes to the caller."""
        if isinstance(item, ProviderChunk):
            chunk = self._chunk(item, self._merger.add(item))
            if chunk is not None:
                listener.take(chunk)
        else:
            log.error("error in a stream: %s", item)
            listener.take(self._error(item))

    def _chunk(self, item: ProviderChunk, delta: str | None) -> AnswerChunk | None:
        """What of a provider's chunk goes to the caller; ``None``: nothing."""
        request = self.inference.request
        empty = not delta if self.json else not item.content
        if not request.wants_raw_data:
            if empty:
                return None
            return AnswerChunk(self._content(item), delta or "")
        raw_usage = item.raw_usage if request.include_raw_usage else None
        wants_raw = bool(item.raw) and (
            request.include_raw_response or request.include_original_response
        )
        if empty and raw_usage is None and not wants_raw:
            return None
        return AnswerChunk(
            self._content(item),
            delta or "",
            raw_usage=None if raw_usage is None else [raw_usage.to_json()],
            original_chunk=item.raw if request.include_original_response else None,
            raw_chunk=item.raw if request.include_raw_response else None,
        )

    def _content(self, item: ProviderChunk) -> list[ChunkBlock]:
        if not self.inference.implicit_tool or self.json:
            return item.content
        return [
            TextChunk(block.id, block.raw_arguments) if isinstance(block, ToolCallChunk) else block
            for block in item.content
        ]

    def _error(self, error: GatewayError) -> StreamError:
        raw = error.raw if isinstance(error, ProviderError) else None
        if raw is None or not self.inference.request.include_raw_response:
            return StreamError(error)
        return StreamError(error, raw.data)

    async def _finish(self) -> LastChunk:
        merger = self._merger
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
        usage = total_usage([entry.response.usage for entry in results])
        await record(
            inference, self.variant_name, output, results, self.opened.params, self.ttft_ms
        )
        aggregated = output if inference.request.include_aggregated_response else None
        return LastChunk(usage, merger.finish_reason, aggregated)


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
