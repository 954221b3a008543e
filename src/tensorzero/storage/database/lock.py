"""One owner per data directory: a lock taken before the engine opens its folder.

The engine has a lock of its own, but a second opener gets an answer without text from it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from tensorzero.storage.database.errors import DatabaseError, DatabaseLocked

DEFAULT_WAIT_S: Final = 10.0
_POLL_S: Final = 0.05


class DirectoryLock:
    """An exclusive ``flock`` on ``path``; the kernel drops it when the holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self, wait_s: float = DEFAULT_WAIT_S) -> None:
        """Take the lock, waiting up to ``wait_s``; raises DatabaseLocked naming the holder."""
        if self._fd is not None:
            return
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseError(
                f"Cannot open the lock file {self._path}: {error.strerror}"
            ) from error
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = _holder(fd)
                    os.close(fd)
                    raise DatabaseLocked(
                        f"The embedded database in {self._path.parent} is in use by {holder} "
                        f"(waited {wait_s:g} s). Stop it, or choose another data directory "
                        "with --data-dir or TENSORZERO_DATA_DIR, or set TENSORZERO_CLICKHOUSE_URL "
                        "so that several gateways share one server"
                    ) from None
                time.sleep(_POLL_S)
            except OSError as error:
                os.close(fd)
                raise DatabaseError(
                    f"Cannot lock {self._path}: {error.strerror}. "
                    "The data directory must be on a file system with working file locks"
                ) from error
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        except OSError as error:
            if error.errno not in (28, 122):  # a full disk or quota: the lock holds all the same
                os.close(fd)
                raise DatabaseError(f"Cannot write {self._path}: {error.strerror}") from error
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> DirectoryLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _holder(fd: int) -> str:
    try:
        pid, _, host = os.pread(fd, 512, 0).decode(errors="replace").strip().partition(" ")
    except OSError:
        return "another process"
    if not pid:
        return "another process"
    return f"process {pid}" + (f" on {host}" if host else "")
