"""Reads one segment: committed frames only, damage found and passed over.

The layout is described in ``tzcore.spool``. Files are read, not mapped: a file that was cut
short or sits on a bad sector is an error here, not a bus error of the process.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tzcore.spool import (
    DAMAGED,
    ENDED,
    FULL,
    HEADER_BYTES,
    MAGIC,
    OPEN,
    SHORT,
    count_rows,
    find_frame,
    read_frames,
)

Tables = dict[bytes, list[bytes]]
"""Table name → rows."""

CHUNK_BYTES = 256 * 1024
_LOOKS = 3
_LOOK_AGAIN_S = 0.01


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame: from ``start`` to ``end``, where reading can go on."""

    start: int
    end: int
    content: bytes


@dataclass(slots=True)
class Taken:
    """What one reading found: up to where, and whether the segment has no more (``ended``)."""

    end: int
    frames: int = 0
    size: int = 0
    ended: bool = False
    full: bool = False
    damage: list[Damage] = field(default_factory=list)


class Segment:
    """A segment file, open for reading; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises ``OSError``."""
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.fd).st_size

    def __enter__(self) -> Segment:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self.fd)

    def take(
        self,
        tables: Tables,
        start: int,
        *,
        final: bool,
        max_frames: int,
        max_bytes: int,
        stop: int | None = None,
    ) -> Taken:
        """Add the rows of committed frames from ``start`` on to ``tables``.

        ``final``: nobody writes here any more, so an unwritten place is the end, or a hole if
        frames follow. ``stop`` reads the segment as if it ended there. At least one frame is
        taken, however large. Raises ``OSError``.
        """
        size = self.size if stop is None else min(stop, self.size)
        taken = Taken(max(start, HEADER_BYTES))
        if start <= HEADER_BYTES and self._header_damaged():
            taken.damage.append(Damage(0, HEADER_BYTES, os.pread(self.fd, HEADER_BYTES, 0)))
        wanted = CHUNK_BYTES
        looks = 0
        while True:
            at = taken.end
            if at >= size:
                taken.ended = final
                return taken
            data = os.pread(self.fd, min(wanted, size - at), at)
            left_frames = max_frames - taken.frames
            if taken.frames and (left_frames <= 0 or taken.size >= max_bytes):
                taken.full = True
                return taken
            status, used, frames, row_bytes, need = read_frames(
                data, size - at, tables, max(left_frames, 1), max(max_bytes - taken.size, 1)
            )
            taken.end += used
            taken.frames += frames
            taken.size += row_bytes
            if frames:
                looks = 0
            if status == SHORT:
                if len(data) < min(wanted, size - at):
                    size = at + len(data)  # the file is shorter than it was
                wanted = max(CHUNK_BYTES, need)
                continue
            if status == FULL:
                taken.full = True
                return taken
            if status == OPEN and not final:
                return taken
            if status == ENDED and not self._anything_after(taken.end, size):
                taken.ended = True
                return taken
            if status in (DAMAGED, ENDED) and not final and looks < _LOOKS:
                # Perhaps a frame seen half-written; it is whole a moment later.
                looks += 1
                time.sleep(_LOOK_AGAIN_S)
                continue
            if not self._pass_over(taken, status, size):
                taken.ended = final
                return taken

    def _header_damaged(self) -> bool:
        """A header that was never written (all zeros) is not damage: power was lost."""
        header = os.pread(self.fd, len(MAGIC), 0)
        return header != MAGIC and header.strip(b"\0") != b""

    def _anything_after(self, at: int, size: int) -> bool:
        """Nothing is ever written behind an end mark, so one that has something behind it is
        a damaged length."""
        rest = os.pread(self.fd, size - at - 4, at + 4) if size > at + 4 else b""
        return rest.count(0) != len(rest)

    def _pass_over(self, taken: Taken, status: int, size: int) -> bool:
        """Go on at the next frame; ``False`` when an unwritten rest is all there is."""
        at = taken.end
        rest = os.pread(self.fd, size - at, at)
        following = at + find_frame(rest, 8)
        if status == OPEN and following >= size:
            # The torn frame of a killed writer, or nothing: it was never answered.
            return False
        following = min(following, size)
        taken.damage.append(Damage(at, following, rest[: following - at]))
        taken.end = following
        return True

    def count(self, start: int, ends: float) -> tuple[int, bool]:
        """Rows from ``start`` on, by their lengths alone, and whether the count is complete
        (``ends``: ``time.monotonic()`` at which to give up)."""
        at = max(start, HEADER_BYTES)
        rows = 0
        wanted = CHUNK_BYTES
        while at < self.size:
            if time.monotonic() > ends:
                return rows, False
            data = os.pread(self.fd, min(wanted, self.size - at), at)
            status, used, found, need = count_rows(data, self.size - at)
            at += used
            rows += found
            if status != SHORT or len(data) < min(wanted, self.size - at + used):
                break
            wanted = max(CHUNK_BYTES, need)
        return rows, True
