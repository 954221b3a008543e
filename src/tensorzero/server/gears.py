"""The shipper's gears: its batches take no processor from requests, and none comes too late.

Low gear (``tzcore.gears`` says what that is) is the rule. High gear, which is what ``nice`` left,
is for the start and the stop, while a query of somebody runs, while somebody waits for rows, and
when rows wait longer than they should: other programs may use all processors up for hours.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator

from tzcore.gears import Gears

log = logging.getLogger(__name__)

LATE_S = 3.0
"""Beyond the time that a batch gathers for."""
CALM_S = 1.5
STAY_S = 2.0
LONGEST_STAY_S = 60.0
LINGER_S = 0.1
"""A query is seldom the last one."""
LOOK_S = 2.0


def can_come_back() -> bool:
    """Whether a thread of ours may leave low gear again: Linux lets it who has CAP_SYS_NICE or
    enough of RLIMIT_NICE. Tried out on a thread that ends then."""
    if not sys.platform.startswith("linux"):
        return False
    done: list[bool] = []

    def try_out() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        except OSError:
            return
        done.append(True)

    thread = threading.Thread(target=try_out)
    thread.start()
    thread.join()
    return bool(done)


class ShipperGears:
    """Shifts this process; a ``Pace`` of its shipper. To be used on one event loop.

    ``interval_s``: how long a batch gathers. Does nothing where low gear would be for good.
    """

    def __init__(self, interval_s: float) -> None:
        self._gears: Gears | None = None
        self._interval_s = interval_s
        self._hurries = False
        self._driver: threading.Thread | None = None

    def start(self) -> None:
        """Shift from now on; the calling thread, which is the event loop's, stays in high gear."""
        if not can_come_back():
            log.debug("the shipper has no right to leave low gear, so it does not enter it")
            return
        gears = self._gears = Gears(
            late_s=self._interval_s + LATE_S,
            calm_s=self._interval_s + CALM_S,
            stay_s=STAY_S,
            longest_stay_s=LONGEST_STAY_S,
            linger_s=LINGER_S,
            look_s=LOOK_S,
            kept=threading.get_native_id(),
        )
        if self._hurries:
            gears.hold()
        asyncio.get_running_loop().add_reader(gears.changes_fd, self._tell, gears)
        self._driver = threading.Thread(target=gears.drive, name="gears", daemon=True)
        self._driver.start()

    def stop(self) -> None:
        """High gear for good, at the latest when this returns."""
        gears, self._gears = self._gears, None
        if gears is not None and self._driver is not None:
            asyncio.get_running_loop().remove_reader(gears.changes_fd)
            gears.stop()
            self._driver.join()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """High gear for as long as this lasts."""
        gears = self._gears
        if gears is not None:
            gears.hold()
        try:
            yield
        finally:
            if gears is not None:
                gears.release()

    def done(self, until: float) -> None:
        if self._gears is not None:
            self._gears.done(until)

    def hurry(self, waits: bool) -> None:
        if waits != self._hurries:
            self._hurries = waits
            if self._gears is not None:
                if waits:
                    self._gears.hold()
                else:
                    self._gears.release()

    def _tell(self, gears: Gears) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(gears.changes_fd)
        log.debug("the shipper's threads are in %s gear", "low" if gears.low else "high")
