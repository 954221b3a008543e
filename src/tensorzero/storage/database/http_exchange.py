"""One ASGI request and its answer: a bounded body in, a plain, streamed or broken-off answer out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from tensorzero.storage.database.body import BodyError
from tensorzero.storage.database.http_execution import Limits

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_SERVER: Final = (b"x-clickhouse-server-display-name", b"tensorzero-embedded")


class CallerLeft(Exception):
    """Nobody waits for the answer any more."""


class Exchange:
    """One ASGI request and its answer."""

    def __init__(self, receive: Receive, send: Send, limits: Limits) -> None:
        self._receive = receive
        self._send = send
        self._limits = limits
        self.started = False
        self.exception_tag = secrets.token_hex(8).encode()

    async def body(self, headers: MutableMapping[str, str]) -> bytes:
        limit = self._limits.max_body_bytes
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > limit:
            raise BodyError(413, f"The body is larger than {limit} bytes")
        pieces: list[bytes] = []
        total = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            piece: bytes = message.get("body", b"")
            total += len(piece)
            if total > limit:
                raise BodyError(413, f"The body is larger than {limit} bytes")
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)

    async def left(self) -> None:
        """Returns when the caller has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    _SERVER,
                    (b"x-clickhouse-exception-tag", self.exception_tag),
                    *headers,
                ],
            }
        )

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece; raises TimeoutError when the reader does not take it."""
        async with asyncio.timeout(self._limits.send_timeout_s):
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def finish(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        length = (b"content-length", str(len(body)).encode())
        await self.start(status, [*headers, length])
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def abort(self) -> None:
        """Break the answer off, so that no client takes it for complete."""
        raise BrokenOff


class BrokenOff(Exception):
    """Makes the server close the connection in mid-answer."""
