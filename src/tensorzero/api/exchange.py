"""One request and its answer, as routes see it: from our own protocol or from ASGI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from tensorzero.api.body import MAX_BODY_BYTES

log = logging.getLogger(__name__)

MAX_UNSENT_BYTES = 4_194_304
"""What waits for a client that reads slowly, before it is cut off; beside the socket's buffers."""
LINGER_S = 5.0
"""How long a client may go on sending a body that was refused before it was read."""


class Exchange(Protocol):
    """What a route may ask and do; ``tzcore.http1.Exchange`` is the fast one."""

    method: bytes
    path: bytes
    query: bytes
    body: bytes
    content_encoding: bytes | None
    body_too_large: bool
    received_at: float
    closed: bool
    on_close: Callable[[], None] | None

    def header(self, name: bytes) -> bytes | None: ...
    def respond(
        self,
        status: int,
        body: bytes,
        content_type: bytes = b"application/json",
        headers: bytes = b"",
    ) -> None: ...
    def start_stream(
        self,
        status: int = 200,
        content_type: bytes = b"text/event-stream",
        headers: bytes = b"",
    ) -> None: ...
    def send(self, data: bytes) -> bool: ...
    def end(self) -> None: ...


class AsgiExchange:
    """The same face over ASGI, for connections that our protocol handed over."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._unsent = 0
        self.method: bytes = scope["method"].encode()
        self.path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        self.body = b""
        self.body_too_large = False
        self.received_at = 0.0
        self.closed = False
        self.on_close: Callable[[], None] | None = None
        self.content_encoding = self.header(b"content-encoding")

    def header(self, name: bytes) -> bytes | None:
        """The value of the first field ``name`` (given in lower case)."""
        for field, value in self.scope["headers"]:
            if field == name:
                return bytes(value)
        return None

    async def run(self, handler: Callable[[Exchange], None]) -> None:
        """Read the body, call the handler, send what it answers until it ends."""
        await self._read()
        self.received_at = monotonic()
        if self.closed:
            return
        watcher = asyncio.ensure_future(self._watch())
        handler(self)
        try:
            while (event := await self._events.get()) is not None:
                if self.closed:
                    continue
                if self.body_too_large and event["type"] == "http.response.body":
                    await self._send({**event, "more_body": True})
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._discard(), LINGER_S)
                    event = {"type": "http.response.body", "body": b""}
                await self._send(event)
                self._unsent -= len(event.get("body", b""))
        finally:
            watcher.cancel()

    async def _read(self) -> None:
        length = self.header(b"content-length")
        if length is not None and int(length) > MAX_BODY_BYTES:
            self.body_too_large = True
            return
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.closed = True
                return
            part = message.get("body", b"")
            size += len(part)
            if size > MAX_BODY_BYTES:
                self.body_too_large = True
                return
            parts.append(part)
            if not message.get("more_body"):
                break
        self.body = b"".join(parts)

    async def _discard(self) -> None:
        """What the client still sends."""
        while (await self._receive()).get("more_body"):
            pass

    async def _watch(self) -> None:
        while not self.body_too_large:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._leave()
                return

    def _leave(self) -> None:
        self.closed = True
        if self.on_close is not None:
            self.on_close()

    def _start(self, status: int, content_type: bytes, headers: bytes, length: int | None) -> None:
        fields = [(b"content-type", content_type)] if content_type else []
        for line in headers.split(b"\r\n"):
            if line:
                name, _, value = line.partition(b":")
                fields.append((name.strip().lower(), value.strip()))
        if length is not None:
            fields.append((b"content-length", str(length).encode()))
        if self.body_too_large:
            fields.append((b"connection", b"close"))
        self._events.put_nowait(
            {"type": "http.response.start", "status": status, "headers": fields}
        )

    def respond(
        self,
        status: int,
        body: bytes,
        content_type: bytes = b"application/json",
        headers: bytes = b"",
    ) -> None:
        self._start(status, content_type, headers, len(body))
        self._events.put_nowait({"type": "http.response.body", "body": body})
        self._events.put_nowait(None)

    def start_stream(
        self,
        status: int = 200,
        content_type: bytes = b"text/event-stream",
        headers: bytes = b"",
    ) -> None:
        self._start(status, content_type, headers, None)

    def send(self, data: bytes) -> bool:
        if self.closed:
            return False
        self._unsent += len(data)
        if self._unsent > MAX_UNSENT_BYTES:
            log.warning("a client reads its stream too slowly and was cut off")
            self._leave()
            while not self._events.empty():
                self._events.get_nowait()
            return False
        self._events.put_nowait({"type": "http.response.body", "body": data, "more_body": True})
        return True

    def end(self) -> None:
        self._events.put_nowait({"type": "http.response.body", "body": b""})
        self._events.put_nowait(None)
