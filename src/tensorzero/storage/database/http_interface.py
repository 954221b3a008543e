"""The embedded database behind the ClickHouse HTTP protocol, on loopback.

Gateway workers, ``tensorzero query``, notebooks and ``clickhouse-connect`` talk to it as to a
server. Every request has a session of its own in the engine (settings, temporary tables), a
time and a memory limit, and ends when its caller leaves. This is not the hot path: rows are
inserted by the shipper directly.

Protocol: https://clickhouse.com/docs/interfaces/http
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final

import orjson
import uvicorn

from tensorzero.storage.database.body import BodyError
from tensorzero.storage.database.embedded import EmbeddedDatabase, Session
from tensorzero.storage.database.errors import DatabaseUnavailable, QueryError
from tensorzero.storage.database.http_exchange import (
    BrokenOff,
    CallerLeft,
    Exchange,
    Headers,
    Receive,
    Send,
)
from tensorzero.storage.database.http_execution import Execution, Limits
from tensorzero.storage.database.http_request import (
    Credentials,
    QueryRequest,
    given_credentials,
    parse_query_string,
    parse_request,
)
from tensorzero.storage.database.http_status import (
    AUTHENTICATION_FAILED,
    QUERY_WAS_CANCELLED,
    TOO_MANY_QUERIES,
    status_of,
)

logger = logging.getLogger(__name__)

_Scope = MutableMapping[str, Any]

WhileRunning = Callable[[], AbstractContextManager[object]]
"""Makes what is entered while a statement waits or runs."""

_CONTENT_TYPES: Final = {
    "json": b"application/json; charset=UTF-8",
    "jsoncompact": b"application/json; charset=UTF-8",
    "jsonstrings": b"application/json; charset=UTF-8",
    "jsoneachrow": b"application/x-ndjson; charset=UTF-8",
    "csv": b"text/csv; charset=UTF-8; header=absent",
    "csvwithnames": b"text/csv; charset=UTF-8; header=present",
    "native": b"application/octet-stream",
    "rowbinary": b"application/octet-stream",
    "xml": b"application/xml; charset=UTF-8",
}
_TSV: Final = b"text/tab-separated-values; charset=UTF-8"


class Server:
    """The running interface; ``close`` ends running queries and the listening socket."""

    def __init__(self, server: uvicorn.Server, app: HTTPInterface, host: str, port: int) -> None:
        self._server = server
        self._app = app
        self._serving: asyncio.Task[None] | None = None
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """``http://host:port``, without credentials."""
        return f"http://{self.host}:{self.port}"

    async def start(self, listener: socket.socket) -> None:
        self._serving = asyncio.create_task(
            self._server.serve(sockets=[listener]), name="embedded-database-http"
        )
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise DatabaseUnavailable("The interface of the embedded database did not start")
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        self._app.closing = True
        await self._app.cancel_all()
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._app.executor.shutdown(wait=True)


class _QuietServer(uvicorn.Server):
    """Signals belong to the process that hosts the interface, not to the interface."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    db: EmbeddedDatabase,
    host: str,
    port: int,
    credentials: Credentials,
    limits: Limits | None = None,
    while_running: WhileRunning = contextlib.nullcontext,
) -> Server:
    """Serve ``db`` on ``host:port`` (0: any free port). Raises OSError if it can't listen."""
    # With the protocol named, or the event loop does not switch Nagle's algorithm off, and small
    # answers wait 40 ms for an acknowledgement.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    app = HTTPInterface(db, credentials, limits or Limits(), while_running)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
        backlog=128,
    )
    server = Server(_QuietServer(config), app, host, listener.getsockname()[1])
    await server.start(listener)
    return server


class HTTPInterface:
    """The ASGI application."""

    def __init__(
        self,
        db: EmbeddedDatabase,
        credentials: Credentials,
        limits: Limits,
        while_running: WhileRunning,
    ) -> None:
        self._db = db
        self._while_running = while_running
        self._credentials = credentials
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.max_running)
        self._waiting = 0
        self._running: set[str] = set()
        self.closing = False
        # One thread more than queries: cancelling must not wait for what it cancels.
        self.executor = ThreadPoolExecutor(
            limits.max_running + 1, thread_name_prefix="embedded-query"
        )
        self._timezone = db.command("SELECT timezone()").strip().encode()

    async def cancel_all(self) -> None:
        for tag in list(self._running):
            await self._cancel(tag)

    async def __call__(self, scope: _Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(receive, send, self._limits)
        try:
            await self._dispatch(scope, exchange)
        except BodyError as error:
            await exchange.answer(error.status, [], f"{error}\n".encode())
        except QueryError as error:
            await self._exception(exchange, error, "")
        except DatabaseUnavailable as error:
            await exchange.answer(503, [], f"{error}\n".encode())
        except (CallerLeft, BrokenOff):
            # Returning without an end of the answer makes the server close the connection.
            return

    async def _dispatch(self, scope: _Scope, exchange: Exchange) -> None:
        path: str = scope["path"]
        method: str = scope["method"]
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        if path in ("/ping", "/replicas_status"):
            await exchange.answer(200, [], b"Ok.\n")
            return
        if path not in ("/", "/query", ""):
            await exchange.answer(404, [], f"There is no handle {path}\n".encode())
            return
        if method not in ("GET", "HEAD", "POST"):
            await exchange.answer(501, [], f"Method {method} is not supported\n".encode())
            return
        query = parse_query_string(scope["query_string"])
        if method == "GET" and not query:
            await exchange.answer(200, [], b"Ok.\n")
            return
        given = given_credentials(headers, query)
        if given is None or not self._credentials.match(*given):
            await self._unauthenticated(exchange, given is None)
            return
        body = await exchange.body(headers)
        request = parse_request(method, headers, query, body, self._limits.max_body_bytes)
        with self._while_running():
            await self._run(exchange, request)

    async def _unauthenticated(self, exchange: Exchange, none_given: bool) -> None:
        headers: Headers = [(b"x-clickhouse-exception-code", b"516")]
        if none_given:
            headers.append((b"www-authenticate", b'Basic realm="ClickHouse server HTTP API"'))
        await exchange.answer(
            401 if none_given else status_of(AUTHENTICATION_FAILED),
            headers,
            b"Code: 516. DB::Exception: Authentication failed: the user name or password is wrong. "
            b"The running gateway's credentials are in database/connection.json of its data "
            b"directory. (AUTHENTICATION_FAILED)\n",
        )

    async def _run(self, exchange: Exchange, request: QueryRequest) -> None:
        if self._waiting >= self._limits.max_waiting:
            raise QueryError(
                TOO_MANY_QUERIES,
                "Code: 202. DB::Exception: Too many simultaneous queries. Try again later. "
                "(TOO_MANY_SIMULTANEOUS_QUERIES)",
            )
        watcher = asyncio.create_task(exchange.left())
        try:
            self._waiting += 1
            try:
                await _first(self._slots.acquire(), watcher)
            finally:
                self._waiting -= 1
            try:
                await self._run_in_slot(exchange, request, watcher)
            finally:
                self._slots.release()
        finally:
            watcher.cancel()

    async def _run_in_slot(
        self, exchange: Exchange, request: QueryRequest, watcher: asyncio.Task[None]
    ) -> None:
        loop = asyncio.get_running_loop()
        if self.closing:
            raise DatabaseUnavailable("The embedded database is stopping")
        execution = Execution(self._db, request, self._limits)
        session = await loop.run_in_executor(self.executor, self._db.session)
        self._running.add(session.tag)
        try:
            await self._answer(exchange, request, execution, session, watcher)
        except QueryError as error:
            if watcher.done() and error.code == QUERY_WAS_CANCELLED:
                raise CallerLeft from None
            await self._exception(exchange, error, request.query_id)
        except (DatabaseUnavailable, TimeoutError):
            if not exchange.started:
                raise
            exchange.abort()
        finally:
            self._running.discard(session.tag)
            # On the threads, as everything that touches the session; never before its last step.
            await asyncio.shield(loop.run_in_executor(self.executor, _close, execution, session))

    async def _answer(
        self,
        exchange: Exchange,
        request: QueryRequest,
        execution: Execution,
        session: Session,
        watcher: asyncio.Task[None],
    ) -> None:
        """Send the result. One piece is held back: a short answer, or error, is a plain one."""
        loop = asyncio.get_running_loop()
        held: bytes | None = None
        while True:
            step = loop.run_in_executor(self.executor, execution.next, session)
            piece = await self._step(step, session.tag, watcher)
            if piece is None:
                break
            if held is not None:
                if not exchange.started:
                    await exchange.start(200, self._result_headers(request, session))
                await exchange.send_piece(held)
            held = piece
        if not exchange.started:
            await exchange.answer(200, self._result_headers(request, session), held or b"")
        else:
            await exchange.send_piece(held or b"")
            await exchange.finish()

    async def _step(
        self, step: asyncio.Future[bytes | None], tag: str, watcher: asyncio.Task[None]
    ) -> bytes | None:
        """One step of a query; when its caller leaves, the query is ended, and then its step."""
        either: set[asyncio.Future[Any]] = {step, watcher}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._end(step, tag)
            raise
        if not step.done():
            await self._end(step, tag)
            raise CallerLeft
        return step.result()

    async def _end(self, step: asyncio.Future[bytes | None], tag: str) -> None:
        while not step.done():
            # Again and again: the statement may not have begun when it was cancelled.
            await self._cancel(tag)
            await asyncio.wait({step}, timeout=0.5)
        with contextlib.suppress(QueryError, DatabaseUnavailable):
            step.result()  # Nobody is left to hear of it.

    async def _cancel(self, tag: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self.executor, self._db.cancel, tag)
        except (QueryError, DatabaseUnavailable) as error:
            logger.warning("A query of the embedded database could not be ended: %s", error)

    def _result_headers(self, request: QueryRequest, session: Session) -> Headers:
        summary = {
            "read_rows": str(session.rows_read),
            "written_rows": str(session.rows_written),
            "result_rows": "0",
        }
        content_type = _CONTENT_TYPES.get(
            request.format.lower(),
            _TSV if request.format.lower().startswith("tab") else b"text/plain; charset=UTF-8",
        )
        return [
            (b"content-type", content_type),
            (b"x-clickhouse-query-id", _header_text(request.query_id)),
            (b"x-clickhouse-format", _header_text(request.format)),
            (b"x-clickhouse-timezone", self._timezone),
            (b"x-clickhouse-summary", orjson.dumps(summary)),
        ]

    async def _exception(self, exchange: Exchange, error: QueryError, query_id: str) -> None:
        """An engine exception: a proper answer, or, in mid-result, a broken-off one."""
        text = error.message.encode() + b"\n"
        if exchange.started:
            # As the server marks it, so that clients can tell it from data.
            tag = exchange.exception_tag
            await exchange.send_piece(
                b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n"
                % (tag, text, len(text), tag)
            )
            exchange.abort()
        await exchange.answer(
            status_of(error.code),
            [
                (b"x-clickhouse-exception-code", str(error.code).encode()),
                (b"x-clickhouse-query-id", _header_text(query_id)),
                (b"x-clickhouse-timezone", self._timezone),
            ],
            text,
        )


async def _first(wanted: Awaitable[Any], watcher: asyncio.Task[None]) -> None:
    task = asyncio.ensure_future(wanted)
    await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        raise CallerLeft


def _close(execution: Execution, session: Session) -> None:
    try:
        execution.close()
    finally:
        session.close()


def _header_text(text: str) -> bytes:
    return "".join(c if 32 <= ord(c) < 127 else "?" for c in text).encode()
