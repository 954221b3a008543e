"""uvicorn's own HTTP/1.1 protocol within our limits: what serves the routes that are not hot.

httptools reads everything here, and the request reaches the ASGI application. uvicorn bounds
neither the size of a request head nor the time it takes, and lets an error in a pipelined request
write into the answer before it; ``PlainProtocol`` does neither. It refuses what ``tzcore.heads``
refuses and httptools would take, so that a connection is read alike before and after it was
handed over.
"""

from __future__ import annotations

import asyncio
import http
import socket
from collections.abc import Callable
from enum import Enum
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tzcore.http1 import Limits

FRAMING_FIELDS = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"host", b"expect"),
        b"content-encoding",
    )
)
"""Fields that a trailer section may not have: parsers disagree on what they do there."""


class Refused(Exception):
    """Raised out of a parser callback; ``PlainProtocol.refusal`` says why."""


class Phase(Enum):
    """What of a request is being read."""

    IDLE = "nothing"
    HEAD = "head"
    BODY = "body"
    BROKEN = "nothing more"


class PlainProtocol(HttpToolsProtocol):
    """One connection of uvicorn's, with ``limits``."""

    def __init__(self, *, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self.limits = limits
        self.refusal: tuple[int, str] | None = None
        self.phase = Phase.IDLE
        self.before: RequestResponseCycle | None = None
        self.head_bytes = 0
        self.head_fields = 0
        self.deadline: asyncio.TimerHandle | None = None
        self.stall: asyncio.TimerHandle | None = None
        self.unsent = 0

    # --- called by the event loop

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # uvicorn's begins after the first answer: a connection that never asks counts too.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._unset_keepalive_if_required()
        if self.stall is not None:
            self.stall.cancel()
            self.stall = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.phase is Phase.BROKEN or self.transport.is_closing():
            return
        was = self.phase
        super().data_received(data)
        if was is Phase.HEAD and self.phase is Phase.HEAD:
            # httptools tells of a field when it is complete: one without end is counted here.
            self.head_bytes += len(data)
            if self.head_bytes > self.limits.max_head_bytes:
                self.refusal = (431, "the request head is too large")
                self.send_400_response("")

    def pause_writing(self) -> None:
        super().pause_writing()
        self.unsent = self.transport.get_write_buffer_size()
        if self.stall is None:
            self.stall = self.loop.call_later(self.limits.write_timeout_s, self._check_stall)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.stall is not None:
            self.stall.cancel()
            self.stall = None

    # --- called by the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.phase = Phase.HEAD
        self.head_bytes = 0
        self.head_fields = 0
        self._arm(self.limits.head_timeout_s)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase is not Phase.HEAD:
            if name.lower() in FRAMING_FIELDS:
                self._refuse(400, "a trailer field frames the message")
            return
        super().on_header(name, value)
        self.head_fields += 1
        if self.head_fields > self.limits.max_headers:
            self._refuse(431, "the request has too many header fields")

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._refuse(505, "this server speaks HTTP/1.1")
        if size > self.limits.max_head_bytes:
            self._refuse(431, "the request head is too large")
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1:
            self._refuse(400, "the request has more than one Host")
        if not hosts and version == "1.1":
            self._refuse(400, "the request has no Host")
        codings = [value for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (len(codings) > 1 or codings[0].strip(b" ").lower() != b"chunked"):
            self._refuse(400, "the only transfer coding this server reads is chunked, once")
        self.before = self.cycle
        super().on_headers_complete()
        self.phase = Phase.BODY
        self._arm(self.limits.body_timeout_s)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._arm(self.limits.body_timeout_s)

    def on_message_complete(self) -> None:
        self._disarm()
        self.phase = Phase.IDLE
        super().on_message_complete()

    # --- refusing

    def _refuse(self, status: int, fault: str) -> None:
        self.refusal = (status, fault)
        raise Refused

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, after the answers before it; then close."""
        was, self.phase = self.phase, Phase.BROKEN
        self._disarm()
        if was is Phase.BODY and self.pipeline:
            # Not begun: it never will be.
            self.pipeline.popleft()
            self.cycle = self.before  # type: ignore[assignment]  # uvicorn's is None at first, too
            was = Phase.HEAD
        cycle = self.cycle
        if was is Phase.BODY and cycle.response_started:
            self.transport.close()
            return
        if was is not Phase.BODY and cycle is not None and not cycle.response_complete:
            return  # on_response_complete comes back to it
        self._answer_refusal()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if (
            self.phase is Phase.BROKEN
            and self.cycle.response_complete
            and not self.transport.is_closing()
        ):
            self._unset_keepalive_if_required()
            self._answer_refusal()

    def _answer_refusal(self) -> None:
        status, fault = self.refusal or (400, "the request is not valid HTTP/1.1")
        body = orjson.dumps({"error": fault})
        lines = [b"HTTP/1.1 %d %s" % (status, http.HTTPStatus(status).phrase.encode())]
        lines += [name + b": " + value for name, value in self.server_state.default_headers]
        lines.append(b"content-type: application/json")
        lines.append(b"content-length: %d" % len(body))
        lines.append(b"connection: close\r\n\r\n")
        self.transport.write(b"\r\n".join(lines) + body)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        # Closing at once would reset the connection of a client that is still sending, and the
        # reset may overtake the answer.
        self.transport.write_eof()
        self.deadline = self.loop.call_later(self.limits.linger_s, self.transport.abort)

    def _unsupported_upgrade_warning(self) -> None:
        # The parser drops what came behind such a request: nobody may wait for its answer.
        self.cycle.keep_alive = False

    # --- time limits

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self.deadline = self.loop.call_later(seconds, self._overdue)

    def _disarm(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def _overdue(self) -> None:
        self.deadline = None
        if self.flow.read_paused:
            # It is us who do not read.
            self._arm(self.limits.body_timeout_s)
            return
        self.refusal = (408, f"the request {self.phase.value} did not arrive in time")
        self.send_400_response("")

    def _check_stall(self) -> None:
        self.stall = None
        unsent = self.transport.get_write_buffer_size()
        if unsent == self.unsent:
            self.transport.abort()
            return
        self.unsent = unsent
        self.stall = self.loop.call_later(self.limits.write_timeout_s, self._check_stall)


def plain_protocol(limits: Limits) -> Callable[..., PlainProtocol]:
    """A protocol factory for ``uvicorn.Config(http=...)``: every route through ASGI."""

    def protocol(**options: Any) -> PlainProtocol:
        return PlainProtocol(limits=limits, **options)

    return protocol
