"""Reading analytics from a gateway worker: async calls, ``clickhouse-connect`` in threads.

A worker never imports the engine: embedded or remote, it reads over HTTP. When the task that
asked is cancelled, the connection is closed, and with it the query on the other side ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from tensorzero.storage.database.connection_file import read_connection
from tensorzero.storage.database.errors import DatabaseError, DatabaseUnavailable, QueryError
from tensorzero.storage.database.exception_text import parse_exception
from tensorzero.storage.database.parameters import Parameter
from tensorzero.storage.database.protocol import DDL_SETTINGS, Row, parse_rows
from tensorzero.storage.database.url import FORCED_SETTINGS, DatabaseURL

Source = DatabaseURL | Callable[[], DatabaseURL | None]

QUERY_TIMEOUT_S: Final = 60.0
CONNECT_TIMEOUT_S: Final = 5
PING_TIMEOUT_S: Final = 2.0
_AUTHENTICATION_FAILED: Final = 516
_URL_SUFFIX: Final = re.compile(r" \(for url [^)]*\)\Z")


def load_library() -> None:
    """Import what the first query needs; from any thread."""
    for name in ("exceptions", "httpclient"):
        import_module(f"clickhouse_connect.driver.{name}")


class ReadClient:
    """Queries of one worker; up to ``concurrency`` at a time, the others wait in line.

    ``source`` is the database's URL, or a function that looks it up (the embedded database has
    a new port and credential after each start): it is asked again after a failed connection.
    """

    def __init__(
        self,
        source: Source,
        *,
        concurrency: int = 4,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> None:
        self._source = source
        self._timeout_s = timeout_s
        self._executor = ThreadPoolExecutor(concurrency, thread_name_prefix="database-read")
        self._free = asyncio.Semaphore(concurrency)
        self._lock = threading.Lock()
        self._link: _Link | None = None
        self._calls: set[_Call] = set()
        self._closed = False

    @classmethod
    def for_data_dir(
        cls, data_dir: Path, *, concurrency: int = 4, timeout_s: float = QUERY_TIMEOUT_S
    ) -> ReadClient:
        """Read from the embedded database that a gateway runs on ``data_dir``."""
        return cls(lambda: read_connection(data_dir), concurrency=concurrency, timeout_s=timeout_s)

    async def query(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """Run one SELECT without FORMAT; rows as dicts, wide integers as strings.

        Raises QueryError (the engine's answer) or DatabaseUnavailable (not reached, too slow).
        """
        call = _Call()
        arguments = (call, sql, dict(params or {}), dict(settings or {}))
        rows: list[Row] = await self._in_thread(call, self._timeout_s, self._query, *arguments)
        return rows

    async def ping(self, timeout_s: float = PING_TIMEOUT_S) -> bool:
        """The database answers ``GET /ping`` in time."""
        call = _Call()
        try:
            await self._in_thread(call, timeout_s, self._ping, call, timeout_s)
        except DatabaseError:
            return False
        return True

    async def aclose(self) -> None:
        """Close all connections; queries still running end with DatabaseUnavailable."""
        self._closed = True
        for call in tuple(self._calls):
            call.abort()
        self._executor.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.close()

    async def _in_thread(
        self, call: _Call, timeout_s: float, function: Callable[..., Any], *arguments: Any
    ) -> Any:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s), self._free:
                if self._closed:
                    raise DatabaseUnavailable("The database client is closed")
                future = loop.run_in_executor(self._executor, function, *arguments)
                self._calls.add(call)
                try:
                    return await asyncio.shield(future)
                except _CallerLeft:
                    raise DatabaseUnavailable("The database client is closed") from None
                except asyncio.CancelledError:
                    call.abort()
                    # The thread is free again as soon as its connection is closed.
                    future.add_done_callback(_forget)
                    raise
                finally:
                    self._calls.discard(call)
        except TimeoutError:
            raise DatabaseUnavailable(
                f"The database gave no answer within {timeout_s:g} s"
            ) from None

    def _query(
        self, call: _Call, sql: str, params: dict[str, Parameter], settings: dict[str, str]
    ) -> list[Row]:
        with call:
            link = self._connected()
            try:
                return link.query(sql, params, settings)
            except (DatabaseUnavailable, QueryError) as error:
                if isinstance(error, QueryError) and error.code != _AUTHENTICATION_FAILED:
                    raise
                if call.aborted or not self._replaced(link):
                    raise
            return self._connected().query(sql, params, settings)

    def _ping(self, call: _Call, timeout_s: float) -> None:
        with call:
            _ping(self._address(), timeout_s)

    def _connected(self) -> _Link:
        with self._lock:
            if self._link is None:
                self._link = _Link(self._address(), self._timeout_s)
            return self._link

    def _replaced(self, link: _Link) -> bool:
        """Forget a link whose address is no longer the right one."""
        if isinstance(self._source, DatabaseURL) or self._source() == link.url:
            return False
        with self._lock:
            if self._link is link:
                self._link = None
                link.close()
        return True

    def _address(self) -> DatabaseURL:
        url = self._source if isinstance(self._source, DatabaseURL) else self._source()
        if url is None:
            raise DatabaseUnavailable("The embedded database is not running")
        return url


class _Call:
    """One call in one thread, which another thread may abort by closing its connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: HTTPConnection | None = None
        self.aborted = False

    def __enter__(self) -> _Call:
        _current.call = self
        return self

    def __exit__(self, *_: object) -> None:
        _current.call = None
        with self._lock:
            self._connection = None

    def use(self, connection: HTTPConnection) -> None:
        """Called before each request on a connection, in the call's thread."""
        with self._lock:
            if self.aborted:
                raise _CallerLeft
            self._connection = connection

    def abort(self) -> None:
        with self._lock:
            self.aborted = True
            sock = self._connection.sock if self._connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                # Wakes the thread that reads from it; the thread closes it.
                sock.shutdown(socket.SHUT_RDWR)


class _CallerLeft(Exception):
    """Nobody waits for the call; not one of the errors after which urllib3 tries again."""


class _Current(threading.local):
    call: _Call | None = None


_current = _Current()


class _Connection(HTTPConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        if _current.call is not None:
            _current.call.use(self)
        super().request(*args, **kwargs)


class _TLSConnection(HTTPSConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        if _current.call is not None:
            _current.call.use(self)
        super().request(*args, **kwargs)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def _pool_manager(**options: Any) -> urllib3.PoolManager:
    manager = urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return manager


class _Link:
    """A ``clickhouse-connect`` client on one address. Thread-safe."""

    def __init__(self, url: DatabaseURL, timeout_s: float) -> None:
        from clickhouse_connect.driver.exceptions import Error
        from clickhouse_connect.driver.httpclient import HttpClient

        # They log each failed connection, with a stack trace; here the caller reports it.
        for name in ("clickhouse_connect", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.url = url
        self._error = Error
        self._pool = _pool_manager(maxsize=16, block=False)
        with self._translated():
            self._client = HttpClient(
                interface=url.scheme,
                host=url.host,
                port=url.port,
                username="",
                password="",
                database=url.database,
                headers={name: value.decode() for name, value in url.headers().items()},
                settings={**dict(url.settings), **FORCED_SETTINGS, **DDL_SETTINGS},
                pool_mgr=self._pool,
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=int(timeout_s) + 5,
                autogenerate_session_id=False,
                show_clickhouse_errors=True,
                # Rows come as text; nothing is gained by compressing them on the way.
                compress=False,
            )

    def query(self, sql: str, params: dict[str, Parameter], settings: dict[str, str]) -> list[Row]:
        with self._translated():
            body = self._client.raw_query(
                sql,
                parameters=params or None,
                settings={"wait_end_of_query": "1", **settings},
                fmt="JSONEachRow",
            )
        return parse_rows(body)

    def close(self) -> None:
        self._pool.clear()

    @contextlib.contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except self._error as error:
            code = getattr(error, "code", None)
            if code:
                raise parse_exception(_URL_SUFFIX.sub("", str(error)), int(code)) from None
            raise DatabaseUnavailable(f"ClickHouse at {self.url.origin} can't be reached") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise DatabaseUnavailable(
                f"ClickHouse at {self.url.origin} can't be reached ({type(error).__name__})"
            ) from None


def _ping(url: DatabaseURL, timeout_s: float) -> None:
    with _pool_manager(retries=False, timeout=timeout_s) as pool:
        try:
            status = pool.request("GET", f"{url.origin}/ping").status
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise DatabaseUnavailable(
                f"ClickHouse at {url.origin} can't be reached ({type(error).__name__})"
            ) from None
    if status != 200:
        raise DatabaseUnavailable(f"ClickHouse at {url.origin} answers /ping with {status}")


def _forget(future: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more; its error is not an unhandled one."""
    if not future.cancelled():
        future.exception()
