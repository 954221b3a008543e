"""The loop that ships: gather, write down, send, acknowledge, delete."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tensorzero.storage.shipper.batch import Batch, Range, next_batch, rebuild
from tensorzero.storage.shipper.delivery import Delivery
from tensorzero.storage.shipper.journal import Journal
from tensorzero.storage.shipper.quarantine import Quarantine
from tensorzero.storage.shipper.sink import RowSink
from tensorzero.storage.spool.directory import Position, WriterDirectory, writer_directories

log = logging.getLogger(__name__)

POLL_S = 0.05
BACKOFF_S = (0.1, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class ShipperSettings:
    """When a batch is sent: after so many inferences, or so many seconds, or when nothing new
    comes in."""

    max_frames: int = 10_000
    flush_interval_s: float = 1.0


class Shipper:
    """Ships the spool below ``spool_root`` into ``sink``. One instance at a time."""

    def __init__(
        self, *, spool_root: Path, quarantine: Path, sink: RowSink, settings: ShipperSettings
    ) -> None:
        self.root = spool_root
        self.journal = Journal(spool_root / "journal.json")
        self.quarantine = Quarantine(quarantine)
        self.delivery = Delivery(sink, self.quarantine)
        self.settings = settings
        self.last_error: str | None = None
        self.acknowledged: dict[str, Position] = {}
        self._acknowledgement = asyncio.Condition()
        self._wanted = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until ``stop`` is set; the batch in flight is finished or left to the journal."""
        await self._resume(stop)
        first_seen: float | None = None
        previous = 0
        while not stop.is_set():
            waiting = self._waiting_bytes()
            if waiting == 0:
                first_seen, previous = None, 0
                await self._pause(stop)
                continue
            now = time.monotonic()
            first_seen = first_seen or now
            idle = waiting == previous
            due = now - first_seen >= self.settings.flush_interval_s
            if idle or due or self._wanted.is_set() or waiting > 8_000_000:
                self._wanted.clear()
                await self._ship(stop)
                first_seen, previous = None, 0
            else:
                previous = waiting
                await self._pause(stop)

    async def drain(self, timeout_s: float) -> int:
        """Ship what is there, for at most ``timeout_s``; returns the rows that still wait."""
        stop = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(timeout_s, stop.set)
        try:
            await self._resume(stop)
            while not stop.is_set() and await self._ship(stop):
                continue
        finally:
            timer.cancel()
        return self.waiting_rows()

    def wake(self) -> None:
        """Somebody waits: send at once."""
        self._wanted.set()

    async def wait_for(self, writer: str, position: Position, timeout_s: float) -> bool:
        """Wait until everything before ``position`` is in the database; ``False`` in time-out."""
        self.wake()

        def done() -> bool:
            return self.acknowledged.get(writer, Position(0)) >= position

        try:
            async with asyncio.timeout(timeout_s), self._acknowledgement:
                await self._acknowledgement.wait_for(done)
        except TimeoutError:
            return False
        return True

    def contains(self, text: bytes) -> bool:
        """Whether a row that is not in the database yet holds ``text`` (an id)."""
        return any(
            text in row for rows in next_batch(self._directories()).tables.values() for row in rows
        )

    def waiting_rows(self) -> int:
        """Rows behind the checkpoints (of one batch at most)."""
        return sum(len(rows) for rows in next_batch(self._directories()).tables.values())

    def _directories(self) -> list[WriterDirectory]:
        return writer_directories(self.root)

    def _waiting_bytes(self) -> int:
        return next_batch(self._directories()).size

    async def _pause(self, stop: asyncio.Event) -> None:
        _, pending = await asyncio.wait(
            [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._wanted.wait())],
            timeout=POLL_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in pending:
            task.cancel()

    async def _resume(self, stop: asyncio.Event) -> None:
        """Send the batch again that a previous life had written down."""
        ranges = self.journal.read()
        if not ranges:
            return
        names = {directory.path.name: directory for directory in self._directories()}
        open_ranges = [
            entry
            for entry in ranges
            if entry.writer in names and names[entry.writer].checkpoint() < entry.after
        ]
        if not open_ranges:
            self.journal.clear()
            return
        log.info("sending a batch again that was in flight")
        await self._deliver(rebuild(self._directories(), ranges), stop)

    async def _ship(self, stop: asyncio.Event) -> bool:
        """One batch; ``False`` when there was nothing or the stop came first."""
        directories = self._directories()
        batch = next_batch(directories)
        if not batch.ranges:
            self._remove_abandoned(directories)
            return False
        await asyncio.to_thread(self._sync, batch)
        self.journal.write(batch.ranges)
        return await self._deliver(batch, stop)

    def _sync(self, batch: Batch) -> None:
        """What is about to be relied on must be on the disk."""
        by_name = {directory.path.name: directory for directory in self._directories()}
        for entry in batch.ranges:
            fd = os.open(by_name[entry.writer].segment_path(entry.segment), os.O_RDONLY)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)

    async def _deliver(self, batch: Batch, stop: asyncio.Event) -> bool:
        for path, damage in batch.damage:
            log.error("damaged bytes in %s are kept in the quarantine", path.name)
            self.quarantine.add_damage(path, damage)
        attempt = 0
        while True:
            try:
                for table, rows in batch.in_order():
                    await asyncio.to_thread(self.delivery.send, table, rows)
                break
            except Exception as error:  # in doubt: the same bytes are sent again
                self.last_error = str(error)
                log.warning("the database did not take a batch, trying again: %s", error)
                pause = BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
                attempt += 1
            try:
                async with asyncio.timeout(pause):
                    await stop.wait()
                return False
            except TimeoutError:
                continue
        self.last_error = None
        self._acknowledge(batch.ranges)
        async with self._acknowledgement:
            self._acknowledgement.notify_all()
        return True

    def _acknowledge(self, ranges: list[Range]) -> None:
        """Checkpoints first, then the journal goes, then finished segments."""
        by_name = {directory.path.name: directory for directory in self._directories()}
        for entry in ranges:
            directory = by_name.get(entry.writer)
            if directory is not None:
                directory.set_checkpoint(entry.after)
                self.acknowledged[entry.writer] = entry.after
        self.journal.clear()
        for entry in ranges:
            directory = by_name.get(entry.writer)
            if directory is not None and entry.ended:
                directory.segment_path(entry.segment).unlink(missing_ok=True)
        self._remove_abandoned(list(by_name.values()))

    def _remove_abandoned(self, directories: list[WriterDirectory]) -> None:
        for directory in directories:
            if directory.abandoned() and not next_batch([directory]).ranges:
                directory.remove()
                self.acknowledged.pop(directory.path.name, None)
