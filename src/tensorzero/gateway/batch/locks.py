"""One at a time, over all workers of a data directory: locks on files."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from zlib import crc32

_LOOK_S = (0.01, 0.5)
_FILES = 64
"""Names share so many files: who waits for another name's work only waits."""


@contextlib.asynccontextmanager
async def file_lock(folder: str, name: str) -> AsyncIterator[None]:
    """Hold the lock of ``name``; the kernel lets it go when the process dies. Raises ``OSError``."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    file = f"{crc32(name.encode()) % _FILES}.lock"
    fd = os.open(os.path.join(folder, file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    pause = _LOOK_S[0]
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LOOK_S[1])
        yield
    finally:
        os.close(fd)
