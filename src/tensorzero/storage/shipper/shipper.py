"""The loop that ships: gather, write down, send, acknowledge, delete."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tensorzero.storage.shipper.batch import MAX_BYTES, MAX_FRAMES, Batch, Limits
from tensorzero.storage.shipper.delivery import Delivery
from tensorzero.storage.shipper.ingest import IngestThread
from tensorzero.storage.shipper.pace import Pace, Unhurried
from tensorzero.storage.shipper.quarantine import Quarantine
from tensorzero.storage.shipper.sink import RowSink, SinkUnavailable
from tensorzero.storage.shipper.spool import SpoolReader
from tensorzero.storage.shipper.state import State, StateFile
from tensorzero.storage.shipper.waiting_inferences import FoundInferences, find_inferences
from tensorzero.storage.spool.directory import Position

log = logging.getLogger(__name__)

STATE_FILE = "shipper.state"
TICK_S = 0.05
LONGEST_TICK_S = 0.25
"""How long nothing new must come in for a batch to be sent before its time: as long as it has
gathered, within these. Looking costs as much as shipping ten rows."""
WORTHWHILE_FRAMES = 3_000
"""A batch costs the embedded database as much as some thousand inferences more in it."""
REST = 9
"""Batches sent because nothing new comes in leave so many times their duration between them
(one for the first after a query), within ``flush_interval_s``: a trickle of requests would keep
the embedded database busy."""
LOOK_S = 1.0
"""A lost wake-up costs no more than this."""
BACKOFF_S = (0.1, 0.25, 0.5, 1.0, 2.0)
WARN_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class ShipperSettings:
    """When a batch is sent: after so many inferences (or rows of a table), or so many seconds,
    or when nothing new comes in, or when somebody waits. ``patience_s``: how much longer a batch
    of less than ``WORTHWHILE_FRAMES`` is given."""

    max_frames: int = MAX_FRAMES
    max_rows: int | None = None
    flush_interval_s: float = 1.0
    patience_s: float = 0.0

    @property
    def longest_interval_s(self) -> float:
        """The longest that a batch gathers."""
        return self.flush_interval_s + self.patience_s


@dataclass(slots=True)
class _Flight:
    """A batch on its way. ``sent``: an earlier try may have had an effect."""

    batch: Batch
    digest: str
    begun: bool = False
    sent: bool = False
    compare: bool = False
    running: asyncio.Future[None] | None = None
    attempts: int = 0
    warned_at: float = 0.0


class Shipper:
    """Ships the spool below ``spool_root`` into ``sink``. One instance at a time.

    ``forgetful``: tables that do not remember insert tokens. ``distrust``: rows that were
    acknowledged may be lost (broken parts at the engine's start), so everything that is still
    held is compared first.
    """

    def __init__(
        self,
        *,
        spool_root: Path,
        quarantine: Path,
        sink: RowSink,
        settings: ShipperSettings,
        forgetful: Collection[str] = (),
        distrust: bool = False,
        pace: Pace | None = None,
    ) -> None:
        """Raises ``OSError``: the state file can't be made."""
        self.root = spool_root
        self.pace = Unhurried() if pace is None else pace
        self.state = StateFile(spool_root / STATE_FILE)
        self.spool = SpoolReader(spool_root, self.state.state.checkpoints)
        self.quarantine = Quarantine(quarantine)
        self.delivery = Delivery(sink, self.quarantine, forgetful=forgetful)
        self.settings = settings
        self.last_error: str | None = None
        self.on_progress: Callable[[dict[str, Position], bool], None] | None = None
        """Called with how far everything is in the database; ``True`` when nothing is left."""
        self._thread = IngestThread()
        self._distrust = distrust or self.state.lost or self.state.state.distrust
        if self._distrust:
            # From here on it is remembered, whatever happens before the comparison's end.
            self.state.write(State(distrust=True))
        self._resumed = False
        self._flight: _Flight | None = None
        self._waiting: dict[str, Position] = {}
        self._hurried = False
        self._reader = False
        self._took_s = 0.0
        self._ended = -math.inf
        self._read_until = time.monotonic()
        self._signal = asyncio.Event()
        self._acknowledgement = asyncio.Condition()

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until ``stop`` is set; what is in flight then is left to ``drain``."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await self._resume(stopping)
            while not stop.is_set():
                batch = await self._gather(stopping)
                if batch is not None and not stop.is_set():
                    await self._ship(batch, stopping)
        finally:
            stopping.cancel()

    async def ship_all(self, stop: asyncio.Event) -> None:
        """Ship until nothing is left, or until ``stop``."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await self._empty(stopping)
        finally:
            stopping.cancel()

    async def drain(self, timeout_s: float) -> int:
        """Ship what is there, for at most ``timeout_s``; returns the rows that still wait."""
        stopping = asyncio.ensure_future(asyncio.sleep(timeout_s))
        try:
            await self._empty(stopping)
        finally:
            stopping.cancel()
        rows, _ = await self.waiting_rows()
        return rows

    async def _empty(self, stopping: asyncio.Future[Any]) -> None:
        await self._resume(stopping)
        if self._flight is None:
            self.spool.rewind()
        while not stopping.done() and self._flight is None:
            batch = Batch(self._limits())
            await asyncio.to_thread(self.spool.gather, batch)
            if not batch.ranges:
                return
            await self._ship(batch, stopping)

    @property
    def busy(self) -> bool:
        """An insert still runs; the process should not wait for it."""
        flight = self._flight
        return flight is not None and flight.running is not None and not flight.running.done()

    def close(self) -> None:
        """Let the state file go (not while an insert runs)."""
        if not self.busy:
            self.state.close()

    def wake(self) -> None:
        """There are new rows."""
        self._signal.set()

    def flush(self, writer: str, position: Position) -> None:
        """Somebody waits for everything before ``position``: send at once."""
        if self.spool.shipped.get(writer, Position(0)) < position:
            known = self._waiting.get(writer, Position(0))
            self._waiting[writer] = max(known, position)
            self._hurried = True
            self._tell_pace()
        self._signal.set()

    def expect_reader(self) -> None:
        """Somebody reads the database: let it have the newest rows soon."""
        if not self._reader:
            self._reader = self._hurried = True
            self._signal.set()

    async def wait_for(self, writer: str, position: Position, timeout_s: float) -> bool:
        """Wait until everything before ``position`` is in the database; ``False`` in time-out."""
        self.flush(writer, position)
        try:
            async with asyncio.timeout(timeout_s), self._acknowledgement:
                await self._acknowledgement.wait_for(
                    lambda: self.spool.shipped.get(writer, Position(0)) >= position
                )
        except TimeoutError:
            return False
        return True

    async def find(
        self, inference_ids: Collection[str], episode_ids: Collection[str]
    ) -> FoundInferences:
        """Which of these inferences and episodes have rows that are not in the database yet."""
        return await asyncio.to_thread(
            find_inferences, self.root, dict(self.spool.shipped), inference_ids, episode_ids
        )

    async def waiting_rows(self) -> tuple[int, bool]:
        """Rows that are not in the database yet, and whether all of them were counted."""
        return await asyncio.to_thread(self.spool.waiting_rows)

    def _limits(self) -> Limits:
        """A database on the same disk needs a multiple of a batch to take it."""
        status = os.statvfs(self.root)
        free = status.f_bavail * status.f_frsize
        size = min(MAX_BYTES, max(free // 8, 256 * 1024))
        return Limits(self.settings.max_frames, size, self.settings.max_rows)

    async def _gather(self, stopping: asyncio.Future[Any]) -> Batch | None:
        """Fill a batch until it is time to send it; ``None`` when there was nothing."""
        batch = Batch(self._limits())
        began = 0.0
        while not stopping.done():
            self._signal.clear()
            self._hurried = False
            looked = time.monotonic()
            found = await asyncio.to_thread(self.spool.gather, batch)
            if not batch.full:
                self._read_until = looked
            if not batch.ranges:
                # Nothing is left, whoever may have asked for it.
                self._waiting.clear()
                self._tell_pace()
                self.pace.done(looked)
                self._report(idle=True)
                await self._pause(stopping, LOOK_S)
                return None
            now = time.monotonic()
            began = began or now
            left = self._left(batch, now - began)
            if batch.full or left <= 0 or self._waiting or not batch.frames:
                break
            tick = max(TICK_S, min(now - began, LONGEST_TICK_S))
            if not found:
                tick = self._ended + self._rest_s() - now
                if tick <= 0:
                    break
            await self._pause(stopping, min(tick, left), idle=False)
        return batch

    def _rest_s(self) -> float:
        """How long after the last batch one may be sent before its time."""
        times = 1 if self._reader else REST
        return min(self.settings.flush_interval_s, times * self._took_s)

    def _left(self, batch: Batch, elapsed_s: float) -> float:
        """Seconds until a batch that has gathered for ``elapsed_s`` is due; if it goes on filling
        as it did, it will be full."""
        settings, limits = self.settings, batch.limits
        worthwhile = batch.frames >= WORTHWHILE_FRAMES
        interval_s = settings.flush_interval_s if worthwhile else settings.longest_interval_s
        filled = max(batch.frames / limits.frames, batch.size / limits.size)
        fills_s = elapsed_s * (1 / filled - 1) if filled else interval_s
        return min(interval_s - elapsed_s, max(fills_s, TICK_S))

    async def _pause(
        self, stopping: asyncio.Future[Any], timeout_s: float, *, idle: bool = True
    ) -> None:
        """Sleep; what wakes an idle shipper only hurries a gathering one when somebody waits."""
        ends = time.monotonic() + timeout_s
        while (left := ends - time.monotonic()) > 0 and not stopping.done():
            signal = asyncio.ensure_future(self._signal.wait())
            await asyncio.wait(
                {signal, stopping}, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            woken = signal.done()
            signal.cancel()
            if woken and (idle or self._hurried):
                return
            self._signal.clear()

    async def _resume(self, stopping: asyncio.Future[Any]) -> None:
        """First what a previous life left: the batch that it had written down, or everything
        that is held when the database is not to be trusted."""
        if self._flight is not None:
            await self._fly(self._flight, stopping)
            if self._flight is not None:
                return
        if self._resumed:
            return
        if self._distrust:
            await self._compare_all(stopping)
            return
        ranges = self.state.state.in_flight
        self._resumed = True
        if not ranges:
            return
        log.info("sending a batch again that was in flight")
        batch = await asyncio.to_thread(self.spool.rebuild, ranges)
        digest = batch.digest()
        flight = _Flight(batch, digest, begun=True, sent=True, compare=self.state.state.compare)
        if digest != self.state.state.digest:
            log.error("the batch in flight has changed on the disk; its rows are compared")
            flight.compare = True
        await self._fly(flight, stopping)

    async def _compare_all(self, stopping: asyncio.Future[Any]) -> None:
        log.warning("comparing what the spool still holds with the database")
        self._flight = None
        self.spool.shipped = {}
        self.spool.rewind()
        while not stopping.done():
            batch = Batch(self._limits())
            await asyncio.to_thread(self.spool.gather, batch)
            if not batch.frames and not batch.damage:
                self._distrust = False
                self._resumed = True
                self.spool.rewind()
                return
            await self._fly(_Flight(batch, "", compare=True), stopping)
            if self._flight is not None:
                return

    async def _ship(self, batch: Batch, stopping: asyncio.Future[Any]) -> None:
        self._reader = False
        began = time.monotonic()
        await self._fly(_Flight(batch, ""), stopping)
        self._ended = time.monotonic()
        self._took_s = self._ended - began

    async def _fly(self, flight: _Flight, stopping: asyncio.Future[Any]) -> None:
        """Bring a batch into the database, however often it takes; when ``stopping`` comes
        first, it stays in flight."""
        self._flight = flight
        while True:
            if flight.running is None:
                flight.running = self._thread.run(partial(self._transfer, flight))
            await asyncio.wait({flight.running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not flight.running.done():
                return
            running, flight.running = flight.running, None
            error = running.exception()
            if error is None:
                break
            self._failed(flight, error)
            pause = BACKOFF_S[min(flight.attempts, len(BACKOFF_S)) - 1]
            await asyncio.wait({stopping}, timeout=pause)
            if stopping.done():
                return
        self._flight = None
        if self.last_error is not None:
            log.info("the database takes rows again")
            self.last_error = None
        for writer, position in list(self._waiting.items()):
            gone = writer not in self.spool.read
            if gone or self.spool.shipped.get(writer, Position(0)) >= position:
                del self._waiting[writer]
        self._tell_pace()
        self.pace.done(self._read_until)
        self._report(idle=False)
        async with self._acknowledgement:
            self._acknowledgement.notify_all()

    def _failed(self, flight: _Flight, error: BaseException) -> None:
        flight.attempts += 1
        now = time.monotonic()
        if str(error) != self.last_error or now - flight.warned_at >= WARN_EVERY_S:
            flight.warned_at = now
            log.warning(
                "the database did not take a batch of %d rows, trying again: %s",
                flight.batch.row_count,
                error,
            )
        self.last_error = str(error)

    def _transfer(self, flight: _Flight) -> None:
        """In the ingest thread: from spool to acknowledged, each step safe to repeat."""
        batch = flight.batch
        if batch.frames or batch.damage:
            for path, damage in batch.damage:
                if self.quarantine.add_damage(path, damage):
                    log.error("damaged bytes in %s are kept in the quarantine", path)
            if not flight.begun:
                self.spool.sync(batch)
                if flight.compare:
                    self.state.write(State(distrust=True))
                else:
                    flight.digest = batch.digest()
                    self.state.write(State(self.spool.shipped, batch.ranges, flight.digest))
                flight.begun = True
            in_doubt, flight.sent = flight.sent, True
            if flight.compare:
                self.delivery.send_missing(batch)
            else:
                self._send(flight, in_doubt)
        checkpoints = self.spool.after(batch.ranges)
        self.state.write(State(checkpoints, distrust=self._distrust))
        self.spool.mark_shipped(checkpoints)
        self.spool.remove_shipped()

    def _send(self, flight: _Flight, in_doubt: bool) -> None:
        try:
            self.delivery.send(flight.batch, in_doubt=in_doubt)
        except SinkUnavailable as error:
            if error.disk_full:
                # Parts that were written remember no token then, and tokens no parts.
                flight.compare = True
                ranges = flight.batch.ranges
                self.state.write(State(self.spool.shipped, ranges, flight.digest, compare=True))
            raise

    def _tell_pace(self) -> None:
        self.pace.hurry(bool(self._waiting) or self.spool.holds_feedback)

    def _report(self, *, idle: bool) -> None:
        if self.on_progress is not None:
            self.on_progress(self.spool.shipped, idle)
