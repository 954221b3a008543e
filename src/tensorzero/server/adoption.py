"""Ships what gateways left behind that are gone: spool folders that nobody holds."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tensorzero.storage.shipper.shipper import Shipper
from tensorzero.storage.spool.directory import writer_directories

log = logging.getLogger(__name__)

LOOK_S = 5.0


class Adoption:
    """Looks beside our own spool folder; ``make`` gives a shipper for another one."""

    def __init__(self, own: Path, make: Callable[[Path], Shipper]) -> None:
        self.own = own
        self.make = make
        self.current: Shipper | None = None

    @property
    def busy(self) -> bool:
        """An insert still runs."""
        return self.current is not None and self.current.busy

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for folder in sorted(self.own.parent.iterdir()):
                if folder == self.own or not folder.name.isdigit() or stop.is_set():
                    continue
                if writer_directories(folder):
                    await self._adopt(folder, stop)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_S)

    async def _adopt(self, folder: Path, stop: asyncio.Event) -> None:
        with _lock(folder) as ours:
            if not ours:
                return
            log.info("shipping what a gateway that is gone left in %s", folder)
            try:
                self.current = self.make(folder)
            except OSError as error:
                log.error("%s cannot be shipped: %s", folder, error)
                return
            await self.current.ship_all(stop)
            self.current.close()
            if not self.current.busy:
                self.current = None


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock as its gateway would; ``False`` when somebody has it."""
    fd = os.open(folder.parent / f"{folder.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield True
    finally:
        os.close(fd)
