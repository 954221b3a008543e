"""uvicorn's protocol within our limits: alone, and after a connection was handed over to it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from tzcore_http_support import connect, post, read_response, run, serve

from tzcore.http1 import Limits

COLD = b"GET /cold HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /cold HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=["handed over", "plain"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"plain": request.param == "plain"}


async def warm(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has been answered once, so that both ways have it here."""
    reader, writer = await connect(port)
    writer.write(COLD)
    assert (await read_response(reader))[0] == 200
    return reader, writer


REFUSED: dict[str, tuple[bytes, int, bytes]] = {
    "a field without end": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3000, 431, b"too large"),
    "a target without end": (b"GET /" + b"x" * 3000, 431, b"too large"),
    "a large head": (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2100 + b"\r\n\r\n",
        431,
        b"too large",
    ),
    "many fields": (
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 10 + b"\r\n",
        431,
        b"too many",
    ),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400, b"no Host"),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, b"more than one Host"),
    "a list of codings": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        400,
        b"chunked, once",
    ),
    "both lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        b"",
    ),
    "another version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, b"HTTP/1.1"),
    "a broken chunk": (CHUNKED + b"x\r\n", 400, b"not valid"),
    "a trailer that frames": (
        CHUNKED + b"0\r\nContent-Length: 1\r\n\r\n",
        400,
        b"",
    ),
    "garbage": (b"\x16\x03\x01\x02\x00", 400, b""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(way: dict[str, Any], name: str) -> None:
    request, status, text = REFUSED[name]

    async def main() -> None:
        limits = Limits(max_head_bytes=2000, max_headers=10)
        async with serve({}, limits=limits, **way) as server:
            reader, writer = await warm(server.port)
            for at in range(0, len(request), 700):
                writer.write(request[at : at + 700])
                await asyncio.sleep(0.005)
            got, head, body = await read_response(reader)
            assert got == status
            assert body.startswith(b'{"error":"')
            assert text in body
            assert b"connection: close" in head
            writer.write(COLD)
            assert await reader.read() == b""
            writer.close()

    run(main())


@pytest.mark.parametrize("part", ["head", "body"])
def test_what_does_not_end_gets_408(way: dict[str, Any], part: str) -> None:
    """Slowloris: bytes keep coming, and the time counts from the first."""

    async def main() -> None:
        limits = Limits(head_timeout_s=0.3, body_timeout_s=0.3)
        async with serve({}, limits=limits, **way) as server:
            reader, writer = await warm(server.port)
            if part == "head":
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
                for _ in range(4):
                    await asyncio.sleep(0.05)
                    writer.write(b"x")
            else:
                writer.write(post("/cold", b"abc")[:-1])
            got, _, body = await read_response(reader)
            assert got == 408
            assert part.encode() in body
            assert await reader.read() == b""
            writer.close()

    run(main())


def test_a_body_that_moves_has_time(way: dict[str, Any]) -> None:
    async def main() -> None:
        async with serve({}, limits=Limits(body_timeout_s=0.4), **way) as server:
            reader, writer = await warm(server.port)
            request = post("/cold", b"abcdef")
            writer.write(request[:-6])
            for byte in b"abcdef":
                await asyncio.sleep(0.1)
                writer.write(bytes([byte]))
            assert (await read_response(reader))[2] == b"cold POST /cold abcdef"
            writer.close()

    run(main())


def test_a_connection_that_never_asks_is_closed() -> None:
    async def main() -> None:
        async with serve({}, plain=True, timeout_keep_alive=1) as server:
            reader, writer = await connect(server.port)
            assert await reader.read() == b""
            writer.close()

    run(main())


@pytest.mark.parametrize("broken", [b"GET /  HTTP/1.1\r\n\r\n", CHUNKED + b"x\r\n"])
def test_a_broken_request_is_refused_after_the_answers_before_it(
    way: dict[str, Any], broken: bytes
) -> None:
    async def main() -> None:
        ready = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if scope["path"] == "/slow":
                await ready.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": scope["path"].encode()})

        async with serve({}, app=app, **way) as server:
            reader, writer = await warm(server.port)
            slow = COLD.replace(b"/cold", b"/slow")
            writer.write(slow + COLD + broken + COLD)
            await asyncio.sleep(0.05)
            ready.set()
            assert (await read_response(reader))[2] == b"/slow"
            assert (await read_response(reader))[2] == b"/cold"
            assert (await read_response(reader))[0] == 400
            assert await reader.read() == b""
            writer.close()

    run(main())


def test_an_upgrade_nobody_knows_ends_the_connection_after_its_answer(way: dict[str, Any]) -> None:
    """The parser drops what comes behind it, so nobody may wait for an answer to that."""

    async def main() -> None:
        async with serve({}, **way) as server:
            reader, writer = await warm(server.port)
            upgrade = (
                b"GET /cold HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
            )
            writer.write(upgrade + COLD)
            got, head, _ = await read_response(reader)
            assert got == 200
            assert b"connection: close" in head
            assert await reader.read() == b""
            writer.close()

    run(main())


def test_a_client_that_reads_nothing_is_cut_off(way: dict[str, Any]) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            if scope["path"] == "/cold":
                await send({"type": "http.response.body", "body": b""})
                return
            while (await asyncio.wait_for(send_piece(send), 10)) and not ended.is_set():
                if state.connections == set():
                    ended.set()

        async def send_piece(send: Any) -> bool:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
            return True

        async with serve({}, app=app, limits=Limits(write_timeout_s=0.3), **way) as server:
            state = server.server_state
            link = socket.socket()
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.connect(("127.0.0.1", server.port))
            link.sendall(COLD.replace(b"/cold", b"/stream"))
            await asyncio.wait_for(ended.wait(), 10)
            link.close()

    run(main())


def test_small_answers_are_not_delayed(way: dict[str, Any]) -> None:
    """TCP_NODELAY is set on the accepted socket."""

    async def main() -> None:
        seen: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            for connection in server.server_state.connections:
                sock = connection.transport.get_extra_info("socket")
                seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async with serve({}, app=app, **way) as server:
            _, writer = await warm(server.port)
            assert seen
            assert all(seen)
            writer.close()

    run(main())


def test_the_documented_limits_are_the_defaults() -> None:
    """docs/http.md says so."""
    limits = Limits()
    assert limits.max_head_bytes == 65_536
    assert limits.max_headers == 100
    assert limits.max_body_bytes == 104_857_600
    assert limits.head_timeout_s == 10.0
    assert limits.body_timeout_s == 60.0
    assert limits.idle_timeout_s == limits.write_timeout_s == 75.0
    assert limits.max_buffered_bytes == 4_194_304
    assert limits.max_pipelined_bytes == 65_536
    assert limits.linger_s == 5.0
