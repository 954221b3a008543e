"""A real ``httpx.AsyncClient`` over the compiled pool, against real servers on loopback."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from tzcore_http_support import read_request, run, scripted

from tzcore.client import Pool
from tzcore.httpx_transport import PoolTransport

OK = b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-Y: z\r\n\r\nok"


def client(transport: PoolTransport | None = None, timeout: float = 5.0) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=transport or PoolTransport(), timeout=timeout)


def test_a_request_arrives_as_httpx_made_it_and_the_connection_is_used_again() -> None:
    async def main() -> None:
        heads: list[bytes] = []
        connections = 0

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            while True:
                head, body = await read_request(reader)
                heads.append(head + body)
                writer.write(OK)

        async with scripted(script) as port, client() as session:
            for _ in range(3):
                answer = await session.post(
                    f"http://127.0.0.1:{port}/a%20b?q=1&r=%C3%A9",
                    json={"x": 1},
                    headers={"X-Own": "yes", "User-Agent": "me"},
                    auth=("u", "p"),
                )
                assert answer.status_code == 200
                assert answer.reason_phrase == "Fine"
                assert answer.http_version == "HTTP/1.1"
                assert answer.text == "ok"
                assert answer.headers["x-y"] == "z"
        assert connections == 1
        head = heads[0].lower()
        assert heads[0].startswith(b"POST /a%20b?q=1&r=%C3%A9 HTTP/1.1\r\n")
        assert heads[0].endswith(b'\r\n\r\n{"x":1}')
        for line in (b"x-own: yes", b"user-agent: me", b"authorization: basic dtpw"):
            assert head.count(b"\r\n" + line) == 1
        for name in (b"\r\nhost:", b"\r\nuser-agent:", b"\r\ncontent-length:"):
            assert head.count(name) == 1

    run(main())


def test_a_streamed_body_of_a_request_is_collected() -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head, body = await read_request(reader)
            assert b"transfer-encoding" not in head.lower()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"one "
            yield b"two"

        async with scripted(script) as port, client() as session:
            answer = await session.post(f"http://127.0.0.1:{port}/", content=pieces())
            assert answer.content == b"one two"
            answer = await session.post(f"http://127.0.0.1:{port}/", files={"f": b"data"})
            assert b"data" in answer.content

    run(main())


def test_an_answer_is_streamed_as_it_arrives() -> None:
    async def main() -> None:
        more = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"3\r\none\r\n")
            await more.wait()
            writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

        async with (
            scripted(script) as port,
            client() as session,
            session.stream("GET", f"http://127.0.0.1:{port}/") as answer,
        ):
            pieces = answer.aiter_raw()
            assert await anext(pieces) == b"one"
            more.set()
            assert [piece async for piece in pieces] == [b"two"]

    run(main())


def test_a_coding_is_undone_once() -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head, _ = await read_request(reader)
                assert b"accept-encoding: " in head.lower()
                packed = gzip.compress(b"plain text")
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
                    % len(packed)
                )
                if not head.startswith(b"HEAD"):
                    writer.write(packed)

        async with scripted(script) as port, client() as session:
            answer = await session.get(f"http://127.0.0.1:{port}/")
            assert answer.text == "plain text"
            assert "content-encoding" not in answer.headers
            head = await session.head(f"http://127.0.0.1:{port}/")
            assert head.headers["content-encoding"] == "gzip"
            assert head.content == b""

    run(main())


def test_redirects_are_left_to_httpx() -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head, _ = await read_request(reader)
                if b" /end " in head:
                    writer.write(OK)
                else:
                    writer.write(
                        b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n"
                    )

        async with scripted(script) as port, client() as session:
            assert (await session.get(f"http://127.0.0.1:{port}/")).status_code == 302
            answer = await session.get(f"http://127.0.0.1:{port}/", follow_redirects=True)
            assert answer.text == "ok"
            assert len(answer.history) == 1

    run(main())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, httpx.ReadTimeout),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", httpx.ReadTimeout),
        (b"", httpx.RemoteProtocolError),
        (b"garbage, and more of it\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", httpx.RemoteProtocolError),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            httpx.RemoteProtocolError,
        ),
    ],
)
def test_failures_are_those_of_httpx(answer: bytes | None, error: type[Exception]) -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            if answer:
                writer.write(answer)
            if error is httpx.ReadTimeout:
                await reader.read()

        async with scripted(script) as port, client(timeout=0.3) as session:
            with pytest.raises(error):
                await session.post(f"http://127.0.0.1:{port}/", content=b"x")

    run(main())


def test_a_slow_body_has_time_for_each_piece() -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            for byte in b"abcde":
                await asyncio.sleep(0.2)
                writer.write(bytes([byte]))

        async with scripted(script) as port, client(timeout=0.6) as session:
            assert (await session.get(f"http://127.0.0.1:{port}/")).text == "abcde"

    run(main())


def test_connecting_fails_in_the_words_of_httpx() -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            async with client() as session:
                with pytest.raises(httpx.ConnectError):
                    await session.get(f"http://127.0.0.1:{port}/")
                with pytest.raises(httpx.UnsupportedProtocol):
                    await session.get("ftp://127.0.0.1/")
            # A full queue of a listener that never accepts: connecting takes for ever.
            taken.listen(0)
            fillers = []
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
                fillers.append(filler)
            async with client(timeout=0.3) as session:
                with pytest.raises(httpx.ConnectTimeout):
                    await session.get(f"http://127.0.0.1:{port}/")
            for filler in fillers:
                filler.close()

    run(main())


def test_waiting_for_a_connection_is_a_pool_timeout_and_a_pool_stays_its_owners() -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head, _ = await read_request(reader)
                if b" /slow " not in head:
                    writer.write(OK)

        pool = Pool(user_agent=b"owner", max_connections=1)
        async with scripted(script) as port:
            async with client(PoolTransport(pool), timeout=0.4) as session:
                slow = asyncio.ensure_future(
                    session.get(f"http://127.0.0.1:{port}/slow", timeout=5)
                )
                await asyncio.sleep(0.05)
                with pytest.raises(httpx.PoolTimeout):
                    await session.get(f"http://127.0.0.1:{port}/")
                slow.cancel()
                await asyncio.wait([slow])
                assert (await session.get(f"http://127.0.0.1:{port}/")).text == "ok"
            answer = await pool.request(pool.origin(f"http://127.0.0.1:{port}/"), b"")
            assert answer.body == b"ok"
        await pool.aclose()

    run(main())


def test_a_header_cannot_smuggle_another() -> None:
    async def main() -> None:
        async with client() as session:
            for name, value in ((b"x", b"a\r\nx: b"), (b"x\n", b"a"), (b"x y", b"a")):
                with pytest.raises(httpx.LocalProtocolError):
                    await session.get("http://127.0.0.1:9/", headers=[(name, value)])

    run(main())


def test_leaving_a_stream_early_closes_its_connection() -> None:
    async def main() -> None:
        left = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            await reader.read()
            left.set()

        async with scripted(script) as port, client() as session:
            async with session.stream("GET", f"http://127.0.0.1:{port}/") as answer:
                assert answer.status_code == 200
            await asyncio.wait_for(left.wait(), 10)

    run(main())
