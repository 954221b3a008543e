"""The supervisor: holds the listening socket, starts and restarts the others, stops in order.

Small, and it never imports the database engine.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import orjson

from tensorzero.config.config import Config
from tensorzero.server.children import Child, Children, StartError
from tensorzero.server.settings import Settings

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LAST_PAUSE_S = 30.0
FREE_RESTARTS = 5
"""So many restarts of a child in ``WINDOW_S`` come after the first pause; then it doubles."""
WINDOW_S = 300.0
HANG_UP_S = 1.0

T = TypeVar("T")


def restart_pause_s(ends: deque[float]) -> float:
    """How long to wait after the last of ``ends`` (older ones than ``WINDOW_S`` are dropped)."""
    while ends and ends[-1] - ends[0] > WINDOW_S:
        ends.popleft()
    excess = max(0, len(ends) - FREE_RESTARTS)
    return float(min(FIRST_PAUSE_S * 2**excess, LAST_PAUSE_S))


class Supervisor:
    """Starts a shipper and the workers, and keeps them running until it is told to stop."""

    def __init__(
        self, settings: Settings, config: Config, listener: socket.socket | None, slot: int | None
    ) -> None:
        """``listener`` is ``None`` when only ``validate`` is to be called, ``slot`` when nothing
        is recorded."""
        self.settings = settings
        self.config = config
        self.listener = listener
        self.slot = slot
        self.children = Children()
        self.shipper: Child | None = None
        self.workers: dict[int, Child] = {}
        # What workers count outlives each of them: the memory is ours.
        self.counter_fds: list[int] = []
        self.memory_fd = -1
        """The file in which workers remember what they have recorded."""
        self.stopping: asyncio.Event = asyncio.Event()
        self.forced_by: int | None = None

    def run(self, announce: Callable[[str], None]) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit status. Raises ``StartError``.

        ``announce`` is called once, when all is ready, with the database's description.
        """
        return asyncio.run(self._run(announce))

    def validate(self) -> str:
        """Start the database and stop it again; returns its description. Raises ``StartError``."""
        return asyncio.run(self._validate())

    async def _validate(self) -> str:
        self._handle_signals()
        try:
            self.shipper = self._spawn_shipper()
            answer = await self._until_stopped(self.children.ready(self.shipper))
            if answer is None:
                raise StartError("stopped before the database was ready")
            return str(answer.get("database"))
        finally:
            await self.children.end(*self.children.running)

    async def _run(self, announce: Callable[[str], None]) -> int:
        self._handle_signals()
        keepers: list[asyncio.Task[None]] = []
        try:
            database = await self._until_stopped(self._start())
            if database is None:
                log.info("stopped before the start was complete")
            else:
                announce(database)
                keepers = [asyncio.create_task(self._keep_worker(n)) for n in self.workers]
                if self.shipper is not None:
                    keepers.append(asyncio.create_task(self._keep_shipper()))
                await self.stopping.wait()
        finally:
            await self._end_all(keepers)
        return 0 if self.forced_by is None else 128 + self.forced_by

    # --- signals

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        loop.add_signal_handler(signal.SIGCHLD, self.children.reap)

    def _stop(self, number: signal.Signals) -> None:
        if not self.stopping.is_set():
            log.info("%s: finishing running requests", signal.Signals(number).name)
            self.stopping.set()
        elif self.forced_by is None:
            log.warning("%s again: ending at once", signal.Signals(number).name)
            self.forced_by = number
            self.children.kill()

    def _hang_up(self) -> None:
        def stop() -> None:
            if not self.stopping.is_set():
                self._stop(signal.SIGHUP)

        asyncio.get_running_loop().call_later(HANG_UP_S, stop)

    async def _until_stopped(self, work: Awaitable[T]) -> T | None:
        """The result, or ``None`` when we are told to stop first."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            return None
        return await task

    # --- starting

    async def _start(self) -> str:
        """Everything loads at once; workers serve when the database is there."""
        self.shipper = self._spawn_shipper() if self.settings.records else None
        numbers = range(self.settings.workers)
        self.counter_fds = [os.memfd_create(f"counters-{number}") for number in numbers]
        self.memory_fd = os.memfd_create("recorded")
        for number in numbers:
            self.workers[number] = self._spawn_worker(number)
        database = "not recording"
        if self.shipper is not None:
            answer = await self.children.ready(self.shipper)
            database = str(answer.get("database"))
        for worker in self.workers.values():
            worker.go()
        ready = [self.children.ready(worker) for worker in self.workers.values()]
        for result in await asyncio.gather(*ready, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        return database

    def _spawn_shipper(self) -> Child:
        batch = self.config.gateway.observability.batch_writes
        start = {
            "config_toml": self.config.snapshot.toml,
            "config_hash": self.config.snapshot.hash,
            "extra_templates": dict(self.config.snapshot.extra_templates),
            "disable_automatic_migrations": self.config.clickhouse.disable_automatic_migrations,
            "flush_interval_ms": batch.flush_interval_ms,
            "max_rows": batch.max_rows,
        }
        options = {"settings": self.settings.to_json()}
        return self._spawn("shipper", "tensorzero.server.shipping", options, orjson.dumps(start))

    def _spawn_worker(self, number: int) -> Child:
        if self.listener is None:
            raise StartError("workers need a listening socket")
        fd = self.listener.fileno()
        options: dict[str, str | int] = {
            "settings": self.settings.to_json(),
            "listen-fd": fd,
            "counter-fds": ",".join(map(str, self.counter_fds)),
            "memory-fd": self.memory_fd,
            "number": number,
        }
        module = "tensorzero.server.worker"
        fds = (fd, *self.counter_fds, self.memory_fd)
        return self._spawn("worker", module, options, self.config.captured, *fds)

    def _spawn(
        self, name: str, module: str, options: Mapping[str, str | int], start: bytes, *fds: int
    ) -> Child:
        start_fd = os.memfd_create("start")
        try:
            with open(start_fd, "wb", closefd=False) as file:
                file.write(start)
            os.lseek(start_fd, 0, os.SEEK_SET)
            all_options = {**options, "start-fd": start_fd}
            # The lock of the data directory belongs to all of us: a killed supervisor's children
            # keep it while they finish.
            held = () if self.slot is None else (self.slot,)
            return self.children.spawn(name, module, all_options, (*held, start_fd, *fds))
        finally:
            os.close(start_fd)

    # --- restarting

    async def _keep_worker(self, number: int) -> None:
        async def start() -> Child:
            self.workers[number] = worker = self._spawn_worker(number)
            worker.go()
            await self.children.ready(worker)
            return worker

        await self._keep(self.workers[number], start)

    async def _keep_shipper(self) -> None:
        async def start() -> Child:
            self.shipper = shipper = self._spawn_shipper()
            await self.children.ready(shipper)
            return shipper

        if self.shipper is not None:
            await self._keep(self.shipper, start)

    async def _keep(self, child: Child, start: Callable[[], Awaitable[Child]]) -> None:
        """Start a child again whenever it ends; wait longer each time when it ends too often."""
        ends: deque[float] = deque()
        while True:
            await child.ended.wait()
            now = time.monotonic()
            log.error(
                "the %s ended after %.1f s (%s), starting it again",
                *(child.name, now - child.started_at, child.how_it_ended()),
            )
            while True:
                ends.append(time.monotonic())
                await asyncio.sleep(restart_pause_s(ends))
                try:
                    child = await start()
                    break
                except StartError as error:
                    log.error("the %s does not start, trying again: %s", child.name, error)
            log.info("the %s runs again", child.name)

    # --- stopping

    async def _end_all(self, keepers: list[asyncio.Task[None]]) -> None:
        """Workers first, with their running requests; then the shipper, with their rows."""
        if self.listener is not None:
            self.listener.close()
        for keeper in keepers[: len(self.workers)]:
            keeper.cancel()
        # By now a worker that was being started again is among them too.
        await self.children.end(*self.workers.values())
        for keeper in keepers:
            keeper.cancel()
        if keepers:
            await asyncio.wait(keepers)
        if self.shipper is not None:
            await self.children.end(self.shipper)
