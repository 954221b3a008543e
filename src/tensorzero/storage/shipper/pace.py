"""What a shipper tells of its haste, to whoever gives its process processor time."""

from __future__ import annotations

from typing import Protocol


class Pace(Protocol):
    """Listens to one shipper, on its event loop."""

    def done(self, until: float) -> None:
        """Whatever was recorded before ``until`` (as ``time.monotonic()``) is in the database."""

    def hurry(self, waits: bool) -> None:
        """Somebody waits for rows, or nobody does (any more)."""


class Unhurried:
    """Does not listen."""

    def done(self, until: float) -> None:
        pass

    def hurry(self, waits: bool) -> None:
        pass
