"""Servers that misbehave: cut, garbled, stale, too large."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tzcore_http_support import LOOPS, Script, read_request, run, scripted

from tzcore.client import (
    BodyTooLarge,
    ClientError,
    ConnectionLost,
    Pool,
    ProtocolError,
    Target,
)

pytestmark = pytest.mark.parametrize("loop", LOOPS)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def against(script: Script, **options: Any) -> AsyncIterator[tuple[Pool, Target]]:
    pool = Pool(user_agent=b"test/1", trust_env=False, **options)
    async with scripted(script) as port:
        try:
            yield pool, pool.origin(f"http://127.0.0.1:{port}/v1")
        finally:
            await pool.aclose()


def once(answer: bytes) -> Script:
    """Each connection gets one answer and is closed."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)

    return script


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "partial", "where"),
    [
        (b"", b"", "before it answered"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", b"", "within the head"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"", "within the head"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", b"abc", "within the body"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\nabc", b"abc", "within the body"),
        (CHUNKED + b"5\r\nabcde\r\n", b"abcde", "within the body"),
        (CHUNKED + b"5\r\nabc", b"abc", "within the body"),
        (CHUNKED + b"5\r\nabcde\r\n0\r\n", b"abcde", "within the body"),
    ],
)
def test_a_cut_answer_is_lost_with_what_there_is(
    loop: str, answer: bytes, partial: bytes, where: str
) -> None:
    async def main() -> None:
        async with against(once(answer)) as (pool, target):
            with pytest.raises(ConnectionLost, match=where) as error:
                await pool.request(target, b"x")
            assert error.value.partial == partial
            with pytest.raises(ConnectionLost, match=where):
                await (await pool.stream(target, b"x")).read()

    run(main(), loop)


GARBLED = {
    "no status line": b"HELLO WORLD, this is no HTTP\r\n\r\n",
    "garbage without an end": b"\x00\x01\x02garbage",
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "a short status": b"HTTP/1.1 20 OK\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "a field without colon": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nx : y\r\n\r\n",
    "a folded field": b"HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nx: \x00\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    "a negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n",
    "an unknown coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
    "a bad chunk size": CHUNKED + b"zz\r\nabc",
    "a chunk too long": CHUNKED + b"2\r\nabc\r\n",
    "many fields": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 600 + b"\r\n",
    "a huge head": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000,
    "a huge head in one line": b"HTTP/1.1 200 " + b"y" * 300_000,
}


@pytest.mark.parametrize("name", GARBLED)
def test_a_garbled_answer_is_refused(loop: str, name: str) -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(GARBLED[name])
            await reader.read()  # the client hangs up

        async with against(script) as (pool, target):
            with pytest.raises(ProtocolError, match=r"127\.0\.0\.1"):
                await pool.request(target, b"x", timeout_s=5)
            with pytest.raises(ProtocolError):
                await (await pool.stream(target, b"x", timeout_s=5)).read()

    run(main(), loop)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nup to the end", b"up to the end"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (CHUNKED + b"2 \r\nok\r\n0;x\r\nT: 1\r\n\r\n", b"ok"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n" + CHUNKED[17:] + b"2\r\nok\r\n0\r\n\r\n",
            b"ok",
        ),
        (b"HTTP/1.1 500 \xff\r\ncontent-length: 0\r\n\r\n", b""),
    ],
)
@pytest.mark.parametrize("step", [1, 5, 1000])
def test_sloppy_answers_are_read(loop: str, answer: bytes, body: bytes, step: int) -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            for at in range(0, len(answer), step):
                writer.write(answer[at : at + step])
                await asyncio.sleep(0)

        async with against(script) as (pool, target):
            assert (await pool.request(target, b"x")).body == body
            assert await (await pool.stream(target, b"x")).read() == body
            assert (await pool.request(target, b"x")).body == body

    run(main(), loop)


@pytest.mark.parametrize("reset", [False, True])
def test_a_stale_connection_costs_one_silent_retry(loop: str, reset: bool) -> None:
    async def main() -> None:
        requests: list[int] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            requests.append(1)
            writer.write(OK)
            await read_request(reader)  # reads the next request and hangs up without a word
            requests.append(2)
            if reset:
                writer.transport.abort()

        async with against(script) as (pool, target):
            for _ in range(3):
                assert (await pool.request(target, b"x")).body == b"ok"
            assert requests == [1, 2, 1, 2, 1]

    run(main(), loop)


def test_a_connection_closed_while_idle_is_not_used(loop: str) -> None:
    async def main() -> None:
        requests: list[bytes] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            requests.append((await read_request(reader))[1])
            writer.write(OK)

        async with against(script) as (pool, target):
            for number in range(5):
                await pool.request(target, b"%d" % number)
                await asyncio.sleep(0.01)
            assert requests == [b"0", b"1", b"2", b"3", b"4"]

    run(main(), loop)


def test_a_retry_is_made_once_and_never_after_a_byte(loop: str) -> None:
    async def main() -> None:
        requests: list[int] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            requests.append(1)
            if len(requests) == 1:
                writer.write(OK)
                await read_request(reader)
                requests.append(2)

        async with against(script) as (pool, target):
            await pool.request(target, b"x")
            with pytest.raises(ConnectionLost, match="before it answered"):
                await pool.request(target, b"x")
            assert requests == [1, 2, 1]

        requests.clear()

        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            requests.append(1)
            writer.write(OK)
            await read_request(reader)
            requests.append(2)
            writer.write(b"H")

        async with against(late) as (pool, target):
            await pool.request(target, b"x")
            with pytest.raises(ConnectionLost, match="within the head"):
                await pool.request(target, b"x")
            assert requests == [1, 2]

    run(main(), loop)


def test_unasked_bytes_on_an_idle_connection_close_it(loop: str) -> None:
    async def main() -> None:
        connections: list[int] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            await read_request(reader)
            writer.write(OK)
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 4\r\n\r\nevil")
            await reader.read()

        async with against(script) as (pool, target):
            for _ in range(3):
                assert (await pool.request(target, b"x")).body == b"ok"
                await asyncio.sleep(0.06)
            assert len(connections) == 3

    run(main(), loop)


def test_a_connection_with_bytes_behind_its_answer_is_not_used_again(loop: str) -> None:
    async def main() -> None:
        connections: list[int] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            await read_request(reader)
            writer.write(OK + OK)
            await reader.read()

        async with against(script) as (pool, target):
            for _ in range(3):
                assert (await pool.request(target, b"x")).body == b"ok"
                assert await (await pool.stream(target, b"x")).read() == b"ok"
            assert len(connections) == 6

    run(main(), loop)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n",
        CHUNKED + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
    ],
)
def test_a_body_beyond_the_limit_is_refused(loop: str, answer: bytes) -> None:
    async def main() -> None:
        async with against(once(answer), max_body_bytes=1000) as (pool, target):
            with pytest.raises(BodyTooLarge, match="larger than 1000 bytes"):
                await pool.request(target, b"x")
            with pytest.raises(BodyTooLarge):
                await (await pool.stream(target, b"x")).read()

    run(main(), loop)


def test_an_early_answer_to_a_large_request_is_read(loop: str) -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
            await writer.drain()
            await asyncio.sleep(0.1)

        async with against(script) as (pool, target):
            for _ in range(2):
                assert (await pool.request(target, b"x" * 20_000_000)).status == 413

    run(main(), loop)


def test_random_damage_never_hangs_or_crashes(loop: str) -> None:
    async def main() -> None:
        chance = random.Random(7)
        whole = [
            OK,
            CHUNKED + b"5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        ]

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            answer = bytearray(chance.choice(whole))
            for _ in range(chance.randrange(3)):
                at = chance.randrange(len(answer))
                answer[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
            cut = chance.randrange(len(answer) + 1)
            writer.write(bytes(answer[:cut]))
            await asyncio.sleep(0)
            writer.write(bytes(answer[cut:]))

        outcomes: set[str] = set()
        async with against(script) as (pool, target):
            for number in range(400):
                try:
                    if number % 2:
                        await pool.request(target, b"x", timeout_s=5)
                    else:
                        await (await pool.stream(target, b"x", timeout_s=5)).read()
                    outcomes.add("read")
                except ClientError as error:
                    outcomes.add(type(error).__name__)
        assert {"read", "ProtocolError", "ConnectionLost"} <= outcomes
        assert "ClientTimeout" not in outcomes

    run(main(), loop)
