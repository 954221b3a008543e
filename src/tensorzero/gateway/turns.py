"""Long work in pieces, so that other requests of the worker are not kept waiting."""

from __future__ import annotations

import asyncio
from time import monotonic

TURN_S = 0.01


class Turns:
    """Of one request that has much to do."""

    def __init__(self) -> None:
        self._began = monotonic()

    async def offer(self) -> None:
        """Let the others run, if this one has run for its turn."""
        if monotonic() - self._began >= TURN_S:
            await asyncio.sleep(0)
            self._began = monotonic()
