"""Questions that come at nearly the same time, asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

V = TypeVar("V")

GATHER_S = 0.003
"""Keys that come within this time share a call."""
AT_MOST = 1000


class Gathered(Generic[V]):
    """``get`` waits for the answer that ``fetch`` has for a key among others.

    At most ``calls`` calls run at once; keys that come meanwhile wait for the next.
    """

    def __init__(
        self, fetch: Callable[[Sequence[str]], Awaitable[Mapping[str, V]]], calls: int
    ) -> None:
        self._fetch = fetch
        self._calls = calls
        self._asked: dict[str, asyncio.Future[V | None]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def get(self, key: str) -> V | None:
        """The answer, ``None`` when there is none; raises what ``fetch`` raises."""
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = asyncio.get_running_loop().create_future()
            self._arrange()
        return await asyncio.shield(future)

    def _arrange(self) -> None:
        if self._asked and self._timer is None and len(self._running) < self._calls:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._begin)

    def _begin(self) -> None:
        self._timer = None
        batch = dict(islice(self._asked.items(), AT_MOST))
        for key in batch:
            del self._asked[key]
        task = asyncio.get_running_loop().create_task(self._run(batch))
        self._running.add(task)
        task.add_done_callback(self._ended)
        self._arrange()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._arrange()

    async def _run(self, batch: Mapping[str, asyncio.Future[V | None]]) -> None:
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
