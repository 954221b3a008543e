"""How the kernel shares processors between workers and the shipper.

Where they are scarce, a worker should run as soon as bytes arrive for it, and the shipper when
nobody else wants to. Low priority (``nice``) gives the shipper a small share, but it may still
finish its turn of a few milliseconds while a worker waits. Since Linux 6.12 a thread that asks
for short turns is let in before one of long turns; older kernels ignore or refuse the wish, which
costs tail latency only.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import struct
import sys

log = logging.getLogger(__name__)

SHIPPER_NICE = 10
TURN_NS = 100_000
"""A worker's turn; the shortest that the kernel knows."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # size, policy, flags, nice, priority, three times


def lower_priority() -> None:
    """For the shipper. Before it starts threads: the value is each thread's own."""
    os.nice(SHIPPER_NICE)


def ask_for_short_turns() -> bool:
    """For the calling thread; ``False`` where the kernel does not take it."""
    number = _SCHED_SETATTR.get(platform.machine())
    if not sys.platform.startswith("linux") or number is None or sys.maxsize < 2**32:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, TURN_NS, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, 0, ctypes.c_char_p(attributes), 0) != 0:
        log.debug("no short turns: %s", os.strerror(ctypes.get_errno()))
        return False
    return True
