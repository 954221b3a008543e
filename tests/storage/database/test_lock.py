"""One owner per data directory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tensorzero.storage.database.errors import DatabaseError, DatabaseLocked
from tensorzero.storage.database.lock import DirectoryLock

_HOLDER = """
import sys
from pathlib import Path
from tensorzero.storage.database.lock import DirectoryLock
DirectoryLock(Path(sys.argv[1])).acquire(0)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def _holder(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_owner_is_told_who_has_it(path: Path) -> None:
    process = _holder(path)
    try:
        started = time.monotonic()
        with pytest.raises(DatabaseLocked) as caught:
            DirectoryLock(path).acquire(0.2)
        assert 0.2 <= time.monotonic() - started < 5
        assert f"process {process.pid} on {socket.gethostname()}" in str(caught.value)
        assert "--data-dir" in str(caught.value)
    finally:
        process.communicate(b"")


def test_a_killed_owner_leaves_no_lock(path: Path) -> None:
    process = _holder(path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with DirectoryLock(path):
        assert path.read_text().split()[0] == str(os.getpid())


def test_waiting_ends_as_soon_as_the_owner_leaves(path: Path) -> None:
    first = DirectoryLock(path)
    first.acquire()
    timer = threading.Timer(0.3, first.release)
    timer.start()
    second = DirectoryLock(path)
    started = time.monotonic()
    second.acquire(10)
    assert 0.2 < time.monotonic() - started < 5
    second.release()
    timer.join()


def test_a_folder_that_cannot_hold_it(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"missing/\.lock"):
        DirectoryLock(tmp_path / "missing" / ".lock").acquire(0)
