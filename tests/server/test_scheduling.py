"""What a thread asks of the kernel's scheduler, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHORT = """
import os
from tensorzero.server.scheduling import ask_for_short_turns
os.nice(3)
taken = ask_for_short_turns()
print(taken, os.sched_getscheduler(0) == os.SCHED_OTHER, os.getpriority(os.PRIO_PROCESS, 0))
"""
LOW = """
import os
from tensorzero.server.scheduling import lower_priority
lower_priority()
print(os.getpriority(os.PRIO_PROCESS, 0))
"""


def printed(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_short_turns_change_neither_policy_nor_priority() -> None:
    taken, normal, nice = printed(SHORT)
    assert taken in ("True", "False")  # the kernel's to say
    assert (normal, nice) == ("True", "3")


def test_the_shipper_s_priority() -> None:
    assert printed(LOW) == ["10"]
