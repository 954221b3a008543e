"""A model: its providers in routing order, each attempt within its deadlines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from time import monotonic

from msgspec import Struct, field

from tensorzero.config.model import ModelConfig, ProviderConfig
from tensorzero.models.cost import response_cost
from tensorzero.models.deadline import BoundedItems, bounded
from tensorzero.providers.base import Provider, ProviderStream
from tensorzero.providers.items import Items
from tensorzero.types.content import Message
from tensorzero.types.credentials import Credentials
from tensorzero.types.errors import (
    AllModelProvidersFailed,
    GatewayError,
    InferenceServer,
    ModelProviderTimeout,
    ModelTimeout,
)
from tensorzero.types.model import Attempt, ModelRequest, ModelResult, ProviderChunk
from tensorzero.types.usage import RawResponse
from tzcore.uuid7 import uuid7

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of ``routing``: the config and the provider made from it."""

    config: ProviderConfig
    provider: Provider


class ModelStream(Struct):
    """A stream whose first chunk has been read; ``items`` are the rest.

    ``started`` and ``ttft_ms`` are of the successful attempt alone; ``failed_raw`` are the bodies
    of the attempts before it.
    """

    first: ProviderChunk
    items: Items
    route: Route
    model_name: str
    model_inference_id: str
    raw_request: str
    messages: list[Message]
    system: str | None
    started: float
    ttft_ms: int
    failed_raw: list[RawResponse] = field(default_factory=list)


class Model:
    """A configured or shorthand model."""

    def __init__(self, config: ModelConfig, routes: tuple[Route, ...]) -> None:
        self.name = config.name
        self.config = config
        self.routes = routes
        self._plain = config.timeouts.non_streaming_total_ms is None

    def infer(self, request: ModelRequest, credentials: Credentials) -> Awaitable[ModelResult]:
        """One complete answer of the first provider that gives one.

        Raises ``AllModelProvidersFailed`` or ``ModelTimeout``.
        """
        call = self._walk(request, credentials)
        if self._plain:
            return call  # a coroutine less on the way of every request
        return bounded(call, self.config.timeouts, stream=False, error=ModelTimeout, name=self.name)

    async def _walk(self, request: ModelRequest, credentials: Credentials) -> ModelResult:
        errors: dict[str, GatewayError] = {}
        for route in self.routes:
            config = route.config
            attempt = Attempt(self.name, config.name, uuid7(), credentials)
            try:
                if config.timeouts.non_streaming_total_ms is None:
                    response = await route.provider.infer(request, attempt)
                else:
                    response = await bounded(
                        route.provider.infer(request, attempt),
                        config.timeouts,
                        stream=False,
                        error=ModelProviderTimeout,
                        name=config.name,
                    )
            except GatewayError as error:
                log.warning("model `%s`, provider `%s`: %s", self.name, config.name, error)
                errors[config.name] = error
                continue
            if config.cost is not None:
                response.usage.cost = response_cost(config.cost, response.raw_response)
            failed = (
                [raw for error in errors.values() for raw in error.raw_responses()]
                if errors
                else []
            )
            return ModelResult(response, self.name, config.name, route.provider.type, False, failed)
        raise AllModelProvidersFailed(errors)

    async def stream(self, request: ModelRequest, credentials: Credentials) -> ModelStream:
        """Open a stream and read its first chunk; raises like ``infer``."""
        started = asyncio.get_running_loop().time()
        stream = await bounded(
            self._walk_streams(request, credentials),
            self.config.timeouts,
            stream=True,
            error=ModelTimeout,
            name=self.name,
        )
        total = self.config.timeouts.streaming_total_ms
        if total is not None:
            expired = ModelTimeout(self.name, "streaming_total", total)
            stream.items = BoundedItems(stream.items, started + total / 1000, expired)
        return stream

    async def _walk_streams(self, request: ModelRequest, credentials: Credentials) -> ModelStream:
        errors: dict[str, GatewayError] = {}
        for route in self.routes:
            config = route.config
            attempt = Attempt(self.name, config.name, uuid7(), credentials)
            clock_start = asyncio.get_running_loop().time()
            try:
                opened, first = await bounded(
                    self._open(route, request, attempt),
                    config.timeouts,
                    stream=True,
                    error=ModelProviderTimeout,
                    name=config.name,
                )
            except GatewayError as error:
                log.warning("model `%s`, provider `%s`: %s", self.name, config.name, error)
                errors[config.name] = error
                continue
            ttft_ms = int((monotonic() - opened.started) * 1000)
            items: Items = opened.items
            total = config.timeouts.streaming_total_ms
            if total is not None:
                expired = ModelProviderTimeout(config.name, "streaming_total", total)
                items = BoundedItems(items, clock_start + total / 1000, expired)
            failed = [raw for error in errors.values() for raw in error.raw_responses()]
            return ModelStream(
                first,
                items,
                route,
                self.name,
                attempt.model_inference_id,
                opened.raw_request,
                opened.messages,
                opened.system,
                opened.started,
                ttft_ms,
                failed,
            )
        raise AllModelProvidersFailed(errors)

    async def _open(
        self, route: Route, request: ModelRequest, attempt: Attempt
    ) -> tuple[ProviderStream, ProviderChunk]:
        opened = await route.provider.stream(request, attempt)
        first = await opened.items.first()
        if first is None:
            raise InferenceServer(
                "Stream ended before first chunk",
                provider_type=route.provider.type,
                api_type=route.provider.api_type,
                raw_request=opened.raw_request,
            )
        if isinstance(first, GatewayError):
            opened.items.close()
            raise first
        return opened, first
