"""A worker's recorder: appends to its spool, and talks to the shipper."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, cast

import orjson

from tensorzero.gateway.recorder import Rows
from tensorzero.types.errors import ObservabilityUnavailable
from tzcore.spool import SpoolFull, Writer

log = logging.getLogger(__name__)

WAIT_S = 5.0
"""The longest that the waiting mode holds an answer back."""
RECONNECT_S = 0.25
LOG_EVERY_S = 1.0

Place = tuple[int, int]
"""Segment and offset behind an inference's rows."""


class ShipperLink(asyncio.Protocol):
    """A worker's end of the control socket (``server/control.py`` has the protocol).

    It connects again by itself; while it is away, the shipper finds new rows by looking.
    """

    def __init__(self, path: str, writer_name: str) -> None:
        self.path = path
        self.name = writer_name
        self.awake = False
        """The shipper knows that there are rows."""
        self.written: Place = (0, 0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False
        self._buffer = b""
        self._waiters: list[tuple[Place, asyncio.Future[None]]] = []
        self._questions: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0

    def start(self) -> None:
        """Connect, from the worker's event loop."""
        self._loop = asyncio.get_running_loop()
        self._connecting = self._loop.create_task(self._connect())

    def wake(self, place: Place) -> None:
        """Rows end at ``place``: tell the shipper if it sleeps."""
        self.written = place
        if not self.awake and self._transport is not None:
            self.awake = True
            self._transport.write(b'{"wake":true}\n')

    async def flushed(self, place: Place, timeout_s: float) -> bool:
        """Wait until everything before ``place`` is in the database; ``False`` in time-out."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (place, future)
        self._waiters.append(entry)
        self._ask_to_flush(place)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiters = [other for other in self._waiters if other is not entry]
        return True

    async def ask(self, question: dict[str, Any], timeout_s: float) -> dict[str, Any] | None:
        """One question, one answer; ``None`` when the shipper cannot be asked in time."""
        if self._transport is None:
            return None
        self._asked += 1
        number = self._asked
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._questions[number] = future
        self._transport.write(orjson.dumps({"ask": number, **question}) + b"\n")
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except (TimeoutError, ConnectionError):
            return None
        finally:
            self._questions.pop(number, None)

    async def contains(self, id_: str, timeout_s: float = 2.0) -> bool:
        """Whether a row with this id is on its way to the database."""
        answer = await self.ask({"contains": id_}, timeout_s)
        return answer is not None and answer.get("found") is True

    def close(self) -> None:
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not registered as asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""
        self._transport.write(orjson.dumps({"hello": self.name}) + b"\n")
        self.awake = False
        if self._waiters:
            self._ask_to_flush(max(place for place, _ in self._waiters))
        elif self.written > (0, 0):
            self.wake(self.written)

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._receive(orjson.loads(line))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.awake = False
        for future in self._questions.values():
            if not future.done():
                future.set_exception(ConnectionResetError())
        if not self._closed and self._loop is not None:
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        assert self._loop is not None
        while True:
            try:
                await self._loop.create_unix_connection(lambda: self, self.path)
                return
            except OSError as error:
                log.debug("the shipper cannot be reached: %s", error)
            await asyncio.sleep(RECONNECT_S)

    def _ask_to_flush(self, place: Place) -> None:
        if self._transport is not None:
            self.awake = True
            self._transport.write(orjson.dumps({"flush": place}) + b"\n")

    def _receive(self, message: dict[str, Any]) -> None:
        if "ask" in message:
            future = self._questions.get(message["ask"])
            if future is not None and not future.done():
                future.set_result(message)
            return
        segment, offset = message["shipped"]
        shipped = (segment, offset)
        left = []
        for entry in self._waiters:
            if entry[0] > shipped:
                left.append(entry)
            elif not entry[1].done():
                entry[1].set_result(None)
        self._waiters = left
        if message["idle"]:
            self.awake = False
            if self.written > shipped:
                self.wake(self.written)


class SpoolRecorder:
    """Appends rows to the worker's own segments."""

    def __init__(self, writer: Writer, link: ShipperLink, *, required: bool) -> None:
        self.writer = writer
        self.link = link
        self.required = required
        self.full = False
        self.dropped = 0
        self._logged_at = -LOG_EVERY_S
        self._append = writer.append

    def check(self) -> None:
        if not self.required:
            return
        try:
            self.writer.reserve()
        except SpoolFull as error:
            if not self.full:
                log.error("requests are refused, because they cannot be recorded: %s", error)
            self.full = True
            raise ObservabilityUnavailable(
                f"Recording is required (`gateway.observability.enabled = true`), and there is no "
                f"room for it: {error}"
            ) from None
        self.full = False

    def append(self, rows: Rows) -> object | None:
        try:
            place = self._append(rows)
        except (SpoolFull, ValueError) as error:
            self._drop(error)
            return None
        self.full = False
        if self.link.awake:
            self.link.written = place
        else:
            self.link.wake(place)
        return place

    def _drop(self, error: Exception) -> None:
        self.full = isinstance(error, SpoolFull)
        self.dropped += 1
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            log.error("an inference is not recorded (%d so far): %s", self.dropped, error)

    def has_room(self) -> bool:
        """Whether the next inference can be recorded, as far as can be told now."""
        if not self.full:
            return True
        try:
            self.writer.reserve()
        except SpoolFull:
            return False
        self.full = False
        return True

    async def flushed(self, position: object | None) -> None:
        if isinstance(position, tuple) and not await self.link.flushed(position, WAIT_S):
            log.warning("the database did not confirm an inference in %g s", WAIT_S)

    def close(self) -> None:
        self.link.close()
        self.writer.close()
