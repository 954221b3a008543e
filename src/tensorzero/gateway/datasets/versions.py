"""Versions of rows: moments in microseconds, as the database writes them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)


class Versions:
    """The clock of one worker; it never stands still and never goes back."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> str:
        """Later than all that were given before."""
        self._last = max(time.time_ns() // 1000, self._last + 1)
        return _text(_EPOCH + self._last * _STEP)


def replacing(version: str, now: str) -> str:
    """``now``, or just behind ``version`` where another gateway's clock was ahead: of two
    versions of a row the later one counts."""
    if version < now:
        return now
    return _text(datetime.fromisoformat(version).replace(tzinfo=UTC) + _STEP)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
