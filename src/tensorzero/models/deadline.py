"""Deadlines of providers, models and variants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import TypeVar

from tensorzero.config.timeouts import TimeoutsConfig
from tensorzero.types.errors import TimeoutExceeded

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


async def bounded_stream(
    items: AsyncIterator[T],
    ends_at: float,
    expired: T,
) -> AsyncIterator[T]:
    """Pass ``items`` on until the loop's clock shows ``ends_at``; then ``expired`` is the last."""
    clock = asyncio.get_running_loop().time
    try:
        while True:
            if clock() >= ends_at:  # also for a stream that never has to wait for its next item
                yield expired
                return
            try:
                async with asyncio.timeout_at(ends_at):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except TimeoutError:
                yield expired
                return
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
