"""What ``tensorzero query`` does: one way to the database, whether or not a gateway runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from tensorzero.cli.data_dir import data_dir_path
from tensorzero.cli.environment import clickhouse_url
from tensorzero.cli.query import MEMORY_LIMIT_BYTES, READS, TIME_LIMIT_S
from tensorzero.server.children import StartError
from tensorzero.server.logs import set_up_logs
from tensorzero.server.slot import SlotTaken, take_slot
from tensorzero.storage.database.broken_parts import newly_broken, remember_broken
from tensorzero.storage.database.connection_file import USERNAME, new_password, read_connection
from tensorzero.storage.database.embedded import DATABASE_FOLDER, EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseError, DatabaseUnavailable, QueryError
from tensorzero.storage.database.exception_text import parse_exception
from tensorzero.storage.database.http_interface import serve
from tensorzero.storage.database.http_request import Credentials
from tensorzero.storage.database.http_status import AUTHENTICATION_FAILED
from tensorzero.storage.database.remote import check_response
from tensorzero.storage.database.statement import split_statement
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings

SETTINGS = {
    "max_execution_time": str(TIME_LIMIT_S),
    "max_memory_usage": str(MEMORY_LIMIT_BYTES),
    # Reads only; unlike 1 it leaves the SETTINGS clause of a query alone.
    "readonly": "2",
    "cancel_http_readonly_queries_on_client_close": "1",
}
NONE: Mapping[str, str] = MappingProxyType({})
DRAIN_S = 60.0
BUSY_WAIT_S = 10.0


def run(arguments: argparse.Namespace) -> int:
    """Print the result; returns the exit status."""
    set_up_logs("pretty", stream=sys.stderr)
    # What the interface of a database opened here has to say beside the query's own error.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    try:
        _check(arguments.sql)
        return asyncio.run(_until_left(_query(arguments)))
    except BrokenPipeError:
        _drop_output()
        return 128 + signal.SIGPIPE
    except (DatabaseError, StartError, OSError) as error:
        print(f"tensorzero query: {error}", file=sys.stderr)
        return 1


def _check(sql: str) -> None:
    """Refuse what would write; the database refuses it too."""
    statement = split_statement(sql.encode())
    if statement.verb and not statement.is_read:
        raise StartError(f"`{statement.verb}` is refused: this command only reads ({READS})")


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


async def _query(arguments: argparse.Namespace) -> None:
    sql = arguments.sql
    url = clickhouse_url()
    if url is not None:
        # A server may append an error in mid-result as if it were more of it.
        await _print(url, sql, {"wait_end_of_query": "1"})
        return
    directory = data_dir_path(arguments.data_dir)
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
                await _print(running, sql)
                return
            except (_Unreachable, QueryError) as error:
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
                await _print(own, sql)
            return
        finally:
            os.close(slot)


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
            print(f"tensorzero query: {waiting} rows are still in the spool", file=sys.stderr)
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


class _Unreachable(DatabaseUnavailable):
    """Nothing was sent: there is nobody at this address, or somebody else."""


async def _print(url: DatabaseURL, sql: str, settings: Mapping[str, str] = NONE) -> None:
    """Run the query and print its result; leaving closes the connection, which ends the query."""
    default = "PrettyCompact" if sys.stdout.isatty() else "TabSeparated"
    params = {**url.query_params(), **SETTINGS, **settings, "default_format": default}
    headers = [(name.encode(), value) for name, value in url.headers().items()]
    timeout = httpx.Timeout(TIME_LIMIT_S + 15, connect=5)
    async with httpx.AsyncClient(timeout=timeout, trust_env=not url.is_loopback) as client:
        request = client.build_request(
            "POST", f"{url.origin}/", params=params, headers=headers, content=sql.encode()
        )
        try:
            response = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _Unreachable(f"ClickHouse at {url.origin} can't be reached ({error})") from None
        except httpx.HTTPError as error:
            raise DatabaseUnavailable(_broken(url, error)) from None
        try:
            if response.status_code != 200:
                body = await response.aread()
                check_response(response.status_code, response.headers, body, url)
            output = _Output(response.headers.get("x-clickhouse-exception-tag", ""))
            try:
                async for piece in response.aiter_bytes():
                    output.write(piece)
            finally:
                output.end()
        except httpx.HTTPError as error:
            raise DatabaseUnavailable(_broken(url, error)) from None
        finally:
            await response.aclose()


class _Output:
    """Standard output, without the error that the embedded database appends in mid-result."""

    def __init__(self, tag: str) -> None:
        self._mark = b"\r\n__exception__\r\n" + tag.encode() if tag else b""
        self._held = b""
        self._failed = False

    def write(self, piece: bytes) -> None:
        held = self._held + piece
        if not self._mark or self._failed:
            at = len(held) if not self._failed else 0
        else:
            at = held.find(self._mark)
            self._failed = at >= 0
            if at < 0:
                at = max(0, len(held) - len(self._mark) + 1)
        sys.stdout.buffer.write(held[:at])
        self._held = held[at:]

    def end(self) -> None:
        """Raises ``QueryError`` when the result ended in one."""
        if not self._failed:
            sys.stdout.buffer.write(self._held)
        sys.stdout.buffer.flush()
        if self._failed:
            text = self._held[len(self._mark) :].decode(errors="replace")
            raise parse_exception(text.partition("\r\n")[2].partition("\n")[0])


def _broken(url: DatabaseURL, error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"ClickHouse at {url.origin} gave no answer in time"
    return f"ClickHouse at {url.origin} broke the connection ({type(error).__name__})"
