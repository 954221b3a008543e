"""A child's tie to the supervisor: a pipe on its standard input, which closes when it dies."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import orjson


class Parent:
    """The supervisor as a child sees it; made on the child's event loop."""

    def __init__(self, on_death: Callable[[], None]) -> None:
        """``on_death`` is called once when the supervisor is gone."""
        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._fd = sys.stdin.fileno()
        self._go = asyncio.Event()
        self.alive = True
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        if os.read(self._fd, 4096):
            self._go.set()
            return
        self.alive = False
        self._loop.remove_reader(self._fd)
        self._go.set()
        self._on_death()

    async def go(self) -> None:
        """Wait until the supervisor wants us to serve, or is gone."""
        await self._go.wait()


def watch_parent(on_death: Callable[[], None]) -> Parent:
    """Call ``on_death`` once when the supervisor is gone."""
    return Parent(on_death)


def report(fd: int, message: dict[str, object]) -> None:
    """Tell the supervisor how the start went: one JSON line."""
    try:
        os.write(fd, orjson.dumps(message) + b"\n")
    except BrokenPipeError:
        pass  # it died meanwhile, and the pipe on our standard input says so
    finally:
        os.close(fd)
