"""One request and its answer, as routes see it: from our own protocol or from ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from tensorzero.api.body import MAX_BODY_BYTES


class Exchange(Protocol):
    """What a route may ask and do; ``tzcore.http1.Exchange`` is the fast one."""

    method: bytes
    path: bytes
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
        self.method: bytes = scope["method"].encode()
        self.path: bytes = scope["raw_path"]
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
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                self.body_too_large = True
                break
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        if not self.body_too_large:
            self.body = b"".join(parts)
        self.received_at = monotonic()
        watcher = asyncio.ensure_future(self._watch())
        handler(self)
        try:
            while (event := await self._events.get()) is not None:
                if not self.closed:
                    await self._send(event)
        finally:
            watcher.cancel()

    async def _watch(self) -> None:
        while not self.body_too_large:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.closed = True
                if self.on_close is not None:
                    self.on_close()
                return

    def _start(self, status: int, content_type: bytes, headers: bytes, length: int | None) -> None:
        fields = [(b"content-type", content_type)] if content_type else []
        for line in headers.split(b"\r\n"):
            if line:
                name, _, value = line.partition(b":")
                fields.append((name.strip().lower(), value.strip()))
        if length is not None:
            fields.append((b"content-length", str(length).encode()))
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
        self._events.put_nowait({"type": "http.response.body", "body": data, "more_body": True})
        return True

    def end(self) -> None:
        self._events.put_nowait({"type": "http.response.body", "body": b""})
        self._events.put_nowait(None)
