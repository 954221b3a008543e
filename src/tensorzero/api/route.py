"""What the routes share whose requests are tasks of their own."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from tensorzero.api.body import CODINGS, decode_body, too_large
from tensorzero.api.errors import log_error
from tensorzero.api.exchange import Exchange
from tensorzero.api.face import ErrorFace
from tensorzero.gateway.running import Running
from tensorzero.types.errors import GatewayError
from tzcore.task import EagerTask

log = logging.getLogger(__name__)

CLIENT_LEFT = "Client closed the connection before the response was sent"
UNEXPECTED = "an unexpected error; see the log"


class TaskRoute(ABC):
    """Every request is a task in ``tasks``: a graceful stop waits for it, and a client that
    leaves does not end it."""

    def __init__(self, tasks: set[Running], errors: ErrorFace, error_json: bool) -> None:
        self.tasks = tasks
        self.errors = errors
        self.error_json = error_json
        self.logs_requests = log.isEnabledFor(logging.DEBUG)

    @abstractmethod
    def __call__(self, exchange: Exchange) -> None:
        """Begin to serve a request."""

    def begin(self, serving: Coroutine[Any, Any, None]) -> EagerTask:
        """Run what answers a request, whatever happens to its connection."""
        return EagerTask(serving, self.tasks)

    @staticmethod
    def _body(exchange: Exchange) -> bytes:
        """The plain body; raises ``JsonRequest`` and ``UnsupportedCoding``."""
        if exchange.body_too_large:
            raise too_large()
        if exchange.content_encoding is None:
            return exchange.body
        return decode_body(exchange.body, exchange.content_encoding)

    @staticmethod
    def _refuse_coding(exchange: Exchange) -> None:
        exchange.respond(415, b"", b"", b"accept-encoding: " + CODINGS + b"\r\n")

    def _refuse(
        self, exchange: Exchange, error: GatewayError, *, include_raw_response: bool
    ) -> None:
        log_error(error)
        if exchange.closed:
            log.warning(CLIENT_LEFT)
        body = self.errors.error(
            error, error_json=self.error_json, include_raw_response=include_raw_response
        )
        exchange.respond(error.status, body)
