"""The spool folder that one gateway holds while it runs."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from tensorzero.server.children import StartError

SLOT_WAIT_S = 10.0


class SlotTaken(StartError):
    """Another gateway, or another command, holds the data directory."""


def take_slot(data_dir: Path, *, shared: bool, wait_s: float = SLOT_WAIT_S) -> tuple[Path, int]:
    """A spool folder of our own and the descriptor that locks it (close it to give it back).

    With the embedded database there is one (``spool/0``), and we wait ``wait_s`` for it; with a
    server several gateways may share the data directory, each in the first free folder.
    Raises ``SlotTaken``, which names the holder, and ``OSError``.
    """
    ends = time.monotonic() + wait_s
    number = 0
    while True:
        folder = data_dir / "spool" / str(number)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(folder.parent / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 256, 0).decode("utf-8", "replace").strip()
            os.close(fd)
            if shared:
                number += 1
                continue
            if time.monotonic() >= ends:
                raise SlotTaken(
                    f"the data directory {data_dir} is in use by {_describe(holder)}. "
                    "Stop it, or choose another one with `--data-dir` or TENSORZERO_DATA_DIR"
                ) from None
            time.sleep(0.05)
            continue
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {socket.gethostname()}".encode(), 0)
        return folder, fd


def _describe(holder: str) -> str:
    pid, _, host = holder.partition(" ")
    if not pid.isdigit():
        return "another process"
    if host in ("", socket.gethostname()):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return (
                f"the workers of process {pid}, which has ended; they are still finishing requests"
            )
        except PermissionError:
            pass
    return f"process {pid}" + (f" on {host}" if host else "")
