"""Deadlines of providers, models and variants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import TypeVar

from tensorzero.config.timeouts import TimeoutsConfig
from tensorzero.providers.items import ItemReceiver, Items
from tensorzero.types.errors import TimeoutExceeded
from tzcore.streams import TextLane

T = TypeVar("T")


def first_deadline(timeouts: TimeoutsConfig, *, stream: bool) -> tuple[str, int] | None:
    """The setting that ends the call (a stream: its start) first, and its milliseconds."""
    if not stream:
        if timeouts.non_streaming_total_ms is None:
            return None
        return "non_streaming_total", timeouts.non_streaming_total_ms
    ttft, total = timeouts.streaming_ttft_ms, timeouts.streaming_total_ms
    if ttft is not None and (total is None or ttft <= total):
        return "streaming_ttft", ttft
    return None if total is None else ("streaming_total", total)


async def bounded(
    call: Awaitable[T],
    timeouts: TimeoutsConfig,
    *,
    stream: bool,
    error: type[TimeoutExceeded],
    name: str,
) -> T:
    """Await ``call`` within the level's deadline; raises ``error`` when it passes.

    A call that is out of time is cancelled: its connection is closed.
    """
    deadline = first_deadline(timeouts, stream=stream)
    if deadline is None:
        return await call
    kind, milliseconds = deadline
    if milliseconds == 0:
        # Fails at once, also where the call would never have to wait.
        if isinstance(call, Coroutine):
            call.close()
        raise error(name, kind, 0)
    limit = asyncio.timeout(milliseconds / 1000)
    try:
        async with limit:
            return await call
    except TimeoutError:
        if not limit.expired():
            raise
        raise error(name, kind, milliseconds) from None


class BoundedItems:
    """Items until the loop's clock shows ``ends_at``; then ``expired`` is the last of them."""

    def __init__(self, items: Items, ends_at: float, expired: TimeoutExceeded) -> None:
        self._items = items
        self._ends_at = ends_at
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None
        self._receiver: ItemReceiver | None = None

    def push(self, receiver: ItemReceiver, lane: TextLane | None = None) -> None:
        """See ``ItemStream.push``."""
        loop = asyncio.get_running_loop()
        self._receiver = receiver
        self.take, self.flush = receiver.take, receiver.flush  # an item costs nothing here
        if loop.time() >= self._ends_at:
            self._expire()
        else:
            self._timer = loop.call_at(self._ends_at, self._expire)
            self._items.push(self, lane)

    def end(self, fault: Exception | None) -> None:
        """The items have ended in time."""
        receiver = self._disarmed()
        if receiver is not None:
            receiver.end(fault)

    def close(self) -> None:
        """See ``ItemStream.close``."""
        self._disarmed()
        self._items.close()

    def _expire(self) -> None:
        self._items.close()
        receiver = self._disarmed()
        if receiver is not None:
            receiver.take(self._expired)
            receiver.flush()
            receiver.end(None)

    def _disarmed(self) -> ItemReceiver | None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        receiver, self._receiver = self._receiver, None
        return receiver
