"""What the shipper must not forget: how far it is, and which batch is in flight.

One preallocated file with two slots, written in turn: a write that is torn by a power loss
leaves the other slot, and a full disk cannot keep the shipper from making room.
"""

from __future__ import annotations

import os
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from zlib import crc32

import orjson

from tensorzero.storage.shipper.batch import Range
from tensorzero.storage.spool.directory import Position, sync_directory

SLOT_BYTES = 256 * 1024
_HEADER = struct.Struct("<8sQII")
_MAGIC = b"TZSHIP01"


@dataclass(slots=True)
class State:
    """``checkpoints``: up to where each writer's rows are in the database. ``in_flight``: the
    ranges of the batch that is being sent, with ``digest`` over its bytes. ``compare``: it met a
    full disk, so tokens cannot tell what became of it. ``distrust``: a comparison of all that is
    held with the database has begun and is not at its end."""

    checkpoints: dict[str, Position] = field(default_factory=dict)
    in_flight: list[Range] = field(default_factory=list)
    digest: str = ""
    distrust: bool = False
    compare: bool = False

    def to_json(self) -> bytes:
        return orjson.dumps(
            {
                "checkpoints": {
                    name: [place.segment, place.offset] for name, place in self.checkpoints.items()
                },
                "in_flight": [asdict(entry) for entry in self.in_flight],
                "digest": self.digest,
                "distrust": self.distrust,
                "compare": self.compare,
            }
        )

    @classmethod
    def from_json(cls, text: bytes) -> State:
        data = orjson.loads(text)
        return cls(
            {name: Position(int(p[0]), int(p[1])) for name, p in data["checkpoints"].items()},
            [Range(**entry) for entry in data["in_flight"]],
            str(data["digest"]),
            data["distrust"] is True,
            data.get("compare") is True,
        )


class StateFile:
    """Reads and replaces the state; each ``write`` is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        """Open or create; raises ``OSError`` (no room for the file)."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(self._fd).st_size < 2 * SLOT_BYTES:
                os.posix_fallocate(self._fd, 0, 2 * SLOT_BYTES)
                os.fsync(self._fd)
                sync_directory(path.parent)
        except OSError as error:
            os.close(self._fd)
            raise OSError(error.errno, error.strerror, str(path)) from None
        self._sequence = 0
        self.lost = False
        """Both slots are damaged: what the database has must be found out by comparing."""
        self.state = self._read()

    def _read(self) -> State:
        found = State()
        for slot in (0, 1):
            data = os.pread(self._fd, SLOT_BYTES, slot * SLOT_BYTES)
            parsed = _parse(data)
            if parsed is not None and parsed[0] > self._sequence:
                self._sequence, found = parsed
            elif parsed is None and data.strip(b"\0"):
                self.lost = self.lost or self._sequence == 0
        if self._sequence:
            self.lost = False
        return found

    def write(self, state: State) -> None:
        """Raises ``OSError``; then the state before is still in force."""
        body = state.to_json()
        if len(body) > SLOT_BYTES - _HEADER.size:
            raise OSError(27, "the shipper's state is too large", str(self.path))
        sequence = self._sequence + 1
        checksum = crc32(body, crc32(struct.pack("<Q", sequence)))
        data = _HEADER.pack(_MAGIC, sequence, len(body), checksum) + body
        if os.pwrite(self._fd, data, sequence % 2 * SLOT_BYTES) != len(data):
            raise OSError(5, "the shipper's state was cut short", str(self.path))
        os.fdatasync(self._fd)
        self._sequence = sequence
        self.state = state

    def close(self) -> None:
        os.close(self._fd)


def _parse(data: bytes) -> tuple[int, State] | None:
    if len(data) < _HEADER.size:
        return None
    magic, sequence, length, checksum = _HEADER.unpack_from(data)
    body = data[_HEADER.size : _HEADER.size + length]
    if magic != _MAGIC or len(body) != length:
        return None
    if crc32(body, crc32(struct.pack("<Q", sequence))) != checksum:
        return None
    try:
        return sequence, State.from_json(body)
    except (ValueError, KeyError, TypeError, IndexError):
        return None
