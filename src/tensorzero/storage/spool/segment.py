"""Reads one segment: committed frames only, damage found and passed over.

The layout is described in ``tzcore.spool``.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from tzcore.spool import END_OF_SEGMENT, HEADER_BYTES, MAGIC

Row = tuple[bytes, bytes]
"""Table name and row."""


@dataclass(frozen=True, slots=True)
class Frame:
    """All rows of one inference, and where the frame ends in its segment."""

    rows: tuple[Row, ...]
    end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame: from ``start`` to ``end``, where reading can go on."""

    start: int
    end: int
    content: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The segment is complete: its writer went on to the next one."""


class Segment:
    """A segment file as its reader sees it at one moment."""

    def __init__(self, path: Path) -> None:
        """Map the file; pages are read as they are looked at. Raises ``OSError``."""
        self.path = path
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def entries(self, offset: int) -> Iterator[Frame | Damage | End]:
        """What lies from ``offset`` on; ends where nothing is committed yet."""
        data = self.data
        at = max(offset, HEADER_BYTES)
        if data[: len(MAGIC)] != MAGIC:
            if data[:].strip(b"\0"):
                yield Damage(0, len(data), data[:])
            return
        while at + 8 <= len(data):
            length, checksum = struct.unpack_from("<II", data, at)
            if length == END_OF_SEGMENT:
                yield End()
                return
            if length == 0 and not self._resumes_after(at):
                return
            frame = self._frame(at, length, checksum)
            if frame is None:
                following = self._next_frame(at + 8)
                # The writer may have committed this frame and further ones since the first look:
                # only what is still no frame once a later one was seen is damage.
                length, checksum = struct.unpack_from("<II", data, at)
                frame = self._frame(at, length, checksum)
            if frame is None:
                yield Damage(at, following, data[at:following])
                at = following
            else:
                yield frame
                at = frame.end

    def _resumes_after(self, at: int) -> bool:
        """Whether anything but zeros follows: then ``at`` is a hole, not the end."""
        ahead = self.data[at : at + 65536]
        return ahead.count(0) != len(ahead) and self._next_frame(at + 8) < len(self.data)

    def _frame(self, at: int, length: int, checksum: int) -> Frame | None:
        end = at + 8 + length
        if length == 0 or end > len(self.data):
            return None
        payload = self.data[at + 8 : end]
        if crc32(payload) != checksum:
            return None
        rows = _rows(payload)
        if rows is None:
            return None
        return Frame(rows, (end + 7) & ~7)

    def _next_frame(self, at: int) -> int:
        """The next offset where a frame or the end mark is; the file's end when there is none."""
        data = self.data
        while at + 8 <= len(data):
            length, checksum = struct.unpack_from("<II", data, at)
            if length == END_OF_SEGMENT or (
                length != 0 and self._frame(at, length, checksum) is not None
            ):
                return at
            at += 8
        return len(data)


def _rows(payload: bytes) -> tuple[Row, ...] | None:
    rows: list[Row] = []
    at = 0
    while at < len(payload):
        if at + 5 > len(payload):
            return None
        name_length = payload[at]
        (row_length,) = struct.unpack_from("<I", payload, at + 1)
        at += 5
        end = at + name_length + row_length
        if end > len(payload):
            return None
        rows.append((payload[at : at + name_length], payload[at + name_length : end]))
        at = end
    return tuple(rows)
