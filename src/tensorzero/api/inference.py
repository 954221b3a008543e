"""An inference over HTTP: bytes in, a use case, bytes out, in the form of a ``Face``."""

from __future__ import annotations

import logging
from contextvars import copy_context
from time import monotonic

from tensorzero.api.body import UnsupportedCoding
from tensorzero.api.event_stream import EventStream, Silence
from tensorzero.api.exchange import Exchange
from tensorzero.api.face import Face
from tensorzero.api.request_span import (
    TRACE_ID,
    RequestSpan,
    current_span,
    log_finished,
    log_started,
)
from tensorzero.api.route import CLIENT_LEFT, UNEXPECTED, TaskRoute
from tensorzero.gateway.answer import Answer
from tensorzero.gateway.chunks import StreamError
from tensorzero.gateway.infer import infer
from tensorzero.gateway.inference import Begun, Inference
from tensorzero.gateway.prepare import prepare
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.running import Running
from tensorzero.gateway.services import Services
from tensorzero.gateway.short_way import ShortWay
from tensorzero.gateway.stream import open_stream
from tensorzero.types.errors import GatewayError, InternalError

log = logging.getLogger(__name__)


class InferenceRoute(TaskRoute):
    """The handler of inferences in one form."""

    def __init__(self, services: Services, tasks: set[Running], face: Face) -> None:
        super().__init__(tasks, face, services.config.gateway.unstable_error_json)
        self.services = services
        self.face = face
        self.silence = Silence()

        self.short_way: ShortWay[Exchange] | None = None
        if not self.logs_requests:
            self.short_way = ShortWay(services, tasks, self)

    def __call__(self, exchange: Exchange) -> None:
        request = None
        if self.short_way is not None and exchange.content_encoding is None:
            try:
                request = self.face.parse(exchange.body)
            except GatewayError:
                pass  # said where the request is served
            else:
                if self.short_way.begin(exchange, request, exchange.received_at):
                    return
        self.begin(self._serve(exchange, request))

    def answered(self, token: Exchange, answer: Answer, outbound_s: float) -> None:
        if token.closed:
            self._log_client_left(token)
        token.respond(200, self.face.answer(answer))
        if not token.closed:
            inference = answer.inference
            self.services.metrics.overhead(
                inference.function.name,
                inference.sole_variant,
                monotonic() - token.received_at - outbound_s,
            )

    def go_on(self, token: Exchange, request: InferenceRequest, begun: Begun) -> None:
        self.begin(self._serve(token, request, begun))

    def failed(self, token: Exchange) -> None:
        self._refuse(token, InternalError(UNEXPECTED), include_raw_response=False)

    @staticmethod
    def _log_client_left(exchange: Exchange) -> None:
        with_span = copy_context()
        with_span.run(current_span.set, RequestSpan(exchange.method, exchange.path))
        with_span.run(log.warning, CLIENT_LEFT)

    async def _serve(
        self,
        exchange: Exchange,
        request: InferenceRequest | None,
        begun: Begun | None = None,
    ) -> None:
        """``request``: the parsed body, ``None`` where that has to be done."""
        inference: Inference | None = None
        span = RequestSpan(exchange.method, exchange.path)
        current_span.set(span)
        if self.logs_requests:
            log_started(span, exchange.header(TRACE_ID))
        status = 200
        try:
            if request is None:
                request = self.face.parse(self._body(exchange))
            inference = await prepare(request, self.services, exchange.received_at, begun)
            if request.stream:
                await self._stream(exchange, inference)
            else:
                answer = await infer(inference)
                if exchange.closed:
                    log.warning(CLIENT_LEFT)
                exchange.respond(200, self.face.answer(answer))
        except UnsupportedCoding:
            status = 415
            self._refuse_coding(exchange)
        except GatewayError as error:
            status = error.status
            raw = request is not None and request.include_raw_response
            self._refuse(exchange, error, include_raw_response=raw)
        except Exception:  # a fault of ours: logged whole, answered without detail
            log.exception("an inference failed unexpectedly")
            status = 500
            self._refuse(exchange, InternalError(UNEXPECTED), include_raw_response=False)
        if inference is not None and not exchange.closed and not inference.request.dryrun:
            self.services.metrics.overhead(
                inference.function.name,
                inference.sole_variant,
                monotonic() - exchange.received_at - inference.context.clock.total_s,
            )
        if self.logs_requests:
            log_finished(exchange.received_at, status)

    async def _stream(self, exchange: Exchange, inference: Inference) -> None:
        opened = await open_stream(inference)
        write = self.face.chunks(opened, error_json=self.error_json)
        stream = EventStream(exchange, write, self.silence)
        try:
            await opened.run(stream)
        except Exception:  # the status is sent: all that is left is an error frame
            log.exception("a stream failed unexpectedly")
            stream.take(StreamError(InternalError(UNEXPECTED)))
        finally:
            stream.end()
