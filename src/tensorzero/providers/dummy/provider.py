"""``DummyProvider``: answers without a network, as its model name tells it to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from hashlib import sha256
from time import monotonic
from typing import Any

import orjson

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import (
    ProviderContext,
    ProviderStream,
    visible_messages,
)
from tensorzero.providers.chat_completions.tools import (
    refuse_custom_tools,
    refuse_provider_tools,
)
from tensorzero.providers.credentials import api_key
from tensorzero.providers.dummy.batches import DummyBatches
from tensorzero.providers.dummy.items import DummyItems
from tensorzero.providers.dummy.output import count_usage, make_output
from tensorzero.providers.dummy.wire import (
    pieces,
    wire_answer,
    wire_chunk,
    wire_messages,
    wire_usage,
)
from tensorzero.providers.extra import apply_extra_body
from tensorzero.providers.failures import CLIENT_FAULTS, Failures
from tensorzero.providers.items import StreamItem
from tensorzero.types.content import Message, OutputBlock, ToolCall
from tensorzero.types.dummy import parse_dummy_model
from tensorzero.types.errors import GatewayError
from tensorzero.types.model import Attempt, ModelRequest, ProviderChunk, ProviderResponse
from tensorzero.types.usage import ApiType, FinishReason, RawUsage, Usage

BAD_EVENT = "the dummy provider was told to send a bad event"
BREAK = "the dummy provider was told to break the stream"


class DummyProvider:
    """A model that lives in the gateway."""

    type = "dummy"
    api_type: ApiType = "chat_completions"

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        self.context = context
        self.config = config
        self.model_name: str = config.options["model_name"]
        self.model = parse_dummy_model(self.model_name)
        self.failures = Failures(self.type, self.api_type, context, lambda _: "")
        self.calls = 0
        self.batches = DummyBatches(self, self.model.integer("polls", 1))

    async def infer(self, request: ModelRequest, attempt: Attempt) -> ProviderResponse:
        call = self._count()
        raw_request, messages = self._request(request, attempt)
        started = monotonic()
        await self._wait_and_fail(request, raw_request, call)
        output = make_output(self.model, self.config, request, attempt, messages, call)
        usage = count_usage(self.model, request, messages, output)
        finish = self._finish(output)
        body = wire_answer(self.model_name, output, usage, finish)
        return ProviderResponse(
            attempt.model_inference_id,
            output,
            raw_request,
            orjson.dumps(body).decode(),
            usage,
            self._raw_usage(usage, attempt),
            finish,
            int((monotonic() - started) * 1000),
            messages,
            request.system,
        )

    async def stream(self, request: ModelRequest, attempt: Attempt) -> ProviderStream:
        call = self._count()
        raw_request, messages = self._request(request, attempt)
        started = monotonic()
        await self._wait_and_fail(request, raw_request, call)
        output = make_output(self.model, self.config, request, attempt, messages, call)
        usage = count_usage(self.model, request, messages, output)
        script = self._chunks(output, usage, attempt, raw_request)
        items = DummyItems(script, request.clock)
        return ProviderStream(items, started, raw_request, messages, request.system)

    def _count(self) -> int:
        self.calls += 1
        return self.calls

    def _request(self, request: ModelRequest, attempt: Attempt) -> tuple[str, list[Message]]:
        """What is recorded as sent, after ``extra_body``; raises what a real provider would."""
        api_key(self.config.credential, attempt.credentials, "Dummy")
        if request.tool_config is not None:
            refuse_custom_tools(request.tool_config, self.type)
            refuse_provider_tools(request, attempt, self.type)
        messages = visible_messages(request, attempt, self.type)
        body: dict[str, Any] = {
            "messages": wire_messages(request.system, messages),
            "model": self.model_name,
            "stream": request.stream,
        }
        apply_extra_body(body, request, self.config, attempt)
        return orjson.dumps(body).decode(), messages

    def _random(self, request: ModelRequest, raw_request: str, call: int) -> random.Random:
        """Repeats from start to start, differs from call to call: a model that fails now and then
        must not fail for ever on one input."""
        seed: Any = self.model.integers.get("rand_seed", request.params.seed)
        digest = sha256(f"{raw_request if seed is None else seed}/{call}".encode()).digest()
        return random.Random(digest)

    async def _wait_and_fail(self, request: ModelRequest, raw_request: str, call: int) -> None:
        model = self.model
        delay = model.integer("latency_ms", 0)
        if request.stream:
            delay += model.integer("ttft_ms", 0)
        jitter = model.integer("jitter_ms", 0)
        fails = (
            model.behaviour == "error"
            or call <= model.integer("fail_first", 0)
            or ("fail_every" in model.integers and call % model.integers["fail_every"] == 0)
        )
        if jitter or model.error_rate:
            rng = self._random(request, raw_request, call)
            delay += rng.randint(0, jitter)
            fails = rng.random() < model.error_rate or fails
        if delay:
            await _outside(request, delay / 1000)
        if fails:
            raise self._error(raw_request)

    def _error(self, raw_request: str) -> GatewayError:
        status = self.model.integer("status", 500)
        message = self.model.options.get("message", "the dummy provider was told to fail")
        if status in CLIENT_FAULTS:
            return self.failures.client(message, raw_request, message, status)
        return self.failures.server(message, raw_request, message)

    def _finish(self, output: list[OutputBlock]) -> FinishReason:
        chosen = self.model.options.get("finish")
        if chosen is not None:
            return chosen  # type: ignore[return-value]  # checked when the name was parsed
        return "tool_call" if any(isinstance(block, ToolCall) for block in output) else "stop"

    def _raw_usage(self, usage: Usage, attempt: Attempt) -> RawUsage | None:
        figures = wire_usage(usage)
        if figures is None:
            return None
        return RawUsage(attempt.model_inference_id, self.type, self.api_type, figures)

    def _chunks(
        self,
        output: list[OutputBlock],
        usage: Usage,
        attempt: Attempt,
        raw_request: str,
    ) -> Iterator[StreamItem | float]:
        """Items, and the seconds between them."""
        model = self.model
        interval = model.integer("interval_ms", 0) / 1000
        error_at = model.integer("stream_error_at", 0)
        fatal_at = model.integer("stream_fatal_at", 0)
        for number, (block, delta) in enumerate(pieces(output, model.integer("chunks", 10)), 1):
            if number > 1 and interval:
                yield interval
            if number == error_at:
                yield self.failures.server(BAD_EVENT, raw_request)
            if number == fatal_at:
                yield self.failures.fatal(BREAK, raw_request)
                return
            yield ProviderChunk([block], orjson.dumps(wire_chunk(delta)).decode())
        finish = self._finish(output)
        last = wire_chunk({}, finish)
        figures = wire_usage(usage)
        if figures is not None:
            last["usage"] = figures
        yield ProviderChunk(
            [], orjson.dumps(last).decode(), usage, self._raw_usage(usage, attempt), finish
        )


async def _outside(request: ModelRequest, seconds: float) -> None:
    """Wait as for a server: the gateway's own overhead does not count it."""
    request.clock.enter()
    try:
        await asyncio.sleep(seconds)
    finally:
        request.clock.leave()
