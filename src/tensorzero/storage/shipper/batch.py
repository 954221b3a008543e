"""A batch: ranges of segments, and the rows in them by table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tensorzero.storage.spool.directory import Position, WriterDirectory
from tensorzero.storage.spool.segment import Damage, End, Segment

MAX_FRAMES = 10_000
MAX_BYTES = 48 * 1024 * 1024
MAX_ROWS = 100_000

TABLE_ORDER = ("ChatInference", "JsonInference", "ModelInference")
"""Inferences go before what refers to them; other tables follow by name."""


@dataclass(slots=True)
class Range:
    """Frames of one segment: from ``start`` to ``end``; ``ended``: the segment has no more."""

    writer: str
    segment: int
    start: int
    end: int
    ended: bool = False

    @property
    def after(self) -> Position:
        """Where reading goes on behind this range."""
        return Position(self.segment + 1) if self.ended else Position(self.segment, self.end)


@dataclass(slots=True)
class Batch:
    """Rows that are sent together."""

    ranges: list[Range] = field(default_factory=list)
    tables: dict[str, list[bytes]] = field(default_factory=dict)
    damage: list[tuple[Path, Damage]] = field(default_factory=list)
    frames: int = 0
    size: int = 0

    @property
    def full(self) -> bool:
        return self.frames >= MAX_FRAMES or self.size >= MAX_BYTES

    def in_order(self) -> list[tuple[str, list[bytes]]]:
        known = [(name, self.tables[name]) for name in TABLE_ORDER if name in self.tables]
        others = sorted(
            (name, rows) for name, rows in self.tables.items() if name not in TABLE_ORDER
        )
        return known + others


def token_of(table: str, rows: Sequence[bytes]) -> str:
    """The insert's token: made of the bytes, so the same rows always carry the same one."""
    digest = sha256(table.encode())
    for row in rows:
        digest.update(b"\n")
        digest.update(row)
    return digest.hexdigest()


def read_range(
    batch: Batch, directory: WriterDirectory, segment: int, start: int, stop: int | None
) -> Range:
    """Add what one segment holds from ``start`` on (to ``stop``, or as far as it is committed
    and the batch takes it)."""
    taken = Range(directory.path.name, segment, start, start)
    path = directory.segment_path(segment)
    for entry in Segment(path).entries(start):
        if stop is not None and taken.end >= stop:
            break
        if isinstance(entry, End):
            taken.ended = True
            break
        taken.end = entry.end
        if isinstance(entry, Damage):
            batch.damage.append((path, entry))
            continue
        batch.frames += 1
        for table, row in entry.rows:
            batch.tables.setdefault(table.decode(), []).append(row)
            batch.size += len(row)
        if stop is None and batch.full:
            break
    if taken.end > start or taken.ended:
        batch.ranges.append(taken)
    return taken


def next_batch(directories: Sequence[WriterDirectory]) -> Batch:
    """What is committed behind the checkpoints, as much as one batch takes."""
    batch = Batch()
    for directory in directories:
        position = directory.checkpoint()
        for segment in directory.segments():
            if batch.full:
                return batch
            if segment < position.segment:
                continue
            start = position.offset if segment == position.segment else Position(segment).offset
            taken = read_range(batch, directory, segment, start, None)
            if not taken.ended:
                break
    return batch


def rebuild(directories: Sequence[WriterDirectory], ranges: Sequence[Range]) -> Batch:
    """The same batch again from its written-down ranges, byte for byte."""
    by_name = {directory.path.name: directory for directory in directories}
    batch = Batch()
    for wanted in ranges:
        read_range(batch, by_name[wanted.writer], wanted.segment, wanted.start, wanted.end)
    batch.ranges = list(ranges)
    return batch
