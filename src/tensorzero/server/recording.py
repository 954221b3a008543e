"""A worker's recorder: appends to its spool, and talks to the shipper."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import orjson

from tensorzero.gateway.recorder import FoundRow, Level, Rows
from tensorzero.server.feedback_spool import FeedbackSpool
from tensorzero.types.errors import ObservabilityUnavailable
from tzcore.spool import SpoolFull, Writer
from tzcore.targets import TargetMemory

log = logging.getLogger(__name__)

WAIT_S = 5.0
"""The longest that the waiting mode holds an answer back."""
RECONNECT_S = 0.25
LOG_EVERY_S = 1.0
FIND_S = 5.0
"""The longest that the shipper may look for inferences."""
FIND_IDS = 1000

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
        self.more = False
        """Feedback has been written since the shipper was told to be awake."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False
        self._connected = asyncio.Event()
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

    def wake_for_feedback(self) -> None:
        """There is feedback; its place is not this link's to follow."""
        self.more = self.awake
        self.wake(self.written)

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
        self._asked += 1
        number = self._asked
        try:
            async with asyncio.timeout(timeout_s):
                # It may just be starting.
                await self._connected.wait()
                if self._transport is None:
                    return None
                future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
                self._questions[number] = future
                self._transport.write(orjson.dumps({"ask": number, **question}) + b"\n")
                return await future
        except (TimeoutError, ConnectionError):
            return None
        finally:
            self._questions.pop(number, None)

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
        self._connected.set()
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
        self._connected.clear()
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
            if self.written > shipped or self.more:
                self.more = False
                self.wake(self.written)


class SpoolRecorder:
    """Appends rows to the worker's own segments, and knows what its gateway has recorded."""

    def __init__(
        self,
        writer: Writer,
        link: ShipperLink,
        *,
        required: bool,
        feedback: FeedbackSpool | None = None,
        memory: TargetMemory | None = None,
    ) -> None:
        self.writer = writer
        self.link = link
        self.required = required
        self.feedback = feedback
        self.memory = TargetMemory() if memory is None else memory
        self.full = False
        self.dropped = 0
        self._logged_at = -LOG_EVERY_S
        self._append = writer.append
        self.remember = self.memory.add

    def check(self, *, always: bool = False) -> None:
        self._check(self.writer.reserve, always=always)

    def append(self, rows: Rows) -> object | None:
        try:
            place = self._append(rows)
        except (SpoolFull, ValueError) as error:
            self._drop("an inference", error)
            return None
        self.full = False
        if self.link.awake:
            self.link.written = place
        else:
            self.link.wake(place)
        return place

    def check_feedback(self) -> None:
        if self.feedback is not None:
            self._check(self.feedback.reserve)

    def append_feedback(self, rows: Rows) -> None:
        if self.feedback is None:
            raise TypeError("this recorder has no place for feedback")
        try:
            self.feedback.append(rows)
        except (SpoolFull, ValueError) as error:
            self._drop("feedback", error)
            return
        self.link.wake_for_feedback()

    def has_recorded(self, level: Level, id_: str) -> bool:
        if level == "inference":
            return self.memory.has_inference(id_)
        return self.memory.has_episode(id_)

    async def find_waiting(
        self, level: Level, ids: Sequence[str], *, row: bool = False
    ) -> tuple[dict[str, FoundRow | None], bool]:
        found: dict[str, FoundRow | None] = {}
        complete = True
        for start in range(0, len(ids), FIND_IDS):
            some = list(ids[start : start + FIND_IDS])
            wanted = {
                "inferences": some if level == "inference" else [],
                "episodes": some if level == "episode" else [],
            }
            question: dict[str, Any] = {"find": wanted}
            if row:
                question["row"] = True
            answer = await self.link.ask(question, FIND_S)
            if answer is None:
                return found, False
            complete = complete and answer["complete"] is True
            for id_, entry in answer["found"].items():
                found[id_] = FoundRow(entry[0], orjson.loads(entry[1])) if row else None
        return found, complete

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

    async def flushed(self, position: object | None, more_s: float = 0.0) -> bool:
        wait_s = WAIT_S + more_s
        if isinstance(position, tuple) and not await self.link.flushed(position, wait_s):
            log.warning("the database did not confirm what was recorded in %g s", wait_s)
            return False
        return True

    def close(self) -> None:
        self.link.close()
        self.writer.close()
        if self.feedback is not None:
            self.feedback.close()

    def _check(self, reserve: Callable[[], None], *, always: bool = False) -> None:
        if not (self.required or always):
            return
        try:
            reserve()
        except SpoolFull as error:
            if not self.full:
                log.error("requests are refused, because they cannot be recorded: %s", error)
            self.full = True
            why = " (`gateway.observability.enabled = true`)" if self.required else ""
            raise ObservabilityUnavailable(
                f"Recording is required{why}, and there is no room for it: {error}"
            ) from None
        self.full = False

    def _drop(self, what: str, error: Exception) -> None:
        self.full = isinstance(error, SpoolFull)
        self.dropped += 1
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            log.error("%s is not recorded (%d so far): %s", what, self.dropped, error)
