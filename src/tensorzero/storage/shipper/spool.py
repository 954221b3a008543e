"""The spool of one gateway as the shipper reads it: each frame once, in order."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from tensorzero.storage.shipper.batch import Batch, Limits, Range
from tensorzero.storage.shipper.held_feedback import HeldFeedback
from tensorzero.storage.spool.directory import (
    Position,
    WriterDirectory,
    remove_unfinished,
    sync_directory,
    writer_directories,
)
from tensorzero.storage.spool.segment import Segment

log = logging.getLogger(__name__)


class SpoolReader:
    """Where each writer's segments have been read up to, in memory.

    ``gather`` reads what is new behind that; ``rewind`` goes back to what has been shipped.
    Feedback that it has read may be held for a while (``held_feedback``).
    """

    def __init__(self, root: Path, shipped: dict[str, Position]) -> None:
        self.root = root
        self.shipped = dict(shipped)
        self.read = dict(shipped)
        self._held: HeldFeedback | None = None

    @property
    def holds_feedback(self) -> bool:
        """There is feedback that waits for the inferences before it."""
        return self._held is not None

    def rewind(self) -> None:
        """Forget what was read and not shipped."""
        self.read = dict(self.shipped)
        self._held = None

    def gather(self, batch: Batch) -> bool:
        """Add what is committed and unread, as much as the batch takes; tells whether there was
        anything. A writer whose files cannot be read is left out; the others go on."""
        before = len(batch.ranges), batch.frames
        if self._held is None:
            self._held = self._hold_feedback(batch.limits)
        held = self._held
        unreadable = []
        # Listed after feedback was read: a writer that begins in between may have its target.
        writers = [entry for entry in writer_directories(self.root) if not entry.feedback]
        for directory in writers:
            if batch.full:
                break
            try:
                at_end = self._gather_from(directory, batch)
            except OSError as error:
                log.error("the spool folder %s cannot be read: %s", directory.path, error)
                unreadable.append(directory.name)
                continue
            if held is not None:
                position = self.read.get(directory.name, Position(0))
                held.has_read(directory.name, position, at_end=at_end)
        if held is not None:
            held.keep_only(directory.name for directory in writers)
            if held.ready(unreadable):
                held.join(batch)
                self._held = None
        return (len(batch.ranges), batch.frames) != before

    def _hold_feedback(self, limits: Limits) -> HeldFeedback | None:
        """Read what there is of feedback; what joins a batch late must not be too much."""
        batch = Batch(Limits(limits.frames // 4 + 1, limits.size // 4, limits.rows))
        directories = writer_directories(self.root)
        for directory in directories:
            if directory.feedback and not batch.full:
                try:
                    self._gather_from(directory, batch)
                except OSError as error:
                    log.error("the spool folder %s cannot be read: %s", directory.path, error)
        if not batch.ranges:
            return None
        directories = writer_directories(self.root)
        return HeldFeedback.before(batch, [entry for entry in directories if not entry.feedback])

    def _gather_from(self, directory: WriterDirectory, batch: Batch) -> bool:
        """Tells whether there was nothing more to take at some moment of this call."""
        # In this order: a writer that is gone by now has made no segment after this.
        abandoned = directory.abandoned()
        numbers = directory.segments()
        position = self.read.get(directory.name, Position(0))
        for number in numbers:
            if batch.full:
                return False
            if number < position.segment:
                continue
            start = position.offset if number == position.segment else Position(number).offset
            final = abandoned or number != numbers[-1]
            position, full = self._take(directory, batch, number, start, final)
            self.read[directory.name] = position
            if position.segment == number:
                return not full
        return abandoned

    def _take(
        self, directory: WriterDirectory, batch: Batch, number: int, start: int, final: bool
    ) -> tuple[Position, bool]:
        """Where to go on, and whether the batch took no more."""
        path = directory.segment_path(number)
        limits = batch.limits
        try:
            with Segment(path) as segment:
                taken = segment.take(
                    batch.tables,
                    start,
                    final=final,
                    max_frames=limits.frames - batch.frames,
                    max_bytes=limits.size - batch.size,
                )
        except FileNotFoundError:
            return Position(number + 1), False
        batch.frames += taken.frames
        batch.size += taken.size
        batch.damage += [(path, damage) for damage in taken.damage]
        found = Range(directory.name, number, start, taken.end, taken.ended)
        if taken.end > start or taken.ended:
            last = batch.ranges[-1] if batch.ranges else None
            if (
                last is not None
                and last.after == Position(number, start)
                and (last.writer == directory.name and last.segment == number)
            ):
                last.end, last.ended = taken.end, taken.ended
            else:
                batch.ranges.append(found)
        return found.after, taken.full

    def rebuild(self, ranges: Sequence[Range]) -> Batch:
        """The batch of written-down ranges again. A segment that is gone is left out."""
        batch = Batch()
        for wanted in ranges:
            directory = WriterDirectory(self.root / wanted.writer)
            path = directory.segment_path(wanted.segment)
            try:
                with Segment(path) as segment:
                    taken = segment.take(
                        batch.tables,
                        wanted.start,
                        final=True,
                        max_frames=1 << 62,
                        max_bytes=1 << 62,
                        stop=wanted.end,
                    )
            except FileNotFoundError:
                log.error("segment %s of a batch in flight is gone", path)
                continue
            batch.frames += taken.frames
            batch.size += taken.size
            batch.damage += [(path, damage) for damage in taken.damage]
        batch.ranges = list(ranges)
        self._advance(self.read, ranges)
        return batch

    def sync(self, batch: Batch) -> None:
        """What is about to be relied on must be on the disk, and findable there."""
        folders = set()
        for entry in batch.ranges:
            folder = self.root / entry.writer
            folders.add(folder)
            try:
                with Segment(WriterDirectory(folder).segment_path(entry.segment)) as segment:
                    os.fdatasync(segment.fd)
            except FileNotFoundError:
                continue
        for folder in folders:
            sync_directory(folder)
        sync_directory(self.root)

    def after(self, ranges: Sequence[Range]) -> dict[str, Position]:
        """The checkpoints when these ranges are in the database; writers that are gone drop
        out."""
        shipped = dict(self.shipped)
        self._advance(shipped, ranges)
        names = {directory.name for directory in writer_directories(self.root)}
        return {name: position for name, position in shipped.items() if name in names}

    def mark_shipped(self, checkpoints: dict[str, Position]) -> None:
        self.shipped = checkpoints

    def remove_shipped(self) -> None:
        """Delete finished segments, and folders of writers that are gone and have none left."""
        for directory in writer_directories(self.root):
            position = self.shipped.get(directory.name, Position(0))
            abandoned = directory.abandoned()
            numbers = directory.segments()
            left = [number for number in numbers if number >= position.segment]
            for number in numbers:
                if number < position.segment:
                    directory.segment_path(number).unlink(missing_ok=True)
            if abandoned and not left:
                directory.remove()
                self.read.pop(directory.name, None)
                self.shipped.pop(directory.name, None)
        remove_unfinished(self.root)

    def waiting_rows(self, within_s: float = 2.0) -> tuple[int, bool]:
        """Rows that are not in the database, and whether all were counted in this time."""
        ends = time.monotonic() + within_s
        rows = 0
        complete = True
        for directory in writer_directories(self.root):
            position = self.shipped.get(directory.name, Position(0))
            for number in directory.segments():
                if number < position.segment:
                    continue
                start = position.offset if number == position.segment else 0
                try:
                    with Segment(directory.segment_path(number)) as segment:
                        found, counted = segment.count(start, ends)
                except OSError:
                    continue
                rows += found
                complete = complete and counted
        return rows, complete

    def _advance(self, positions: dict[str, Position], ranges: Sequence[Range]) -> None:
        for entry in ranges:
            known = positions.get(entry.writer, Position(0))
            positions[entry.writer] = max(known, entry.after)
