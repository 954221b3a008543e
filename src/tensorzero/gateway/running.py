"""What a worker has under way, and waits for before it stops."""

from __future__ import annotations

from typing import Protocol


class Running(Protocol):
    """A request that is being served: an ``EagerTask``, or one on the short way."""

    async def join(self) -> None:
        """Wait until it has ended, however it did."""
