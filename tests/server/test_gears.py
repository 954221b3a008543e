"""The shipper's process in its gears: as a user runs it, and without the right to come back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.running import Gateway
from server.silent import body
from server.test_processes import wait_until
from tensorzero.server.gears import can_come_back
from tensorzero.storage.database.connection_file import read_connection
from tensorzero.storage.shipper.shipper import STATE_FILE
from tensorzero.storage.shipper.state import State, StateFile

SHIPPER = "tensorzero.server.shipping"
WITHOUT_RIGHTS = """
import os, resource
from tensorzero.server.gears import can_come_back
os.nice(10)
resource.setrlimit(resource.RLIMIT_NICE, (0, resource.getrlimit(resource.RLIMIT_NICE)[1]))
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
print(can_come_back(), os.sched_getscheduler(0))
"""


def policies(pid: int) -> list[int]:
    """Classes of all threads of a process."""
    found = []
    for name in os.listdir(f"/proc/{pid}/task"):
        try:
            found.append(os.sched_getscheduler(int(name)))
        except ProcessLookupError:
            continue
    return found


def is_low(pid: int) -> bool:
    """All threads but the event loop's and the one that shifts the others."""
    found = policies(pid)
    return found.count(os.SCHED_IDLE) == len(found) - 2


def is_high(pid: int) -> bool:
    return os.SCHED_IDLE not in policies(pid)


def test_without_the_right_to_come_back_there_is_no_low_gear() -> None:
    """Trying it out leaves nothing behind."""
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_RIGHTS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout.split() == ["False", str(os.SCHED_OTHER)], ended.stderr


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("gears")
    running = Gateway(None, folder / "data")
    yield running
    assert running.stop() == 0


def test_a_query_lifts_the_shipper(recording: Gateway) -> None:
    (shipper,) = recording.children(SHIPPER)
    if not can_come_back():
        assert is_high(shipper)
        return
    wait_until(lambda: is_low(shipper), "low gear")
    database = read_connection(recording.data_dir)
    assert database is not None
    url = f"http://{database.host}:{database.port}/"
    auth = (database.username, database.password or "")
    ended = threading.Event()

    def query() -> None:
        sql = "SELECT sleepEachRow(0.5) FROM numbers(4) SETTINGS max_block_size = 1"
        assert httpx.post(url, params={"query": sql}, auth=auth, timeout=60).status_code == 200
        ended.set()

    thread = threading.Thread(target=query)
    thread.start()
    wait_until(lambda: is_high(shipper) or ended.is_set(), "high gear")
    assert not ended.is_set()
    thread.join()
    wait_until(lambda: is_low(shipper), "low gear again")


def test_rows_arrive_in_low_gear(recording: Gateway) -> None:
    (shipper,) = recording.children(SHIPPER)
    if can_come_back():
        wait_until(lambda: is_low(shipper), "low gear")
    answer = recording.post(body())
    assert answer.status_code == 200
    wanted = answer.json()["inference_id"]
    recording.wait_for(f"SELECT count() FROM ChatInference WHERE id = '{wanted}'", "1")


def test_rows_arrive_while_others_use_all_processors(recording: Gateway) -> None:
    """Low gear gets next to nothing then; what waits too long lifts the shipper. Nobody asks the
    database meanwhile: that would lift it too."""
    (shipper,) = recording.children(SHIPPER)
    if can_come_back():
        wait_until(lambda: is_low(shipper), "low gear")
    path = recording.data_dir / "spool" / "0" / STATE_FILE
    before = state(path)
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(2 * len(os.sched_getaffinity(0)))
    ]
    try:
        answer = recording.post(body(), timeout_s=60)
        assert answer.status_code == 200
        wait_until(
            lambda: not state(path).in_flight and state(path).checkpoints != before.checkpoints,
            "the rows in the database",
        )
    finally:
        for other in others:
            other.kill()
            other.wait()
    wanted = answer.json()["inference_id"]
    recording.wait_for(f"SELECT count() FROM ChatInference WHERE id = '{wanted}'", "1")


def state(path: Path) -> State:
    file = StateFile(path)
    file.close()
    return file.state
