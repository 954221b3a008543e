"""Looks for inferences in the spool: those that are not in the database yet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tensorzero.storage.spool.directory import Position, writer_directories
from tensorzero.storage.spool.once import table_of
from tensorzero.storage.spool.segment import Segment, Tables

LOOK_BACK_BYTES = 64 * 1024 * 1024
"""How much of each writer is read, the newest first."""
_TABLES = (b"ChatInference", b"JsonInference")
_ID = b'{"id":"'
_EPISODE = b'","episode_id":"'
_TEXT_BYTES = 36


@dataclass(slots=True)
class FoundInferences:
    """By the id that was asked for: the inference's table and row (of an episode any one).
    ``complete``: everything that waits has been looked at."""

    rows: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    complete: bool = True


def find_inferences(
    root: Path,
    shipped: Mapping[str, Position],
    inference_ids: Collection[str],
    episode_ids: Collection[str],
) -> FoundInferences:
    """Look behind what has been shipped. Segments that go meanwhile are in the database."""
    inferences = {id_.encode() for id_ in inference_ids}
    episodes = {id_.encode() for id_ in episode_ids}
    found = FoundInferences()
    for table, rows in _waiting(root, shipped, found):
        for row in rows:
            id_ = _after(row, _ID, 0)
            if id_ in inferences:
                found.rows[id_.decode()] = (table.decode(), row)
            if episodes:
                # Quotes inside of texts are escaped, so this is no part of one.
                episode = _after(row, _EPISODE, row.find(_EPISODE))
                if episode in episodes:
                    found.rows[episode.decode()] = (table.decode(), row)
        if len(found.rows) == len(inferences) + len(episodes):
            break
    return found


def _waiting(
    root: Path, shipped: Mapping[str, Position], found: FoundInferences
) -> Iterator[tuple[bytes, list[bytes]]]:
    for directory in writer_directories(root):
        if directory.feedback:
            continue
        position = shipped.get(directory.name, Position(0))
        left = LOOK_BACK_BYTES
        try:
            numbers = [number for number in directory.segments() if number >= position.segment]
        except OSError:
            found.complete = False
            continue
        for number in reversed(numbers):
            if left <= 0:
                found.complete = False
                break
            start = position.offset if number == position.segment else 0
            tables: Tables = {}
            try:
                with Segment(directory.segment_path(number)) as segment:
                    segment.take(tables, start, final=False, max_frames=1 << 62, max_bytes=1 << 62)
                    left -= segment.size - start
            except FileNotFoundError:
                continue
            except OSError:
                found.complete = False
                continue
            for name, rows in tables.items():
                table = table_of(name)
                if table in _TABLES:
                    yield table, rows


def _after(row: bytes, key: bytes, at: int) -> bytes:
    """The id behind a key, which is looked for at one place."""
    start = at + len(key)
    return row[start : start + _TEXT_BYTES] if at >= 0 and row.startswith(key, at) else b""
