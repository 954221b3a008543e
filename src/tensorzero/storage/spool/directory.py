"""The spool's folders: one for each writer, in the folder of a gateway."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tzcore.spool import HEADER_BYTES, LOCK_NAME, NEXT_NAME, SPARE_NAME

FEEDBACK_SUFFIX = ".feedback"
"""Ends the names of folders that hold feedback: it is read apart from inferences."""

_UNFINISHED_S = 60.0


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a writer's segments; everything before it counts as before."""

    segment: int
    offset: int = HEADER_BYTES


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def held(lock: Path) -> bool:
    """Whether a process holds this lock file."""
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


class WriterDirectory:
    """One writer's segments, seen by the shipper."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.feedback = path.name.endswith(FEEDBACK_SUFFIX)

    def segments(self) -> list[int]:
        """Numbers of the segments that are there, ascending."""
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        return sorted(
            int(name[:-4]) for name in names if name.endswith(".seg") and name[:-4].isdigit()
        )

    def segment_path(self, number: int) -> Path:
        return self.path / f"{number:010d}.seg"

    def abandoned(self) -> bool:
        """Whether no process writes here any more."""
        return not held(self.path / LOCK_NAME)

    def remove(self) -> None:
        """Delete the folder of an abandoned writer of which everything has been shipped."""
        for name in (SPARE_NAME, NEXT_NAME, LOCK_NAME):
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something in it is not ours: it stays
            self.path.rmdir()


def writer_directories(root: Path) -> list[WriterDirectory]:
    """All writers' folders below ``root``, in a fixed order."""
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    return [
        WriterDirectory(root / name)
        for name in names
        if not name.startswith(".") and (root / name).is_dir()
    ]


def remove_unfinished(root: Path) -> None:
    """Delete folders whose writer died before it had made its first segment."""
    for path in root.glob(".*"):
        with contextlib.suppress(OSError):
            old = time.time() - path.stat().st_mtime > _UNFINISHED_S
            if path.is_dir() and old and not held(path / LOCK_NAME):
                for entry in list(path.iterdir()):
                    entry.unlink()
                path.rmdir()
