"""Points in time as flags take them."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta

FORMS = "2026-01-31, 2026-01-31T12:00:00Z, or a time back from now such as 90m, 24h or 30d"

_BACK = re.compile(r"([1-9][0-9]{0,5})([mhd])\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(2106, 1, 1, tzinfo=UTC)


def moment(text: str) -> datetime:
    """A date (its beginning), a date with time, or a time back from now; without a zone UTC.

    Raises ``argparse.ArgumentTypeError``.
    """
    if back := _BACK.match(text):
        found = datetime.now(UTC) - timedelta(**{_UNITS[back[2]]: int(back[1])})
    else:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no time: {FORMS}") from None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    # What a column of type DateTime holds.
    if not _FIRST <= found < _LAST:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1970 and 2105")
    return found


def milliseconds(at: datetime) -> int:
    """Unix time in milliseconds."""
    return int(at.timestamp() * 1000)
