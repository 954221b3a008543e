"""One way to the database for commands, whether or not a gateway runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from tensorzero.cli.data_dir import data_dir_path
from tensorzero.cli.environment import clickhouse_url
from tensorzero.server.children import StartError
from tensorzero.server.logs import set_up_logs
from tensorzero.server.slot import SlotTaken, take_slot
from tensorzero.storage.database.broken_parts import newly_broken, remember_broken
from tensorzero.storage.database.connection_file import (
    DATABASE_FOLDER,
    USERNAME,
    new_password,
    read_connection,
)
from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseError, DatabaseUnavailable, QueryError
from tensorzero.storage.database.http_interface import serve
from tensorzero.storage.database.http_request import Credentials
from tensorzero.storage.database.http_status import AUTHENTICATION_FAILED
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings

DRAIN_S = 60.0
BUSY_WAIT_S = 10.0


class Unreachable(DatabaseUnavailable):
    """Nothing was sent: there is nobody at this address, or somebody else."""


def run_command(name: str, work: Coroutine[Any, Any, None]) -> int:
    """Do the work of ``tensorzero NAME``; returns the exit status."""
    set_up_logs("pretty", stream=sys.stderr)
    # What the interface of a database opened here has to say beside the query's own error.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(_until_left(work))
    except BrokenPipeError:
        _drop_output()
        return 128 + signal.SIGPIPE
    except (DatabaseError, StartError, OSError) as error:
        print(f"tensorzero {name}: {error}", file=sys.stderr)
        return 1


async def on_database(data_dir: str | None, work: Callable[[DatabaseURL], Awaitable[None]]) -> None:
    """Do ``work`` on the server of the environment, else on the embedded database: through the
    gateway that runs on it, else opened here. ``work`` is begun again when it finds nobody at
    the address. Raises ``StartError``, ``DatabaseError`` and what ``work`` raises."""
    url = clickhouse_url()
    if url is not None:
        await work(url)
        return
    directory = data_dir_path(data_dir)
    if not (directory / DATABASE_FOLDER).is_dir():
        raise StartError(
            f"nothing has been recorded in {directory} yet; `--data-dir` or TENSORZERO_DATA_DIR "
            "name another data directory"
        )
    ends = asyncio.get_running_loop().time() + BUSY_WAIT_S
    while True:
        running = read_connection(directory)
        if running is not None:
            try:
                await work(running)
                return
            except (Unreachable, QueryError) as error:
                # A gateway that was killed left its address behind, or a new one has another.
                if isinstance(error, QueryError) and error.code != AUTHENTICATION_FAILED:
                    raise
        try:
            spool, slot = take_slot(directory, shared=False, wait_s=0)
        except SlotTaken:
            # Starting, stopping, or another command like this one.
            if asyncio.get_running_loop().time() > ends:
                raise
            await asyncio.sleep(0.1)
            continue
        try:
            async with _opened(directory, spool) as own:
                await work(own)
            return
        finally:
            os.close(slot)


async def _until_left(work: Coroutine[Any, Any, None]) -> int:
    """Do the work; stop it at a signal, or when nobody reads the result any more."""
    loop = asyncio.get_running_loop()
    left: asyncio.Future[int] = loop.create_future()

    def leave(status: int) -> None:
        if not left.done():
            left.set_result(status)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, leave, 128 + number)
    output = sys.stdout.fileno()
    if stat.S_ISFIFO(os.fstat(output).st_mode):
        # A pipe's write end becomes "readable" only by an error: its reader is gone.
        loop.add_reader(output, leave, 128 + signal.SIGPIPE)
    task = asyncio.ensure_future(work)
    either: set[asyncio.Future[Any]] = {task, left}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not left.done():
        await task
        return 0
    if left.result() == 128 + signal.SIGPIPE:
        _drop_output()
    return left.result()


def _drop_output() -> None:
    """Nobody reads it: Python must not complain about that when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.asynccontextmanager
async def _opened(directory: Path, spool: Path) -> AsyncIterator[DatabaseURL]:
    """The embedded database, opened here, with everything from the spool in it."""
    database = await asyncio.to_thread(EmbeddedDatabase.open, directory)
    try:
        distrust = newly_broken(database)
        shipper = Shipper(
            spool_root=spool,
            quarantine=directory / "quarantine",
            sink=database,
            settings=ShipperSettings(),
            distrust=distrust,
        )
        if distrust:
            remember_broken(database)  # the shipper's state knows from here on
        with contextlib.closing(shipper):
            waiting = await shipper.drain(DRAIN_S)
        if waiting:
            print(f"tensorzero: {waiting} rows are still in the spool", file=sys.stderr)
        password = new_password()
        interface = await serve(database, "127.0.0.1", 0, Credentials(USERNAME, password))
        try:
            yield DatabaseURL(
                scheme="http",
                host=interface.host,
                port=interface.port,
                username=USERNAME,
                password=password,
            )
        finally:
            await interface.close()
    finally:
        database.close()
