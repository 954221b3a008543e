"""An httpx transport over the compiled client pool.

    async with httpx.AsyncClient(transport=PoolTransport()) as client:
        answer = await client.get("http://127.0.0.1:3000/status")

For what wants the httpx API (SDKs take an ``http_client``) and shall share connections, proxies and
TLS settings with everything else in the process. HTTP/1.1 only. Bodies of answers are streamed;
bodies of requests are collected first. Content codings are undone by the pool, so an answer that
had one arrives without its Content-Encoding and Content-Length.

Time limits of httpx: ``connect`` (or ``pool``, if less) covers the wait for a connection and its
opening, ``read`` the wait for the answer's head and then for each piece of its body. ``write`` has
no meaning of its own: a server that does not read what it is sent does not answer in time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx

from tzcore.client import (
    ClientError,
    ClientTimeout,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    Pool,
    PoolTimeout,
    ProtocolError,
    ResponseStream,
    Target,
)

MAX_TARGETS = 1024
"""URLs whose parsed form is kept."""

FRAMING_FIELDS = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"te"),
        *(b"proxy-connection", b"trailer", b"upgrade", b"expect", b"host"),
    )
)
"""Set by the pool itself."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class PoolTransport(httpx.AsyncBaseTransport):
    """Requests of an ``httpx.AsyncClient`` through a ``Pool``."""

    def __init__(self, pool: Pool | None = None) -> None:
        """``pool`` stays its owner's to close; without one the transport has its own."""
        self._owned = None if pool is not None else Pool(user_agent=b"", connect_timeout_s=1e6)
        self._pool = pool if pool is not None else self._owned
        self._targets: dict[tuple[str, str], Target] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises what httpx documents: subclasses of ``httpx.TransportError``."""
        assert self._pool is not None
        target = self._target(request)
        head = _fields(request)
        if isinstance(request.stream, httpx.AsyncByteStream):
            body = b"".join([part async for part in request.stream])
        else:
            body = await request.aread()
        limits: dict[str, float | None] = request.extensions.get("timeout", {})
        connecting = [limits[name] for name in ("connect", "pool") if limits.get(name) is not None]
        read_s = limits.get("read")
        with _translated(request):
            stream = await self._pool.send(
                target,
                request.method.encode("ascii"),
                head,
                body,
                connect_s=min(connecting, default=None),  # type: ignore[type-var]  # no None in it
                read_s=read_s,
            )
        fields = stream.headers
        coding = stream.header(b"content-encoding")
        if coding and coding.lower() != b"identity" and request.method != "HEAD":
            hidden = (b"content-encoding", b"content-length")
            fields = [(name, value) for name, value in fields if name not in hidden]
        return httpx.Response(
            stream.status,
            headers=fields,
            stream=_Body(stream, request, read_s),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": stream.reason},
        )

    async def aclose(self) -> None:
        """Close the transport's own pool."""
        if self._owned is not None:
            await self._owned.aclose()

    def _target(self, request: httpx.Request) -> Target:
        url = request.url
        where = f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"
        host = request.headers.get("host", "")
        target = self._targets.get((where, host))
        if target is None:
            assert self._pool is not None
            try:
                target = self._pool.target(where, [("host", host)] if host else [])
                target = target.with_headers([], ["user-agent"])
            except ValueError as error:
                raise httpx.UnsupportedProtocol(str(error), request=request) from None
            if len(self._targets) >= MAX_TARGETS:
                self._targets.clear()
            self._targets[where, host] = target
        return target


def _fields(request: httpx.Request) -> bytes:
    """The header fields of a request as lines, framing left out."""
    lines: list[bytes] = []
    for name, value in request.headers.raw:
        if not _NAME.fullmatch(name) or _BAD_VALUE.search(value):
            raise httpx.LocalProtocolError(f"the header {name!r} is not valid", request=request)
        if name.lower() not in FRAMING_FIELDS:
            lines.append(name + b": " + value.strip(b" \t") + b"\r\n")
    return b"".join(lines)


class _Body(httpx.AsyncByteStream):
    """The body of an answer, piece by piece."""

    def __init__(
        self, stream: ResponseStream, request: httpx.Request, read_s: float | None
    ) -> None:
        self._stream = stream
        self._request = request
        self._read_s = read_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            with _translated(self._request):
                try:
                    async with asyncio.timeout(self._read_s):
                        piece = await anext(self._stream)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    await self._stream.aclose()
                    raise ClientTimeout(
                        f"no byte of the answer's body within {self._read_s:g} s"
                    ) from None
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


@contextmanager
def _translated(request: httpx.Request) -> Iterator[None]:
    """Errors of the pool as httpx names them."""
    try:
        yield
    except PoolTimeout as error:
        raise httpx.PoolTimeout(str(error), request=request) from error
    except ConnectTimeout as error:
        raise httpx.ConnectTimeout(str(error), request=request) from error
    except ClientTimeout as error:
        raise httpx.ReadTimeout(str(error), request=request) from error
    except ConnectFailed as error:
        raise httpx.ConnectError(str(error), request=request) from error
    except (ConnectionLost, ProtocolError) as error:
        raise httpx.RemoteProtocolError(str(error), request=request) from error
    except ClientError as error:
        raise httpx.ReadError(str(error), request=request) from error
