"""Hot routes over real sockets: what is read, what is answered, what is handed over."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from typing import Any

import pytest
import trustme
from tzcore_http_support import LOOPS, Later, connect, post, read_response, run, serve

from tzcore.http1 import Exchange, Limits, make_protocol

pytestmark = pytest.mark.parametrize("loop", LOOPS)


def echo(exchange: Exchange) -> None:
    exchange.respond(200, b"hot " + exchange.query + b" " + exchange.body)


ROUTES = {(b"POST", b"/hot"): echo}


def test_an_answer_carries_the_common_headers_and_keeps_the_connection(loop: str) -> None:
    async def main() -> None:
        async with serve(ROUTES, common_headers=b"x-version: 7\r\n") as server:
            reader, writer = await connect(server.port)
            for number in range(3):
                writer.write(post(f"/hot?a={number}", b"body"))
                status, head, body = await read_response(reader)
                assert status == 200
                assert body == b"hot a=%d body" % number
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"\r\nx-version: 7\r\n" in head
                assert b"\r\ncontent-type: application/json\r\n" in head
                assert b"\r\ndate: " in head
                assert b"connection" not in head
            assert server.server_state.total_requests == 3
            writer.close()

    run(main(), loop)


def test_every_cut_of_the_bytes_gives_the_same_answers(loop: str) -> None:
    async def main() -> None:
        chunked = (
            b"POST /hot HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
        )
        stream = b"\r\n" + post("/hot", b"one") + chunked + post("/cold", b"two") + post("/hot")
        async with serve(ROUTES) as server:
            for step in (1, 2, 3, 7, 50, 10_000):
                reader, writer = await connect(server.port)
                for at in range(0, len(stream), step):
                    writer.write(stream[at : at + step])
                    await asyncio.sleep(0)
                bodies = [(await read_response(reader))[2] for _ in range(4)]
                assert bodies == [
                    b"hot  one",
                    b"hot  abcde",
                    b"cold POST /cold two",
                    b"cold POST /hot ",
                ]
                writer.close()

    run(main(), loop)


def test_pipelined_requests_are_answered_in_order_one_at_a_time(loop: str) -> None:
    async def main() -> None:
        later = Later()
        async with serve({(b"POST", b"/hot"): later}) as server:
            reader, writer = await connect(server.port)
            writer.write(b"".join(post("/hot", b"%d" % i) for i in range(5)) + post("/cold"))
            for number in range(1, 6):
                exchange = await later.take(number)
                await asyncio.sleep(0.005)
                assert len(later.exchanges) == number
                exchange.respond(200, exchange.body)
                assert (await read_response(reader))[2] == b"%d" % (number - 1)
            assert (await read_response(reader))[2] == b"cold POST /cold "
            writer.close()

    run(main(), loop)


def test_reading_pauses_while_much_is_pipelined_and_nothing_is_lost(loop: str) -> None:
    async def main() -> None:
        later = Later()
        requests = [post("/hot", b"%d" % i * 2000) for i in range(200)]
        async with serve({(b"POST", b"/hot"): later}) as server:
            reader, writer = await connect(server.port)
            writer.write(b"".join(requests))
            for number in range(1, 201):
                (await later.take(number)).respond(200, b"%d" % number)
            for number in range(1, 201):
                assert (await read_response(reader))[2] == b"%d" % number
            assert later.exchanges[150].body == b"150" * 2000
            writer.close()

    run(main(), loop)


def test_an_exchange_shows_the_request(loop: str) -> None:
    async def main() -> None:
        later = Later()
        async with serve({(b"POST", b"/hot"): later}) as server:
            _, writer = await connect(server.port)
            before = time.monotonic()
            extra = ("X-One:  a b \t", "x-one: second", "Content-Encoding: gzip")
            writer.write(post("/hot?x=1?y", b"abc", *extra))
            exchange = await later.take()
            assert (exchange.method, exchange.path, exchange.query) == (b"POST", b"/hot", b"x=1?y")
            assert exchange.body == b"abc"
            assert exchange.content_encoding == b"gzip"
            assert exchange.header(b"x-one") == b"a b"
            assert exchange.header(b"x-on") is None
            assert exchange.headers == [
                (b"host", b"a.example"),
                (b"x-one", b"a b"),
                (b"x-one", b"second"),
                (b"content-encoding", b"gzip"),
                (b"content-length", b"3"),
            ]
            assert before <= exchange.received_at <= time.monotonic()
            assert exchange.peer is not None
            assert exchange.peer[0] == "127.0.0.1"
            assert not exchange.closed
            assert not exchange.body_too_large
            exchange.respond(204, b"")
            writer.close()

    run(main(), loop)


def test_a_large_body_arrives_whole_in_both_framings(loop: str) -> None:
    async def main() -> None:
        later = Later()
        body = bytes(range(256)) * 8192  # 2 MiB
        async with serve({(b"POST", b"/hot"): later}) as server:
            reader, writer = await connect(server.port)
            writer.write(post("/hot", body))
            exchange = await later.take()
            assert exchange.body == body
            exchange.respond(200, exchange.body)
            status, _, answer = await read_response(reader)
            assert status == 200
            assert answer == body
            writer.write(post("/hot", b"", "Transfer-Encoding: chunked", framed=False))
            for at in range(0, len(body), 100_000):
                piece = body[at : at + 100_000]
                writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            writer.write(b"0\r\n\r\n")
            assert (await later.take(2)).body == body
            writer.close()

    run(main(), loop)


def test_expect_continue_is_answered_before_the_body(loop: str) -> None:
    async def main() -> None:
        async with serve(ROUTES) as server:
            reader, writer = await connect(server.port)
            request = post("/hot", b"body", "Expect: 100-Continue")
            head, body = request[:-4], request[-4:]
            writer.write(head)
            assert (await read_response(reader))[0] == 100
            writer.write(body)
            assert (await read_response(reader))[2] == b"hot  body"
            writer.write(request)  # with its body at once: nothing to wait for
            assert (await read_response(reader))[0] == 200
            writer.close()

    run(main(), loop)


def test_a_streamed_answer_is_chunked_and_followed_by_the_next(loop: str) -> None:
    async def main() -> None:
        def stream(exchange: Exchange) -> None:
            exchange.start_stream(headers=b"cache-control: no-cache\r\n")
            assert exchange.send(b"data: 1\n\n")
            assert exchange.send(b"")
            assert exchange.send(b"x" * 100_000)
            exchange.end()
            with pytest.raises(RuntimeError, match="no stream is open"):
                exchange.send(b"late")
            with pytest.raises(RuntimeError, match="answered already"):
                exchange.respond(200, b"late")

        async with serve({(b"POST", b"/hot"): stream}) as server:
            reader, writer = await connect(server.port)
            writer.write(post() + post())
            for _ in range(2):
                status, head, body = await read_response(reader)
                assert status == 200
                assert b"content-type: text/event-stream\r\n" in head
                assert b"cache-control: no-cache\r\n" in head
                assert body == b"data: 1\n\n" + b"x" * 100_000
            writer.close()

    run(main(), loop)


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"GET /hot HTTP/1.1\r\nHost: a\r\n\r\n", b"cold GET /hot "),
        (b"POST /hot/ HTTP/1.1\r\nHost: a\r\n\r\n", b"cold POST /hot/ "),
        (
            b"POST http://a/hot HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            b"cold POST /hot hi",
        ),
        (b"POST /hot HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", b"cold POST /hot hi"),
        (
            b"POST /hot HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 2\r\n\r\nhi",
            b"cold POST /hot hi",
        ),
        (b"POST /%68ot HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", b"cold POST /hot hi"),
    ],
)
def test_everything_else_is_handed_over(loop: str, request_bytes: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with serve(ROUTES) as server:
            reader, writer = await connect(server.port)
            writer.write(request_bytes[:-1])
            await asyncio.sleep(0.01)
            writer.write(request_bytes[-1:])
            assert (await read_response(reader))[2] == answer
            writer.close()

    run(main(), loop)


def test_a_handed_over_connection_stays_with_uvicorn(loop: str) -> None:
    async def main() -> None:
        async with serve(ROUTES) as server:
            reader, writer = await connect(server.port)
            body = b"z" * 300_000
            writer.write(post("/hot", b"1") + post("/cold", body)[:-1000])
            assert (await read_response(reader))[2] == b"hot  1"
            await asyncio.sleep(0.02)
            writer.write(body[-1000:] + post("/hot", b"2"))
            assert (await read_response(reader))[2] == b"cold POST /cold " + body
            assert (await read_response(reader))[2] == b"cold POST /hot 2"
            assert len(server.server_state.connections) == 1
            writer.close()

    run(main(), loop)


def test_the_concurrency_limit_of_uvicorn_holds(loop: str) -> None:
    async def main() -> None:
        async with serve(ROUTES, limit_concurrency=2) as server:
            first = await connect(server.port)
            reader, writer = await connect(server.port)
            await asyncio.sleep(0.02)
            writer.write(post())
            assert (await read_response(reader))[0] == 503
            writer.close()
            first[1].close()

    run(main(), loop)


def test_connection_close_is_honoured(loop: str) -> None:
    async def main() -> None:
        async with serve(ROUTES) as server:
            reader, writer = await connect(server.port)
            writer.write(post("/hot", b"", "Connection: keep-alive, Close"))
            status, head, _ = await read_response(reader)
            assert status == 200
            assert b"connection: close\r\n" in head
            assert await reader.read() == b""
            writer.close()

    run(main(), loop)


def test_h2c_offers_are_ignored_on_hot_routes(loop: str) -> None:
    async def main() -> None:
        async with serve(ROUTES) as server:
            reader, writer = await connect(server.port)
            extra = (
                "Connection: Upgrade, HTTP2-Settings",
                "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABk",
            )
            writer.write(post("/hot", b"x", *extra) * 2)
            for _ in range(2):
                assert (await read_response(reader))[2] == b"hot  x"
            writer.close()

    run(main(), loop)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_answered_early(loop: str, chunked: bool) -> None:
    async def main() -> None:
        seen: list[Exchange] = []

        def handler(exchange: Exchange) -> None:
            seen.append(exchange)
            exchange.respond(400 if exchange.body_too_large else 200, b"answer")

        async with serve(
            {(b"POST", b"/hot"): handler}, limits=Limits(max_body_bytes=1000)
        ) as server:
            reader, writer = await connect(server.port)
            writer.write(post("/hot", b"x" * 1000))
            assert (await read_response(reader))[0] == 200
            if chunked:
                writer.write(post("/hot", b"", "Transfer-Encoding: chunked", framed=False))
                writer.write(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
            else:
                writer.write(post("/hot", b"x" * 1001)[:-900])
            status, head, body = await read_response(reader)
            assert (status, body) == (400, b"answer")
            assert b"connection: close\r\n" in head
            # A client that goes on sending is not reset before it has read the answer.
            for _ in range(20):
                writer.write(b"x" * 50_000)
                await writer.drain()
            assert await reader.read() == b""
            assert seen[1].body == b""
            assert seen[1].body_too_large
            writer.close()

    run(main(), loop)


def test_a_failing_handler_costs_a_500_and_the_connection(loop: str, caplog: Any) -> None:
    async def main() -> None:
        def fail(exchange: Exchange) -> None:
            raise KeyError("secret detail")

        def fail_late(exchange: Exchange) -> None:
            exchange.start_stream()
            exchange.send(b"begun")
            raise KeyError("secret detail")

        async with serve({(b"POST", b"/hot"): fail, (b"POST", b"/late"): fail_late}) as server:
            reader, writer = await connect(server.port)
            writer.write(post())
            status, _, body = await read_response(reader)
            assert (status, body) == (500, b'{"error":"Internal error"}')
            assert await reader.read() == b""
            writer.close()
            reader, writer = await connect(server.port)
            writer.write(post("/late"))
            with contextlib.suppress(ConnectionError):
                assert b"0\r\n\r\n" not in await reader.read()
            writer.close()

    run(main(), loop)
    assert sum("the handler of POST" in record.message for record in caplog.records) == 2


def test_tls_connections_are_served_alike(loop: str, tmp_path: Any) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")

    async def main() -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        options = {"ssl_certfile": str(tmp_path / "server.pem")}
        async with serve(ROUTES, limits=Limits(max_body_bytes=500_000), **options) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
            writer.write(post("/hot", b"x" * 200_000) + post("/cold", b"y" * 200_000))
            assert (await read_response(reader))[2] == b"hot  " + b"x" * 200_000
            assert (await read_response(reader))[2] == b"cold POST /cold " + b"y" * 200_000
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
            writer.write(post("/hot", b"x" * 600_000)[:1000])
            status, head, _ = await read_response(reader)
            assert status == 200
            assert b"connection: close" in head
            writer.close()

    run(main(), loop)


def test_wrong_wiring_is_refused(loop: str) -> None:
    with pytest.raises(ValueError, match="must end in CR LF"):
        make_protocol({}, common_headers=b"x: y")
    with pytest.raises(ValueError, match="upper-case"):
        make_protocol({(b"post", b"/x"): echo})
    with pytest.raises(ValueError, match="begins with /"):
        make_protocol({(b"POST", b"x"): echo})
    with pytest.raises(ValueError, match="begins with /"):
        make_protocol({(b"POST", b"/x?y"): echo})
    with pytest.raises(ValueError, match="idle_timeout_s must be positive"):
        Limits(idle_timeout_s=0)
