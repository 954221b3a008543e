"""A batch: ranges of segments, and the rows in them by table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from tensorzero.storage.spool.directory import Position
from tensorzero.storage.spool.once import once_of, table_of
from tensorzero.storage.spool.segment import Damage, Tables

MAX_FRAMES = 10_000
MAX_BYTES = 48 * 1024 * 1024
MAX_RANGES = 500

BLOCK_ROWS = 100_000
BLOCK_BYTES = 64 * 1024 * 1024
LARGE_ROW_BYTES = 16 * 1024 * 1024
"""A row of this size goes alone: if the database cannot take it, it holds nothing else up."""

TABLE_ORDER = (b"ChatInference", b"JsonInference", b"ModelInference")
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


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one batch takes. ``rows`` is per table, ``None`` for no limit of its own."""

    frames: int = MAX_FRAMES
    size: int = MAX_BYTES
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of one table that are sent as such; ``key``: other gateways may send them too."""

    table: str
    rows: Sequence[bytes]
    key: str | None = None


@dataclass(slots=True)
class Batch:
    """Rows that are sent together."""

    limits: Limits = field(default_factory=Limits)
    ranges: list[Range] = field(default_factory=list)
    tables: Tables = field(default_factory=dict)
    damage: list[tuple[Path, Damage]] = field(default_factory=list)
    frames: int = 0
    size: int = 0

    @property
    def full(self) -> bool:
        limits = self.limits
        if self.frames >= limits.frames or self.size >= limits.size:
            return True
        if len(self.ranges) >= MAX_RANGES:
            return True
        return limits.rows is not None and any(
            len(rows) >= limits.rows for rows in self.tables.values()
        )

    @property
    def row_count(self) -> int:
        return sum(len(rows) for rows in self.tables.values())

    def in_order(self) -> list[TableRows]:
        """What is sent, inferences first."""
        return [_of_frames(name, self.tables[name]) for name in self._names()]

    def digest(self) -> str:
        """Over every row of every table: the same ranges must give the same bytes again."""
        hasher = blake3()
        for name in self._names():
            rows = self.tables[name]
            hasher.update(f"{name.decode('utf-8', 'replace')} {len(rows)}\n".encode())
            hasher.update(b"\n".join(rows))
        return hasher.hexdigest()

    def _names(self) -> list[bytes]:
        def place(name: bytes) -> tuple[int, bytes]:
            table = table_of(name)
            known = table in TABLE_ORDER
            return TABLE_ORDER.index(table) if known else len(TABLE_ORDER), name

        return sorted(self.tables, key=place)


def _of_frames(name: bytes, rows: list[bytes]) -> TableRows:
    table = table_of(name).decode("utf-8", "replace")
    once = once_of(name)
    if once is None:
        return TableRows(table, rows)
    count, key = once
    # What follows is the same frame, written again by a poll after one that died.
    return TableRows(table, rows[:count], key)


def blocks(rows: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut rows into blocks that one insert takes; the same rows always give the same blocks."""
    start = size = 0
    for at, row in enumerate(rows):
        large = len(row) >= LARGE_ROW_BYTES
        if at > start and (large or at - start >= BLOCK_ROWS or size + len(row) + 1 > BLOCK_BYTES):
            yield rows[start:at]
            start, size = at, 0
        size += len(row) + 1
        if large:
            yield rows[start : at + 1]
            start, size = at + 1, 0
    if start < len(rows):
        yield rows[start:]


def token_of(table: str, body: bytes) -> str:
    """The insert's token: made of the bytes, so the same rows always carry the same one."""
    hasher = blake3(table.encode() + b"\n")
    hasher.update(body)
    return hasher.hexdigest()


def key_token(table: str, key: str, number: int) -> str:
    """The token of a key's rows, of their ``number``-th block: whoever sends them, the same."""
    return blake3(f"{table} {key} {number}".encode()).hexdigest()
