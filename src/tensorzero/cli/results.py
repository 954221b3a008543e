"""A query's result as it comes, over the ClickHouse HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from types import MappingProxyType

import httpx

from tensorzero.cli.connection import Unreachable
from tensorzero.storage.database.errors import DatabaseUnavailable
from tensorzero.storage.database.exception_text import parse_exception
from tensorzero.storage.database.parameters import Parameter, encode_parameters
from tensorzero.storage.database.remote import check_response
from tensorzero.storage.database.url import DatabaseURL

READ_SETTINGS = {
    # Reads only; unlike 1 it leaves the SETTINGS clause of a query alone.
    "readonly": "2",
    "cancel_http_readonly_queries_on_client_close": "1",
}
_NONE: Mapping[str, Parameter] = MappingProxyType({})
_SLACK_S = 15.0
_CONNECT_S = 5.0


async def stream(
    url: DatabaseURL,
    sql: str,
    settings: Mapping[str, str],
    params: Mapping[str, Parameter] = _NONE,
    *,
    time_limit_s: float,
) -> AsyncGenerator[bytes]:
    """Run a read, yield its result piece by piece. Leaving closes the connection, which ends it.

    Raises ``Unreachable`` (nothing was sent), ``DatabaseUnavailable``, and ``QueryError``, also
    after pieces of the result: an error of the embedded database in mid-result is never yielded.
    """
    query = {
        **url.query_params(),
        **READ_SETTINGS,
        "max_execution_time": f"{time_limit_s:g}",
        **settings,
    }
    query.update({f"param_{name}": text for name, text in encode_parameters(params).items()})
    headers = [(name.encode(), value) for name, value in url.headers().items()]
    timeout = httpx.Timeout(time_limit_s + _SLACK_S, connect=_CONNECT_S)
    async with httpx.AsyncClient(timeout=timeout, trust_env=not url.is_loopback) as client:
        request = client.build_request(
            "POST", f"{url.origin}/", params=query, headers=headers, content=sql.encode()
        )
        try:
            response = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(f"ClickHouse at {url.origin} can't be reached ({error})") from None
        except httpx.HTTPError as error:
            raise DatabaseUnavailable(_broken(url, error)) from None
        try:
            if response.status_code != 200:
                body = await response.aread()
                check_response(response.status_code, response.headers, body, url)
            result = _Result(response.headers.get("x-clickhouse-exception-tag", ""))
            try:
                async for piece in response.aiter_bytes():
                    if data := result.data(piece):
                        yield data
            except httpx.HTTPError as error:
                result.raise_error()
                raise DatabaseUnavailable(_broken(url, error)) from None
            if rest := result.rest():
                yield rest
        except httpx.HTTPError as error:
            raise DatabaseUnavailable(_broken(url, error)) from None
        finally:
            await response.aclose()


class _Result:
    """Takes the error out that the embedded database appends in mid-result."""

    def __init__(self, tag: str) -> None:
        self._mark = b"\r\n__exception__\r\n" + tag.encode() if tag else b""
        self._held = b""
        self._failed = False

    def data(self, piece: bytes) -> bytes:
        """What of the result is certain with ``piece``."""
        held = self._held + piece
        if not self._mark or self._failed:
            at = len(held) if not self._failed else 0
        else:
            at = held.find(self._mark)
            self._failed = at >= 0
            if at < 0:
                at = max(0, len(held) - len(self._mark) + 1)
        self._held = held[at:]
        return held[:at]

    def rest(self) -> bytes:
        """The end of the result. Raises ``QueryError`` when it ended in an error."""
        self.raise_error()
        return self._held

    def raise_error(self) -> None:
        """Raises ``QueryError`` when the result has ended in one."""
        if self._failed:
            text = self._held[len(self._mark) :].decode(errors="replace")
            raise parse_exception(text.partition("\r\n")[2].partition("\n")[0])


def _broken(url: DatabaseURL, error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"ClickHouse at {url.origin} gave no answer in time"
    return f"ClickHouse at {url.origin} broke the connection ({type(error).__name__})"
