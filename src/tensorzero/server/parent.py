"""A child's tie to the supervisor: the pipe on its standard input closes when it dies."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import orjson


def watch_parent(on_death: Callable[[], None]) -> None:
    """Call ``on_death`` once when the supervisor is gone."""
    loop = asyncio.get_running_loop()
    fd = sys.stdin.fileno()

    def readable() -> None:
        if os.read(fd, 4096) == b"":
            loop.remove_reader(fd)
            on_death()

    loop.add_reader(fd, readable)


def report(fd: int, message: dict[str, object]) -> None:
    """Tell the supervisor how the start went: one JSON line."""
    os.write(fd, orjson.dumps(message) + b"\n")
    os.close(fd)
