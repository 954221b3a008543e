"""The gears of a process: what each thread's class becomes, when, and that it comes back.

Everything runs in a process of its own, whose threads are all its own too.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tzcore.gears import Gears

FOREVER_S = 3600.0
TIMES = {
    "late_s": FOREVER_S,
    "calm_s": FOREVER_S,
    "stay_s": 0.0,
    "longest_stay_s": 0.0,
    "linger_s": 0.0,
    "look_s": 0.05,
}


def classes() -> dict[int, int]:
    """Of each thread of this process."""
    found = {}
    for name in os.listdir("/proc/self/task"):
        try:
            found[int(name)] = os.sched_getscheduler(int(name))
        except ProcessLookupError:
            continue
    return found


class Driven:
    """Gears with their driver; ``others`` are threads that do nothing."""

    def __init__(self, gears: Gears, others: int) -> None:
        self.gears = gears
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self.end.wait) for _ in range(others)]
        for thread in self.threads:
            thread.start()
        self.driver = threading.Thread(target=gears.drive)
        self.driver.start()

    def changed(self) -> bool:
        """Wait for the next change; returns the gear: whether it is the low one."""
        assert select.select([self.gears.changes_fd], [], [], 60)[0], "the gear does not change"
        os.eventfd_read(self.gears.changes_fd)
        return self.gears.low

    def in_time(self) -> None:
        """Wait for low gear, with work that is done all the time."""
        while not select.select([self.gears.changes_fd], [], [], 0.02)[0]:
            self.gears.done(time.monotonic())
        assert self.changed()

    def policies(self) -> set[int]:
        """Classes of the threads that do nothing."""
        found = classes()
        return {found[thread.native_id] for thread in self.threads if thread.native_id}


@contextmanager
def driven(others: int = 3, **times: Any) -> Iterator[Driven]:
    process = Driven(Gears(**{**TIMES, **times}), others)
    try:
        yield process
    finally:
        process.gears.stop()
        process.driver.join()
        process.end.set()
        for thread in process.threads:
            thread.join()


def low_and_back() -> None:
    me = threading.get_native_id()
    with driven(kept=me) as process:
        assert process.changed()
        assert process.policies() == {os.SCHED_IDLE}
        assert process.driver.native_id is not None
        now = classes()
        assert now[me] == now[process.driver.native_id] == os.SCHED_OTHER
        process.gears.hold()
        process.gears.hold()
        assert not process.changed()
        assert process.policies() == {os.SCHED_OTHER}
        process.gears.release()
        assert not select.select([process.gears.changes_fd], [], [], 0.3)[0]
        process.gears.release()
        assert process.changed()
        assert process.policies() == {os.SCHED_IDLE}
    assert set(classes().values()) == {os.SCHED_OTHER}
    with pytest.raises(RuntimeError):
        process.gears.release()


def nice_values_stay() -> None:
    os.nice(7)
    with driven() as process:
        assert process.changed()
        process.gears.hold()
        assert not process.changed()
        for thread in process.threads:
            assert thread.native_id is not None
            assert os.getpriority(os.PRIO_PROCESS, thread.native_id) == 7


def new_threads() -> None:
    """Whoever makes a thread hands its class on; those of a thread in high gear are found."""
    with driven(kept=threading.get_native_id()) as process:
        assert process.changed()
        thread = threading.Thread(target=process.end.wait)
        thread.start()
        process.threads.append(thread)
        ends = time.monotonic() + 60
        while process.policies() != {os.SCHED_IDLE}:
            assert time.monotonic() < ends
            time.sleep(0.01)  # the kernel tells nobody that a class has changed


def late() -> None:
    """What is not done in time shifts up, and down again when it is done."""
    with driven(late_s=0.3, calm_s=0.3) as process:
        process.in_time()
        assert not process.changed()
        assert not select.select([process.gears.changes_fd], [], [], 0.5)[0]
        process.in_time()


def stays() -> None:
    """Work that is late soon again makes high gear last twice as long."""
    with driven(late_s=0.5, calm_s=30.0, stay_s=0.2, longest_stay_s=0.6) as process:
        stays = []
        process.in_time()
        for stay in (0.2, 0.4, 0.6, 0.6):
            since = time.monotonic()
            assert not process.changed()
            stays.append(process.gears.stay_s)
            process.in_time()
            assert time.monotonic() - since > stay
        assert stays == [0.2, 0.4, 0.6, 0.6]


def starved() -> None:
    """The gear comes back although whoever has Python's lock never lets it go."""
    with driven(late_s=0.3, calm_s=0.3) as process:
        process.in_time()
        sys.setswitchinterval(FOREVER_S)
        me = threading.get_native_id()
        ends = time.monotonic() + 60
        while os.sched_getscheduler(me) == os.SCHED_IDLE or process.gears.low:
            assert time.monotonic() < ends
        sys.setswitchinterval(0.005)


@pytest.mark.parametrize(
    "script", [low_and_back, nice_values_stay, new_threads, late, stays, starved]
)
def test_gears(script: Any) -> None:
    from tensorzero.server.gears import can_come_back

    if not can_come_back():
        pytest.skip("low gear would be for good: no CAP_SYS_NICE, no RLIMIT_NICE")
    code = f"import test_gears; test_gears.{script.__name__}()"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=os.path.dirname(__file__),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
