"""Questions that come at nearly the same time, asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

GATHER_S = 0.005
"""Calls begin at least so far apart; the first after a pause begins at once."""
AT_MOST = 1000


class Gathered(Generic[K, V]):
    """``get`` waits for the answer that ``fetch`` has for a key among others.

    One call runs at a time; keys that come meanwhile share the next.
    """

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._fetch = fetch
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._running: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0

    async def get(self, key: K) -> V | None:
        """The answer, ``None`` when there is none; raises what ``fetch`` raises."""
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = asyncio.get_running_loop().create_future()
            self._arrange()
        return await asyncio.shield(future)

    def _arrange(self) -> None:
        if self._asked and self._timer is None and self._running is None:
            self._timer = asyncio.get_running_loop().call_at(self._next, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._next = asyncio.get_running_loop().time() + GATHER_S
        batch = dict(islice(self._asked.items(), AT_MOST))
        for key in batch:
            del self._asked[key]
        self._running = asyncio.get_running_loop().create_task(self._run(batch))
        self._running.add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._running = None
        self._arrange()

    async def _run(self, batch: Mapping[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._fetch(list(batch))
        except Exception as error:  # whatever it is, those who wait raise it
            for future in batch.values():
                if not future.done():
                    future.set_exception(error)
            return
        for key, future in batch.items():
            if not future.done():
                future.set_result(found.get(key))
