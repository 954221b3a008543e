"""A ClickHouse server over HTTP, for the process that writes to it (blocking calls)."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final
from urllib.request import getproxies

import httpx

from tensorzero.storage.database.errors import (
    DatabaseUnavailable,
    QueryError,
    RowsRejected,
    SinkUnavailable,
)
from tensorzero.storage.database.exception_text import insert_error, parse_exception
from tensorzero.storage.database.parameters import Parameter, encode_parameters
from tensorzero.storage.database.protocol import DDL_SETTINGS, INSERT_SETTINGS, Row, parse_rows
from tensorzero.storage.database.url import DatabaseURL

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10.0
QUERY_TIMEOUT_S: Final = 600.0
INSERT_TIMEOUT_S: Final = 180.0
PING_TIMEOUT_S: Final = 2.0
_IDLE_POOL_S: Final = 2.0
_TABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_EXCEPTION_CODE: Final = "X-ClickHouse-Exception-Code"
_EXCEPTION_IN_BODY: Final = re.compile(rb"\n?Code: \d+\. DB::Exception: ")


def _keepalive_options() -> list[tuple[int, int, int]]:
    """TCP keep-alive after 60 s of silence: a server that vanished is noticed."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        number = getattr(socket, name, None)
        if number is not None:
            options.append((socket.IPPROTO_TCP, number, value))
    return options


class RemoteDatabase:
    """Implements ``Database`` on a ClickHouse server. Thread-safe."""

    def __init__(self, url: DatabaseURL) -> None:
        self._url = url
        limits = httpx.Limits(max_connections=8, keepalive_expiry=_IDLE_POOL_S)
        headers = [(b"Content-Type", b"text/plain; charset=utf-8")]
        headers += [(name.encode(), value) for name, value in url.headers().items()]
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(QUERY_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            limits=limits,
            # With a transport of our own httpx ignores HTTP_PROXY and friends, which is right
            # for this machine and where none is set.
            transport=(
                httpx.HTTPTransport(limits=limits, socket_options=_keepalive_options())
                if url.is_loopback or not getproxies()
                else None
            ),
        )

    @property
    def database(self) -> str:
        return self._url.database

    def __repr__(self) -> str:
        return f"RemoteDatabase({self._url})"

    def command(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
        *,
        in_database: bool = True,
    ) -> str:
        """See Database.command. POST, the statement in the body."""
        query = {**DDL_SETTINGS, **(settings or {})}
        body = self._post(query, params, sql.encode(), QUERY_TIMEOUT_S, in_database)
        return body.decode(errors="replace")

    def query_json(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """See Database.query_json."""
        query = {**DDL_SETTINGS, **(settings or {})}
        statement = f"{sql}\nFORMAT JSONEachRow".encode()
        # Without it an error in mid-result would arrive as rows.
        query["wait_end_of_query"] = "1"
        return parse_rows(self._post(query, params, statement, QUERY_TIMEOUT_S, True))

    def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
        """See Database.insert. The statement travels in the URL, so the rows are not copied."""
        if not _TABLE_NAME.match(table):
            raise RowsRejected(f"{table!r} is not a table name")
        query = {
            **INSERT_SETTINGS,
            "insert_deduplication_token": token,
            "wait_end_of_query": "1",
            "query": f"INSERT INTO {table} FORMAT JSONEachRow",
        }
        try:
            self._post(query, None, rows, INSERT_TIMEOUT_S, True)
        except QueryError as error:
            raise insert_error(error, table) from None
        except DatabaseUnavailable as error:
            raise SinkUnavailable(f"{table}: {error}") from None

    def ping(self) -> None:
        """See Database.ping: ``GET /ping``, 2 s."""
        try:
            response = self._client.get(f"{self._url.origin}/ping", timeout=PING_TIMEOUT_S)
        except httpx.HTTPError as error:
            raise _unavailable(self._url, error) from None
        if response.status_code != 200:
            raise DatabaseUnavailable(
                f"ClickHouse at {self._url.origin} answers /ping with {response.status_code}"
            )

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> RemoteDatabase:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _post(
        self,
        settings: Mapping[str, str],
        params: Mapping[str, Parameter] | None,
        body: bytes,
        timeout_s: float,
        in_database: bool,
    ) -> bytes:
        # After the URL's own settings: one that says async_insert=1 must not win.
        query = {**self._url.query_params(with_database=in_database), **settings}
        query.update({f"param_{name}": text for name, text in encode_parameters(params).items()})
        try:
            response = self._client.post(
                f"{self._url.origin}/",
                params=query,
                content=body,
                timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            )
        except httpx.HTTPError as error:
            raise _unavailable(self._url, error) from None
        return check_response(response.status_code, response.headers, response.content, self._url)


def check_response(
    status: int, headers: Mapping[str, Any], content: bytes, url: DatabaseURL
) -> bytes:
    """The body of a good answer. Raises QueryError or DatabaseUnavailable for any other."""
    code = headers.get(_EXCEPTION_CODE)
    if code is not None and str(code).isdigit() and int(code) != 0:
        raise parse_exception(content.decode(errors="replace"), int(code))
    if status == 200:
        return content
    text = content.decode(errors="replace")
    if _EXCEPTION_IN_BODY.search(content):
        raise parse_exception(text)
    # Not ClickHouse's own answer: a proxy or another server on this port.
    raise DatabaseUnavailable(
        f"ClickHouse at {url.origin} answered with HTTP status {status}: {text.strip()[:200]}"
    )


def _unavailable(url: DatabaseURL, error: httpx.HTTPError) -> DatabaseUnavailable:
    if isinstance(error, httpx.TimeoutException):
        what = "gave no answer in time"
    elif isinstance(error, httpx.ConnectError):
        what = f"can't be reached ({error})"
    else:
        what = f"broke the connection ({type(error).__name__})"
    return DatabaseUnavailable(f"ClickHouse at {url.origin} {what}")
