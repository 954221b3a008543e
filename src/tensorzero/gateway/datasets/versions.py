"""Versions of rows: moments that only grow."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Versions:
    """Gives each change its ``updated_at``, in microseconds.

    A clock may stand still, go back, or lag behind another gateway's: a version is later than
    those that it replaces, and the clock of this worker never stands still.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self, replaced: Iterable[str] = ()) -> str:
        """``replaced``: the versions that are there, as the database writes them."""
        after = max(map(_microseconds, replaced), default=0)
        self._last = max(time.time_ns() // 1000, self._last + 1)
        # A row of the future is replaced by one of the future; the others stay in the present.
        moment = _EPOCH + timedelta(microseconds=max(self._last, after + 1))
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _microseconds(version: str) -> int:
    moment = datetime.fromisoformat(version).replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
