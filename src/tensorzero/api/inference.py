"""An inference over HTTP: bytes in, a use case, bytes out, in the form of a ``Face``."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from tensorzero.api.body import CODINGS, UnsupportedCoding, decode_body, too_large
from tensorzero.api.errors import log_error
from tensorzero.api.exchange import Exchange
from tensorzero.api.face import Face
from tensorzero.api.request_span import (
    TRACE_ID,
    RequestSpan,
    current_span,
    log_finished,
    log_started,
)
from tensorzero.gateway.chunks import StreamError
from tensorzero.gateway.infer import infer
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.prepare import prepare
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.services import Services
from tensorzero.gateway.stream import open_stream
from tensorzero.types.errors import GatewayError, InternalError

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0
STREAM_HEADERS = b"cache-control: no-cache\r\n"
DONE = b"data: [DONE]\n\n"
CLIENT_LEFT = "Client closed the connection before the response was sent"


class InferenceRoute:
    """The handler. Every inference is a task of its own in ``tasks``: a graceful stop waits for
    it, and a client that leaves does not end it."""

    def __init__(self, services: Services, tasks: set[asyncio.Task[None]], face: Face) -> None:
        self.services = services
        self.face = face
        self.tasks = tasks
        self.error_json = services.config.gateway.unstable_error_json
        self.logs_requests = log.isEnabledFor(logging.DEBUG)

    def __call__(self, exchange: Exchange) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(exchange))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, exchange: Exchange) -> None:
        request: InferenceRequest | None = None
        inference: Inference | None = None
        span = RequestSpan(exchange.method, exchange.path)
        current_span.set(span)
        if self.logs_requests:
            log_started(span, exchange.header(TRACE_ID))
        status = 200
        try:
            if exchange.body_too_large:
                raise too_large()
            body = exchange.body
            if exchange.content_encoding is not None:
                body = decode_body(body, exchange.content_encoding)
            request = self.face.parse(body)
            inference = await prepare(request, self.services, exchange.received_at)
            if request.stream:
                await self._stream(exchange, inference)
            else:
                answer = await infer(inference)
                if exchange.closed:
                    log.warning(CLIENT_LEFT)
                exchange.respond(200, self.face.answer(answer))
        except UnsupportedCoding:
            status = 415
            exchange.respond(415, b"", b"", b"accept-encoding: " + CODINGS + b"\r\n")
        except GatewayError as error:
            status = error.status
            self._refuse(exchange, error, request)
        except Exception:  # a fault of ours: logged whole, answered without detail
            log.exception("an inference failed unexpectedly")
            status = 500
            self._refuse(exchange, InternalError("an unexpected error; see the log"), request)
        if inference is not None and not exchange.closed and not inference.request.dryrun:
            self.services.metrics.overhead(
                inference.function.name,
                inference.sole_variant,
                monotonic() - exchange.received_at - inference.context.clock.total_s,
            )
        if self.logs_requests:
            log_finished(exchange.received_at, status)

    def _refuse(
        self, exchange: Exchange, error: GatewayError, request: InferenceRequest | None
    ) -> None:
        log_error(error)
        if exchange.closed:
            log.warning(CLIENT_LEFT)
        body = self.face.error(
            error,
            error_json=self.error_json,
            include_raw_response=request is not None and request.include_raw_response,
        )
        exchange.respond(error.status, body)

    async def _stream(self, exchange: Exchange, inference: Inference) -> None:
        opened = await open_stream(inference)
        write = self.face.chunks(opened, error_json=self.error_json)
        exchange.start_stream(200, b"text/event-stream", STREAM_HEADERS)
        keeper = _KeepAlive(exchange)
        left = False
        try:
            async for event in opened.events():
                data = b"data: " + write(event) + b"\n\n"
                if not exchange.send(data) and not left:
                    left = True
                    log.warning(CLIENT_LEFT)
                keeper.sent()
        except Exception:  # the status is sent: all that is left is an error frame
            log.exception("a stream failed unexpectedly")
            error = InternalError("an unexpected error; see the log")
            exchange.send(b"data: " + write(StreamError(error)) + b"\n\n")
        finally:
            keeper.stop()
        exchange.send(DONE)
        exchange.end()


class _KeepAlive:
    """A comment line after silence, so that nothing between takes a quiet stream for dead."""

    __slots__ = ("_exchange", "_loop", "_sent_at", "_timer")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._loop = asyncio.get_running_loop()
        self._sent_at = self._loop.time()
        self._timer = self._loop.call_later(KEEP_ALIVE_S, self._check)

    def sent(self) -> None:
        self._sent_at = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()

    def _check(self) -> None:
        now = self._loop.time()
        if now - self._sent_at >= KEEP_ALIVE_S:
            if not self._exchange.send(b":\n\n"):
                return
            self._sent_at = now
        self._timer = self._loop.call_at(self._sent_at + KEEP_ALIVE_S, self._check)
