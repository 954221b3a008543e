"""Streamed answers: pieces as they come, backpressure, early ends."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from test_client_requests import OK, at, pooled
from tzcore_http_support import LOOPS, read_request, run, scripted

from tzcore.client import ClientError, ClientTimeout, ConnectionLost

pytestmark = pytest.mark.parametrize("loop", LOOPS)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def test_pieces_arrive_as_they_are_sent_and_the_connection_is_used_again(loop: str) -> None:
    async def main() -> None:
        step = asyncio.Event()
        connections: list[int] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            for _ in range(3):
                await read_request(reader)
                writer.write(CHUNKED)
                for number in range(5):
                    await step.wait()
                    step.clear()
                    writer.write(chunk(b"data: %d\n\n" % number))
                await step.wait()
                step.clear()
                writer.write(chunk(b"tail")[:-1])
                await asyncio.sleep(0.01)
                writer.write(b"\n0\r\n\r\n")

        async with scripted(script) as port, pooled() as pool:
            for _ in range(3):
                stream = await pool.stream(at(pool, port), b"x", timeout_s=5)
                assert stream.status == 200
                assert stream.reason == b"OK"
                assert stream.header(b"content-type") == b"text/event-stream"
                assert len(stream.headers) == 2
                assert stream.sent_at <= stream.first_byte_at
                for number in range(5):
                    step.set()
                    assert await anext(stream) == b"data: %d\n\n" % number
                step.set()
                assert await stream.read() == b"tail"
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)
                await stream.aclose()
            assert len(connections) == 1

    run(main(), loop)


def test_reading_pauses_when_nobody_takes_the_pieces(loop: str) -> None:
    async def main() -> None:
        sent = 0
        total = 40 * 1_000_000

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await read_request(reader)
            writer.write(CHUNKED)
            for _ in range(40):
                writer.write(chunk(b"x" * 1_000_000))
                await writer.drain()
                sent += 1_000_000
            writer.write(b"0\r\n\r\n")

        async with scripted(script) as port, pooled() as pool:
            stream = await pool.stream(at(pool, port), b"x")
            await asyncio.sleep(0.2)
            assert sent < total
            read = 0
            async for piece in stream:
                read += len(piece)
            assert read == total

    run(main(), loop)


def test_a_finished_stream_may_be_read_later_while_its_connection_works_on(loop: str) -> None:
    async def main() -> None:
        connections: list[int] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            await read_request(reader)
            writer.write(CHUNKED + chunk(b"x" * 2_000_000) + b"0\r\n\r\n")
            while True:
                await read_request(reader)
                writer.write(OK)

        async with scripted(script) as port, pooled() as pool:
            stream = await pool.stream(at(pool, port), b"x")
            first = await anext(stream)
            rest = await stream.read()
            assert len(first) + len(rest) == 2_000_000
            assert (await pool.request(at(pool, port), b"x")).body == b"ok"
            assert len(connections) == 1

    run(main(), loop)


@pytest.mark.parametrize("how", ["aclose", "with", "drop"])
def test_an_unfinished_stream_closes_its_connection(loop: str, how: str) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(CHUNKED + chunk(b"begun"))
            await reader.read()
            gone.set()

        async with scripted(script) as port, pooled() as pool:
            stream = await pool.stream(at(pool, port), b"x")
            assert await anext(stream) == b"begun"
            if how == "aclose":
                await stream.aclose()
                with pytest.raises(ClientError, match="closed before its end"):
                    await anext(stream)
            elif how == "with":
                async with stream:
                    pass
            else:
                del stream
            await gone.wait()

    run(main(), loop)


def test_a_stream_ends_in_an_error_after_what_arrived(loop: str) -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head, _ = await read_request(reader)
            writer.write(CHUNKED + chunk(b"one") + chunk(b"two"))
            if b"/slow" in head:
                await reader.read()

        async with scripted(script) as port, pooled() as pool:
            stream = await pool.stream(at(pool, port, "/cut"), b"x")
            await asyncio.sleep(0.05)
            assert await anext(stream) == b"onetwo"
            for _ in range(2):
                with pytest.raises(ConnectionLost):
                    await anext(stream)
            stream = await pool.stream(at(pool, port, "/slow"), b"x", timeout_s=0.15)
            assert await anext(stream) == b"onetwo"
            with pytest.raises(ClientTimeout, match=r"within 0\.15 s"):
                await anext(stream)

    run(main(), loop)


def test_giving_up_on_one_piece_leaves_the_stream_usable(loop: str) -> None:
    async def main() -> None:
        step = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(CHUNKED)
            await step.wait()
            writer.write(chunk(b"late") + b"0\r\n\r\n")
            await reader.read()

        async with scripted(script) as port, pooled() as pool:
            stream = await pool.stream(at(pool, port), b"x")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.05)
            waiting = asyncio.ensure_future(stream.read())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="two readers"):
                await anext(stream)
            step.set()
            assert await waiting == b"late"

    run(main(), loop)


def test_a_compressed_stream_is_decoded_piece_by_piece(loop: str) -> None:
    async def main() -> None:
        plain = b"".join(b"data: %d\n\n" % number for number in range(2000))
        body = gzip.compress(plain)

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"))
            for start in range(0, len(body), 100):
                writer.write(chunk(body[start : start + 100]))
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n")

        async with scripted(script) as port, pooled() as pool:
            stream = await pool.stream(at(pool, port), b"x")
            pieces = [piece async for piece in stream]
            assert len(pieces) > 1
            assert b"".join(pieces) == plain

    run(main(), loop)
