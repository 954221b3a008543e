"""One thread that talks to the database; it never keeps the process from ending."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class IngestThread:
    """Runs calls one after the other. A daemon: an insert that hangs ends with the process."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[
            tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], Callable[[], Any]]
        ] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run ``call`` behind those before it; its future belongs to the calling loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="ingest", daemon=True)
            self._thread.start()
        self._calls.put((loop, future, call))
        return future

    def _work(self) -> None:
        while True:
            loop, future, call = self._calls.get()
            result: Any = None
            error: BaseException | None = None
            try:
                result = call()
            except BaseException as raised:  # handed to whoever waits
                error = raised
            try:
                loop.call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more
            del result, error, future, call


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
