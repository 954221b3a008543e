"""Streamed answers that are pushed: pieces, the end, errors, and who is told nothing more."""

from __future__ import annotations

import asyncio
import gzip
from contextvars import ContextVar

import pytest
from test_client_requests import at, pooled
from test_client_streams import CHUNKED, chunk
from tzcore_http_support import LOOPS, read_request, run, scripted

from tzcore.client import ClientError, ClientTimeout, ConnectionLost, ProtocolError

pytestmark = pytest.mark.parametrize("loop", LOOPS)
SPAN: ContextVar[str] = ContextVar("SPAN", default="none")


class Received:
    """What a receiver was told; ``over`` when it was told the end."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.spans: list[str] = []
        self.over: asyncio.Future[ClientError | None] = asyncio.get_running_loop().create_future()
        self.began = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self.pieces.append(data)
        self.spans.append(SPAN.get())
        self.began.set()

    def ended(self, error: ClientError | None) -> None:
        self.spans.append(SPAN.get())
        self.over.set_result(error)


class Answers:
    """A server that answers every request with ``parts``, one write each, and counts."""

    def __init__(self, *parts: bytes | float, hangs: bool = False) -> None:
        self.parts = parts
        self.hangs = hangs
        self.connections = 0
        self.given_up = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            try:
                await read_request(reader)
            except asyncio.IncompleteReadError:
                return
            for part in self.parts:
                if isinstance(part, float):
                    await asyncio.sleep(part)
                else:
                    writer.write(part)
                    await writer.drain()
            if self.hangs:
                await reader.read()
                self.given_up.set()
                return


def test_everything_is_pushed_in_the_receivers_context(loop: str) -> None:
    """What came with the head before ``push`` returns, the rest by itself; and the connection
    serves again."""

    async def main() -> None:
        server = Answers(CHUNKED + chunk(b"a"), 0.02, chunk(b"b"), 0.02, chunk(b"c") + b"0\r\n\r\n")
        async with scripted(server) as port, pooled() as pool:
            for turn in range(3):
                SPAN.set(f"turn {turn}")
                stream = await pool.stream(at(pool, port), b"x", timeout_s=10)
                received = Received()
                stream.push(received)
                SPAN.set("later")
                assert await received.over is None
                assert b"".join(received.pieces) == b"abc"
                assert set(received.spans) == {f"turn {turn}"}
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)
            assert server.connections == 1

    run(main(), loop)


def test_a_coded_stream_is_decoded(loop: str) -> None:
    async def main() -> None:
        coded = gzip.compress(b"one two three" * 100)
        head = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
        parts = [chunk(bytes([byte])) for byte in coded]
        for end, wanted in ((b"0\r\n\r\n", None), (b"", ProtocolError)):
            cut = parts if wanted is None else [*parts[:-9], b"0\r\n\r\n"]
            async with scripted(Answers(head, *cut, end)) as port, pooled() as pool:
                stream = await pool.stream(at(pool, port), b"x", timeout_s=10)
                received = Received()
                stream.push(received)
                error = await received.over
                if wanted is None:
                    assert error is None
                    assert b"".join(received.pieces) == b"one two three" * 100
                else:
                    assert isinstance(error, wanted)

    run(main(), loop)


def test_errors_come_after_what_arrived_before_them(loop: str) -> None:
    async def main() -> None:
        async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(CHUNKED + chunk(b"a"))

        for script, wanted in (
            (cut, ConnectionLost),
            (Answers(CHUNKED + chunk(b"a"), b"nonsense\r\n"), ProtocolError),
            (Answers(CHUNKED + chunk(b"a"), hangs=True), ClientTimeout),
        ):
            async with scripted(script) as port, pooled() as pool:
                stream = await pool.stream(at(pool, port), b"x", timeout_s=0.5)
                received = Received()
                stream.push(received)
                assert isinstance(await received.over, wanted)
                assert received.pieces == [b"a"]

    run(main(), loop)


def test_a_closed_stream_says_nothing_more(loop: str) -> None:
    async def main() -> None:
        server = Answers(CHUNKED + chunk(b"a"), hangs=True)
        async with scripted(server) as port, pooled() as pool:
            stream = await pool.stream(at(pool, port), b"x", timeout_s=10)
            received = Received()
            stream.push(received)
            await received.began.wait()
            stream.close()
            await server.given_up.wait()
            await asyncio.sleep(0)
            assert not received.over.done()
            stream.close()

    run(main(), loop)


def test_a_finished_stream_keeps_its_connection(loop: str) -> None:
    async def main() -> None:
        server = Answers(CHUNKED + chunk(b"a"), 0.02, chunk(b"unread"), b"0\r\n\r\n")
        async with scripted(server) as port, pooled() as pool:
            for _ in range(2):
                stream = await pool.stream(at(pool, port), b"x", timeout_s=10)
                received = Received()
                stream.push(received)
                await received.began.wait()
                stream.finish(10.0)
                await asyncio.sleep(0.2)
                assert received.pieces == [b"a"]
                assert not received.over.done()
            assert server.connections == 1

    run(main(), loop)


def test_a_receiver_that_fails_costs_its_connection_alone(loop: str) -> None:
    class Failing(Received):
        def feed(self, data: bytes) -> None:
            super().feed(data)
            raise RuntimeError("no")

    async def main() -> None:
        server = Answers(CHUNKED, 0.05, chunk(b"a"), hangs=True)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with scripted(server) as port, pooled() as pool:
            stream = await pool.stream(at(pool, port), b"x", timeout_s=10)
            received = Failing()
            stream.push(received)
            await received.began.wait()
            await server.given_up.wait()
            assert not received.over.done()

    run(main(), loop)


def test_one_reader_at_a_time(loop: str) -> None:
    async def main() -> None:
        async with scripted(Answers(CHUNKED, hangs=True)) as port, pooled() as pool:
            stream = await pool.stream(at(pool, port), b"x", timeout_s=10)
            stream.push(Received())
            with pytest.raises(RuntimeError, match="two readers"):
                stream.push(Received())
            stream.close()
            stream = await pool.stream(at(pool, port), b"x", timeout_s=10)
            reading = asyncio.ensure_future(stream.read())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="two readers"):
                stream.push(Received())
            stream.close()
            with pytest.raises(ClientError):
                await reading

    run(main(), loop)
