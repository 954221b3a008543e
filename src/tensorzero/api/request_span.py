"""Which request a log line belongs to."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from time import monotonic
from uuid import uuid4

log = logging.getLogger(__name__)

TRACE_ID = b"x-amzn-trace-id"


class RequestSpan:
    """Follows a request into every task that works on it. Small, because timers of pooled
    connections keep it: it must not hold the request's body. The id is made when first logged."""

    __slots__ = ("_request_id", "method", "path", "trace_id")

    def __init__(self, method: bytes, path: bytes) -> None:
        self.method = method
        self.path = path
        self.trace_id: bytes | None = None
        self._request_id: str | None = None

    @property
    def request_id(self) -> str:
        if self._request_id is None:
            self._request_id = str(uuid4())
        return self._request_id

    def fields(self) -> dict[str, str]:
        """As they appear in JSON logs."""
        fields = {
            "method": self.method.decode("latin-1"),
            "uri": self.path.decode("latin-1"),
            "version": "HTTP/1.1",
            "request_id": self.request_id,
        }
        if self.trace_id is not None:
            fields["x_amzn_trace_id"] = self.trace_id.decode("latin-1")
        return fields


current_span: ContextVar[RequestSpan | None] = ContextVar("current_span", default=None)


def log_started(span: RequestSpan, trace_id: bytes | None) -> None:
    span.trace_id = trace_id
    log.debug("started processing request")


def log_finished(received_at: float, status: int) -> None:
    """``received_at`` is on the monotonic clock."""
    latency_ms = round((monotonic() - received_at) * 1000, 3)
    fields = {"latency_ms": latency_ms, "status": status}
    log.debug("finished processing request", extra={"fields": fields})
