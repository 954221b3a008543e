"""Routes of use cases that take a JSON body and answer JSON."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

import orjson

from tensorzero.api.body import UnsupportedCoding
from tensorzero.api.errors import NativeErrors
from tensorzero.api.exchange import Exchange
from tensorzero.api.face import ErrorFace
from tensorzero.api.request_span import (
    TRACE_ID,
    RequestSpan,
    current_span,
    log_finished,
    log_started,
)
from tensorzero.api.route import CLIENT_LEFT, UNEXPECTED, TaskRoute
from tensorzero.gateway.running import Running
from tensorzero.types.errors import GatewayError, InternalError

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Call:
    """One request of a use case."""

    read_body: Callable[[], bytes]
    path: Mapping[str, str]
    """The parameters of the route's path."""
    query: bytes
    """What stands behind the path's ``?``."""
    include_raw_response: bool = False
    """A refusal shows what providers answered; a use case sets it when it knows that it is asked
    for."""

    @property
    def body(self) -> bytes:
        """The plain body. Who has no use for one does not mind what was sent. Raises
        ``JsonRequest``; ``UnsupportedCoding`` is for the route."""
        return self.read_body()


UseCase = Callable[[Call], Awaitable[object]]
"""Answers what is written as JSON (bytes go as they are); raises ``GatewayError``."""


class UseCaseRoute(TaskRoute):
    """The handler of one method and path."""

    def __init__(
        self,
        use_case: UseCase,
        tasks: set[Running],
        *,
        error_json: bool,
        reads_only: bool = False,
        errors: ErrorFace | None = None,
    ) -> None:
        """``reads_only``: it ends when its client leaves; ``errors``: their form, the native one
        unless it is given."""
        super().__init__(tasks, errors or NativeErrors(), error_json)
        self.use_case = use_case
        self.reads_only = reads_only

    def at(self, path: Mapping[str, str]) -> Callable[[Exchange], None]:
        """The handler with the parameters of a path."""
        return partial(self._start, path)

    def __call__(self, exchange: Exchange) -> None:
        self._start({}, exchange)

    def _start(self, path: Mapping[str, str], exchange: Exchange) -> None:
        task = self.begin(self._serve(exchange, path))
        if self.reads_only:

            def leave() -> None:
                task.cancel()

            exchange.on_close = leave

    async def _serve(self, exchange: Exchange, path: Mapping[str, str]) -> None:
        span = RequestSpan(exchange.method, exchange.path)
        current_span.set(span)
        if self.logs_requests:
            log_started(span, exchange.header(TRACE_ID))
        status = 200
        call = Call(partial(self._body, exchange), path, exchange.query)
        try:
            answer = await self.use_case(call)
            body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
            if exchange.closed and exchange.method != b"HEAD":
                log.warning(CLIENT_LEFT)
            exchange.respond(200, body)
        except UnsupportedCoding:
            status = 415
            self._refuse_coding(exchange)
        except GatewayError as error:
            status = error.status
            self._refuse(exchange, error, include_raw_response=call.include_raw_response)
        except Exception:  # a fault of ours: logged whole, answered without detail
            log.exception("a request failed unexpectedly")
            status = 500
            self._refuse(exchange, InternalError(UNEXPECTED), include_raw_response=False)
        if self.logs_requests:
            log_finished(exchange.received_at, status)
