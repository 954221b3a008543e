"""The client pool against real servers: requests, reuse, limits, cancellation."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import brotli
import pytest
import zstandard
from tzcore_http_support import LOOPS, read_request, run, scripted

from tzcore.client import (
    BodyTooLarge,
    ClientError,
    ClientTimeout,
    ConnectFailed,
    Pool,
    ProtocolError,
    Target,
)
from tzcore.client_connect import open_socket

pytestmark = pytest.mark.parametrize("loop", LOOPS)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def pooled(**options: object) -> AsyncIterator[Pool]:
    pool = Pool(user_agent=b"test/1", **{"trust_env": False, **options})  # type: ignore[arg-type]  # options are the tests' own
    try:
        yield pool
    finally:
        await pool.aclose()


def at(pool: Pool, port: int, path: str = "/v1", *headers: tuple[str, str]) -> Target:
    return pool.target(f"http://127.0.0.1:{port}{path}", list(headers))


class Recorder:
    """Answers each request with the next of ``answers`` (the last one again and again)."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            self.requests.append(await read_request(reader))
            answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
            writer.write(answer)
            await writer.drain()
            if b"connection: close" in answer:
                return


def test_a_request_is_what_was_prepared(loop: str) -> None:
    async def main() -> None:
        server = Recorder(
            b"HTTP/1.1 201 Made it\r\nX-A: 1 \r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc"
        )
        async with scripted(server) as port, pooled() as pool:
            target = at(pool, port, "/v1/é x".replace(" ", "%20") + "?a=b&c={d}", ("X-Key", "s"))
            before = time.monotonic()
            response = await pool.request(target, b'{"a":1}', headers=b"x-more: 2\r\n", timeout_s=5)
            assert server.requests == [
                (
                    b"POST /v1/%%C3%%A9%%20x?a=b&c=%%7Bd%%7D HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n"
                    b"X-Key: s\r\nuser-agent: test/1\r\nx-more: 2\r\ncontent-length: 7\r\n\r\n"
                    % port,
                    b'{"a":1}',
                )
            ]
            assert (response.status, response.reason, response.body) == (201, b"Made it", b"abc")
            assert response.header(b"x-a") == b"1"
            assert response.header(b"none") is None
            assert response.headers == [(b"x-a", b"1"), (b"x-a", b"2"), (b"content-length", b"3")]
            assert before <= response.sent_at <= response.first_byte_at <= response.done_at
            assert response.done_at <= time.monotonic()

    run(main(), loop)


def test_connections_are_used_again_the_last_one_first(loop: str) -> None:
    async def main() -> None:
        server = Recorder(OK)
        async with scripted(server) as port, pooled() as pool:
            target = at(pool, port)
            for _ in range(20):
                await pool.request(target, b"x")
            assert server.connections == 1
            await asyncio.gather(*[pool.request(target, b"x") for _ in range(8)])
            assert server.connections <= 8
            known = server.connections
            await asyncio.gather(*[pool.request(at(pool, port, "/b"), b"x") for _ in range(8)])
            assert server.connections == known

    run(main(), loop)


def test_further_requests_wait_for_a_connection(loop: str) -> None:
    async def main() -> None:
        server = Recorder(OK)
        async with scripted(server) as port, pooled(max_connections=3) as pool:
            target = at(pool, port)
            answers = await asyncio.gather(*[pool.request(target, b"x") for _ in range(50)])
            assert [answer.body for answer in answers] == [b"ok"] * 50
            assert server.connections == 3

    run(main(), loop)


def test_waiting_for_a_connection_counts_and_can_be_given_up(loop: str) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            await asyncio.sleep(0.3)
            writer.write(OK)
            await read_request(reader)
            writer.write(OK)

        async with scripted(silent) as port, pooled(max_connections=1) as pool:
            target = at(pool, port)
            first = asyncio.create_task(pool.request(target, b"x"))
            await asyncio.sleep(0.02)
            waiting = asyncio.create_task(pool.request(target, b"x"))
            await asyncio.sleep(0)
            with pytest.raises(ClientTimeout, match="all 1 connections"):
                await pool.request(target, b"x", timeout_s=0.1)
            waiting.cancel()
            assert (await first).body == b"ok"
            assert (await pool.request(target, b"x", timeout_s=2)).body == b"ok"
            with pytest.raises(asyncio.CancelledError):
                await waiting

    run(main(), loop)


CODED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "identity": bytes,
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
}


@pytest.mark.parametrize("coding", CODED)
def test_content_codings_are_undone(loop: str, coding: str) -> None:
    async def main() -> None:
        plain = b'{"text":"' + bytes(range(32, 127)) * 5000 + b'"}'
        body = CODED[coding](plain)
        answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            coding.encode(),
            len(body),
            body,
        )
        async with scripted(Recorder(answer)) as port, pooled() as pool:
            target = at(pool, port)
            assert (await pool.request(target, b"")).body == plain
            stream = await pool.stream(target, b"")
            assert await stream.read() == plain

    run(main(), loop)


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush()


@pytest.mark.parametrize(
    ("coding", "body", "error"),
    [
        ("gzip", b"not gzip at all", ProtocolError),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9], ProtocolError),
        ("deflate", b"\x00\xff\xff", ProtocolError),
        ("br", b"\xff\xff\xff", ProtocolError),
        ("br", brotli.compress(b"abc" * 1000)[:-3], ProtocolError),
        ("zstd", b"not zstd", ProtocolError),
        ("zstd", zstandard.ZstdCompressor().compress(b"abc" * 1000)[:-3], ProtocolError),
        ("compress", b"x", ProtocolError),
        ("gzip, gzip, gzip, gzip, gzip", b"x", ProtocolError),
        ("gzip", gzip.compress(b"\0" * 3_000_000, mtime=0), BodyTooLarge),
        ("deflate", zlib.compress(b"\0" * 3_000_000), BodyTooLarge),
        ("br", brotli.compress(b"\0" * 3_000_000), BodyTooLarge),
        ("zstd", zstandard.ZstdCompressor().compress(b"\0" * 3_000_000), BodyTooLarge),
    ],
)
def test_wrong_and_explosive_codings_are_refused(
    loop: str, coding: str, body: bytes, error: type[ClientError]
) -> None:
    async def main() -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            coding.encode(),
            len(body),
            body,
        )
        async with scripted(Recorder(answer)) as port, pooled(max_body_bytes=1_000_000) as pool:
            with pytest.raises(error):
                await pool.request(at(pool, port), b"")
            with pytest.raises(error):
                await (await pool.stream(at(pool, port), b"")).read()

    run(main(), loop)


def test_odd_but_valid_codings_are_undone(loop: str) -> None:
    async def main() -> None:
        for coding, body, plain in [
            ("deflate", raw_deflate(b"raw" * 100), b"raw" * 100),
            ("gzip", gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0), b"onetwo"),
            ("gzip", b"", b""),
            ("br", b"", b""),
        ]:
            answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (
                coding.encode(),
                len(body),
                body,
            )
            async with scripted(Recorder(answer)) as port, pooled() as pool:
                assert (await pool.request(at(pool, port), b"")).body == plain

    run(main(), loop)


BODILESS = b"HTTP/1.1 %d X\r\nContent-Length: 10\r\n\r\n"


def test_answers_without_a_body_leave_the_connection_usable(loop: str) -> None:
    async def main() -> None:
        server = Recorder(BODILESS % 204, BODILESS % 304, BODILESS % 200, OK)
        async with scripted(server) as port, pooled() as pool:
            target = at(pool, port)
            assert (await pool.request(target, b"")).status == 204
            assert (await pool.request(target, b"")).status == 304
            head = await pool.request(target, b"", method=b"HEAD")
            assert (head.status, head.body) == (200, b"")
            assert head.header(b"content-length") == b"10"
            assert (await pool.request(target, b"", method=b"GET")).body == b"ok"
            assert server.connections == 1
            assert b"content-length" not in server.requests[2][0]
            assert b"content-length: 0\r\n" in server.requests[0][0]

    run(main(), loop)


def test_interim_answers_are_skipped(loop: str) -> None:
    async def main() -> None:
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        server = Recorder(interim + OK, interim * 100 + OK, b"HTTP/1.1 101 Up\r\n\r\n")
        async with scripted(server) as port, pooled() as pool:
            assert (await pool.request(at(pool, port), b"")).body == b"ok"
            for _ in range(2):
                with pytest.raises(ProtocolError, match="interim"):
                    await pool.request(at(pool, port), b"")

    run(main(), loop)


def test_time_limits_hold_and_close_the_connection(loop: str) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head, _ = await read_request(reader)
            if b"/body" in head:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
            await reader.read()
            gone.set()

        async with scripted(slow) as port, pooled() as pool:
            for path in ("/head", "/body"):
                gone.clear()
                started = time.monotonic()
                with pytest.raises(ClientTimeout, match=r"127\.0\.0\.1:\d+ within 0\.15 s"):
                    await pool.request(at(pool, port, path + "?key=secret"), b"", timeout_s=0.15)
                assert 0.14 < time.monotonic() - started < 1
                await gone.wait()
            # A longer limit does not hide a shorter one behind it.
            long = asyncio.create_task(pool.request(at(pool, port, "/head"), b"", timeout_s=10))
            await asyncio.sleep(0.01)
            with pytest.raises(ClientTimeout):
                await pool.request(at(pool, port, "/head"), b"", timeout_s=0.1)
            assert not long.done()
            long.cancel()

    run(main(), loop)


def test_cancelling_closes_the_connection(loop: str) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            await reader.read()
            gone.set()

        async with scripted(silent) as port, pooled() as pool:
            for call in (pool.request, pool.stream):
                gone.clear()
                task = asyncio.create_task(call(at(pool, port), b""))
                await asyncio.sleep(0.05)
                task.cancel()
                await gone.wait()
                with pytest.raises(asyncio.CancelledError):
                    await task

    run(main(), loop)


def test_idle_connections_are_closed_after_a_while(loop: str) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(OK)
            await reader.read()
            gone.set()

        async with scripted(once) as port, pooled(idle_timeout_s=0.1) as pool:
            await pool.request(at(pool, port), b"")
            started = time.monotonic()
            await gone.wait()
            assert 0.05 < time.monotonic() - started < 1

    run(main(), loop)


def test_a_large_request_and_answer_pass_whole(loop: str) -> None:
    async def main() -> None:
        body = bytes(range(256)) * 20_000

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                _, sent = await read_request(reader)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(sent) + sent)
                await writer.drain()

        async with scripted(echo) as port, pooled() as pool:
            for _ in range(2):
                assert (await pool.request(at(pool, port), body)).body == body

    run(main(), loop)


def test_a_closed_pool_says_so(loop: str) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with scripted(silent) as port:
            pool = Pool(user_agent=b"test/1", trust_env=False)
            task = asyncio.create_task(pool.request(at(pool, port), b""))
            await asyncio.sleep(0.05)
            await pool.aclose()
            with pytest.raises(ClientError, match="pool is closed"):
                await task
            with pytest.raises(ClientError, match="pool is closed"):
                await pool.request(at(pool, port), b"")

    run(main(), loop)


def test_connections_that_fail_name_the_server_only(loop: str) -> None:
    async def main() -> None:
        async with pooled(connect_timeout_s=0.2) as pool:
            with pytest.raises(
                ConnectFailed, match=r"^could not connect to http://127\.0\.0\.1:1: "
            ):
                await pool.request(pool.origin("http://127.0.0.1:1/x?key=secret"), b"")
            with pytest.raises(
                ConnectFailed, match=r"name of http://nothing\.invalid could not be"
            ):
                await pool.request(pool.origin("http://nothing.invalid/"), b"")

            async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read()

            async with scripted(mute) as port:  # never answers the TLS handshake
                with pytest.raises(ConnectFailed, match=r"within 0\.2 s"):
                    await pool.request(pool.origin(f"https://127.0.0.1:{port}/"), b"")
                with pytest.raises(ClientTimeout, match="passed while connecting"):
                    target = pool.origin(f"https://127.0.0.1:{port}/")
                    await pool.request(target, b"", timeout_s=0.1)

    run(main(), loop)


def test_targets_are_checked(loop: str) -> None:
    pool = Pool(user_agent=b"test/1", trust_env=False)
    for url in ("ftp://a/", "http:///x", "a/b", "http://a:x/", "http://a/\r\nx", "http://a b/"):
        with pytest.raises(ValueError, match="URL"):
            pool.target(url, [])
    for name in ("", "a b", "a:", "é", "a\n", "Content-Length", "transfer-encoding", "Connection"):
        with pytest.raises(ValueError, match="header"):
            pool.target("http://a/", [(name, "x")])
    for value in ("a\r\nb: c", "a\x00", "secret\n b"):
        with pytest.raises(ValueError, match="control character") as error:
            pool.target("http://a/", [("x", value)])
        assert "secret" not in str(error.value)
    for options in ({"max_connections": 0}, {"idle_timeout_s": 0}, {"max_body_bytes": -1}):
        with pytest.raises(ValueError, match="positive"):
            Pool(user_agent=b"x", **options)  # type: ignore[arg-type]  # options are the test's own


def test_headers_can_be_replaced_and_removed(loop: str) -> None:
    pool = Pool(user_agent=b"test/1", trust_env=False)
    target = pool.target("https://u:p@a.example/x", [("Authorization", "Bearer s"), ("B", "1")])
    assert target.static_head == (
        b" /x HTTP/1.1\r\nhost: a.example\r\nAuthorization: Bearer s\r\nB: 1\r\nuser-agent: test/1\r\n"
    )
    assert repr(target) == "Target(https://a.example)"
    changed = target.with_headers([("b", "2"), ("User-Agent", "own")], ["AUTHORIZATION"])
    assert changed.static_head == b" /x HTTP/1.1\r\nhost: a.example\r\nb: 2\r\nUser-Agent: own\r\n"
    assert changed.headers == (("b", "2"), ("User-Agent", "own"))
    assert target.with_headers([], ["user-agent", "b", "authorization"]).static_head == (
        b" /x HTTP/1.1\r\nhost: a.example\r\n"
    )
    signed = changed.adding([("X-Date", "now"), ("authorization", "s \u20ac")])
    assert signed.static_head == (
        changed.static_head + "X-Date: now\r\nauthorization: s \u20ac\r\n".encode()
    )
    assert signed.headers == (*changed.headers, ("X-Date", "now"), ("authorization", "s \u20ac"))
    assert (signed.path, signed.host, signed.port) == (b"/x", "a.example", 443)
    assert "authorization" not in signed.with_headers([], ["Authorization"]).headers[-1]
    for name, value in (("a b", "c"), ("content-length", "5"), ("a", "b\r\nc: d")):
        with pytest.raises(ValueError, match="header"):
            changed.adding([(name, value)])
    basic = pool.target("https://u:p%40@a.example", []).static_head
    assert b"\r\nauthorization: Basic dTpwQA==\r\n" in basic
    assert pool.target("http://bücher.example:80/", []).host == "xn--bcher-kva.example"
    assert b"host: [::1]:8080\r\n" in pool.target("http://[::1]:8080/", []).static_head


def test_small_requests_are_not_delayed_and_dead_peers_are_noticed(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TCP_NODELAY and TCP keep-alive are set on the pool's sockets."""
    opened: list[socket.socket] = []

    async def spy(host: str, port: int) -> socket.socket:
        opened.append(await open_socket(host, port))
        return opened[-1]

    monkeypatch.setattr("tzcore.client_origin.open_socket", spy)

    async def main() -> None:
        async with (
            scripted(Recorder(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as port,
            pooled() as pool,
        ):
            await pool.request(pool.origin(f"http://127.0.0.1:{port}/"), b"")
            (sock,) = opened
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    run(main(), loop)
