"""The spool's folders: one for each writer, with a checkpoint of what has been shipped."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from tzcore.spool import HEADER_BYTES, LOCK_NAME

CHECKPOINT = "checkpoint.json"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a writer's segments; everything before it counts as before."""

    segment: int
    offset: int = HEADER_BYTES


def write_durably(path: Path, content: bytes) -> None:
    """Replace a small file so that after a power loss it holds the old or the new content."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class WriterDirectory:
    """One writer's segments, seen by the shipper."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def segments(self) -> list[int]:
        """Numbers of the segments that are there, ascending."""
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        return sorted(int(name[:-4]) for name in names if name.endswith(".seg"))

    def segment_path(self, number: int) -> Path:
        return self.path / f"{number:010d}.seg"

    def checkpoint(self) -> Position:
        """Up to where everything is in the database."""
        try:
            data = orjson.loads((self.path / CHECKPOINT).read_bytes())
        except FileNotFoundError:
            return Position(0)
        return Position(int(data["segment"]), int(data["offset"]))

    def set_checkpoint(self, position: Position) -> None:
        content = orjson.dumps({"segment": position.segment, "offset": position.offset})
        write_durably(self.path / CHECKPOINT, content)

    def abandoned(self) -> bool:
        """Whether no process writes here any more."""
        try:
            fd = os.open(self.path / LOCK_NAME, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    def remove(self) -> None:
        """Delete the folder of an abandoned writer of which everything has been shipped."""
        for name in os.listdir(self.path):
            os.unlink(self.path / name)
        os.rmdir(self.path)


def writer_directories(root: Path) -> list[WriterDirectory]:
    """All writers' folders below ``root``, in a fixed order."""
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    return [WriterDirectory(root / name) for name in names if (root / name).is_dir()]
