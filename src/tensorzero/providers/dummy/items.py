"""The items of a stream that comes from nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from tensorzero.providers.items import ItemStream, StreamItem
from tzcore.clock import OutboundClock


class DummyItems(ItemStream):
    """Gives what ``script`` yields: items, and between them seconds to wait, as for a server."""

    def __init__(self, script: Iterator[StreamItem | float], clock: OutboundClock) -> None:
        super().__init__()
        self._script = script
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._go_on()

    def _go_on(self) -> None:
        """Up to the next wait, or to the end."""
        if self._timer is not None:
            self._timer = None
            self._clock.leave()
        for step in self._script:
            if isinstance(step, float):
                self._clock.enter()
                self._timer = asyncio.get_running_loop().call_later(step, self._go_on)
                break
            self._add(step)
        self._flush()
        if self._timer is None:
            self._end()

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._clock.leave()
