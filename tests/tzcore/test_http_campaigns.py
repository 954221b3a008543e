"""Campaigns against the compiled server and client: no crash, no leak, no wrong answer.

A few seconds each with the suite, minutes under ``soak``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import resource
import socket
import struct
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tzcore_http_support import connect, post, read_response, run, scripted, serve

from tzcore.client import ClientError, ConnectFailed, Pool
from tzcore.http1 import Exchange, Limits
from tzcore.httpx_transport import PoolTransport

BUDGETS = [6.0, pytest.param(240.0, marks=pytest.mark.soak)]
GROWTH_BYTES = 24_000_000
"""A leak of one connection's or request's objects would be far more, at these counts."""


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes replaced, inserted, removed or repeated."""
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(data) + 1)
        insert = chance.choice(
            [
                *(
                    b"",
                    b"\r\n",
                    b"\r",
                    b"\n",
                    b"\x00",
                    b":",
                    b" ",
                    b"0\r\n\r\n",
                    b"Content-Length: 9",
                ),
                *(chance.randbytes(chance.randrange(1, 20)), data[:at][-40:], b"\xff" * 300),
            ]
        )
        data = data[:at] + insert + data[at + chance.choice([0, 0, 1, 5]) :]
    return data


def attack(chance: random.Random) -> bytes:
    """What a hostile or broken client sends."""
    body = b"b" * chance.choice([0, 3, 3000, 200_000])
    whole = post(chance.choice(["/hot", "/hot?x=y", "/cold"]), body)
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randbytes(chance.randrange(2000))
    if kind == 1:
        return whole[: chance.randrange(len(whole))]
    if kind == 2:
        return post("/hot", b"", *(f"X-{n}: y" for n in range(chance.choice([90, 120, 5000]))))
    if kind == 3:
        return b"POST /hot HTTP/1.1\r\nHost: a\r\nX: " + b"x" * chance.choice([60_000, 300_000])
    if kind == 4:
        chunked = b"POST /hot HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        return damaged(chunked + b"5\r\nabcde\r\n" * chance.randrange(50) + b"0\r\n\r\n", chance)
    return damaged(whole * chance.choice([1, 2, 5]), chance)


async def assault(port: int, chance: random.Random) -> None:
    """One connection that sends an attack, in pieces, and leaves in one of several ways."""
    reader, writer = await connect(port)
    data = attack(chance)
    step = chance.choice([1, 7, 1000, len(data) + 1]) if len(data) < 4000 else 70_000
    try:
        for at in range(0, len(data), step):
            writer.write(data[at : at + step])
            if chance.random() < 0.05:
                await asyncio.sleep(0)
            if chance.random() < 0.002:
                break
        leaving = chance.randrange(4)
        if leaving == 0:  # a reset
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif leaving == 1:
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
        elif leaving == 2:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.02)
    except (ConnectionError, RuntimeError):  # uvloop's word for writing after a close
        pass
    finally:
        writer.close()


@pytest.mark.parametrize("budget_s", BUDGETS)
def test_the_server_outlives_hostile_clients(budget_s: float) -> None:
    seed = 1 if budget_s < 10 else time.time_ns()
    print("seed", seed)  # shown when it fails
    counts: Counter[str] = Counter()

    async def main() -> None:
        def handler(exchange: Exchange) -> None:
            counts["handled"] += 1
            loop.call_later(0.001, exchange.respond, 200, b"echo " + exchange.body[:100])

        loop = asyncio.get_running_loop()
        ends = time.monotonic() + budget_s
        limits = Limits(head_timeout_s=2.0, body_timeout_s=2.0, linger_s=0.5, idle_timeout_s=5.0)
        async with serve({(b"POST", b"/hot"): handler}, limits=limits) as server:

            async def attacker(number: int) -> None:
                chance = random.Random(f"{seed} {number}")
                while time.monotonic() < ends:
                    await assault(server.port, chance)
                    counts["attacks"] += 1

            async def slow() -> None:
                """Slowloris: one byte at a time, for ever; the server ends it."""
                while time.monotonic() < ends:
                    reader, writer = await connect(server.port)
                    request = post("/hot", b"", "X: " + "x" * 10_000)
                    with contextlib.suppress(ConnectionError, RuntimeError):
                        for at in range(len(request)):
                            writer.write(request[at : at + 1])
                            await asyncio.sleep(0.05)
                            if reader.at_eof() or time.monotonic() > ends:
                                break
                    writer.close()
                    counts["slow"] += 1

            async def customer() -> None:
                """Meanwhile everybody else is served, and with their own answers."""
                reader, writer = await connect(server.port)
                number = 0
                while time.monotonic() < ends:
                    number += 1
                    writer.write(post("/hot", b"%d" % number))
                    status, _, body = await asyncio.wait_for(read_response(reader), 10)
                    assert (status, body) == (200, b"echo %d" % number)
                    counts["served"] += 1
                    await asyncio.sleep(0.001)
                writer.close()

            async def watch() -> None:
                await asyncio.sleep(budget_s / 3)
                before = resident_bytes()
                await asyncio.sleep(max(0.0, ends - time.monotonic()))
                counts["grown"] = resident_bytes() - before

            async with asyncio.TaskGroup() as group:
                for number in range(8):
                    group.create_task(attacker(number))
                for _ in range(3):
                    group.create_task(slow())
                group.create_task(customer())
                group.create_task(watch())
            async with asyncio.timeout(20):
                while server.server_state.connections:  # noqa: ASYNC110 - uvicorn offers no event
                    await asyncio.sleep(0.05)

    run(main(), limit_s=budget_s + 60)
    assert counts["attacks"] > 30 * budget_s / 6, counts
    assert counts["served"] > 10, counts  # a busy machine serves few
    assert counts["handled"] > counts["served"], counts
    assert counts["slow"] >= 3, counts
    assert counts["grown"] < GROWTH_BYTES, counts


def answer_for(body: bytes, chance: random.Random, *, small: bool) -> bytes:
    """A correct answer that tells the request back, in one of the framings."""
    text = b"<" + body + b">" * chance.choice([1, 100, 100 if small else 40_000])
    kind = chance.randrange(2 if body.startswith(b"surplus") else 3)
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * chance.choice([0, 0, 1])
    if kind == 0:
        return interim + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text
    if kind == 1:
        half = len(text) // 2 or 1
        pieces = [piece for piece in (text[:half], text[half:]) if piece]
        chunks = b"".join(b"%x;e\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        return (
            interim
            + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunks
            + b"0\r\nT: 1\r\n\r\n"
        )
    return b"HTTP/1.1 200 OK\r\n\r\n" + text


@pytest.mark.parametrize("budget_s", BUDGETS)
def test_the_client_outlives_hostile_servers(budget_s: float) -> None:
    """An answer that was not tampered with reaches its request whole, whatever came before it."""
    seed = 2 if budget_s < 10 else time.time_ns()
    print("seed", seed)  # shown when it fails
    counts: Counter[str] = Counter()

    async def main() -> None:
        ends = time.monotonic() + budget_s
        chance = random.Random(seed)

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                body = await reader.readexactly(length)
                fate = body.split(b" ")[0]
                in_one_piece = fate in (b"surplus", b"damaged")
                answer = answer_for(body, chance, small=in_one_piece)
                if fate == b"damaged":
                    answer = damaged(answer, chance)
                elif fate == b"cut":
                    answer = answer[: chance.randrange(len(answer))]
                elif fate == b"garbage":
                    answer = chance.randbytes(chance.randrange(3000))
                elif fate == b"surplus":
                    answer += b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
                elif fate == b"oversized":
                    answer = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400_000
                elif fate == b"endless":
                    answer = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 300
                step = chance.choice([1, 3, 1000]) if len(answer) < 1000 else 100_000
                if in_one_piece:
                    # Surplus bytes that come after the next request was sent are its answer, to
                    # any client.
                    step = len(answer)
                for at in range(0, len(answer), step):
                    if writer.is_closing():
                        return
                    writer.write(answer[at : at + step])
                    if chance.random() < 0.1:
                        await asyncio.sleep(0)
                if fate != b"honest" and chance.random() < 0.3:
                    writer.transport.abort()
                if fate in (b"cut", b"garbage") or answer.startswith(b"HTTP/1.1 200 OK\r\n\r\n"):
                    return

        async def ask(pool: Pool, target: Any, number: int) -> None:
            fate = chance.choice(
                ["honest"] * 6
                + ["damaged", "damaged", "cut", "garbage", "surplus"]
                + ["oversized", "endless"] * (chance.random() < 0.1)
            )
            sent = f"{fate} {number}".encode()
            counts[fate] += 1
            try:
                if chance.random() < 0.5:
                    answer = await pool.request(target, sent, timeout_s=3.0)
                    body = answer.body
                else:
                    async with await pool.stream(target, sent, timeout_s=3.0) as stream:
                        if chance.random() < 0.1:
                            return
                        body = await stream.read()
            except ConnectFailed:
                raise
            except ClientError as error:
                assert fate != "honest", (sent, error)
                counts["refused"] += 1
                return
            if fate in ("honest", "surplus"):
                assert body.rstrip(b">") == b"<" + sent
                counts["right"] += 1
            assert body != b"forged"

        async def customer(port: int, first: int) -> None:
            pool = Pool(user_agent=b"", max_connections=2, trust_env=False)
            target = pool.target(f"http://127.0.0.1:{port}/", [])
            number = first
            while time.monotonic() < ends:
                await ask(pool, target, number)
                number += 1
            await pool.aclose()

        async with scripted(script) as port, asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(customer(port, number * 1_000_000))
            await asyncio.sleep(budget_s / 3)
            before = resident_bytes()
            await asyncio.sleep(budget_s * 2 / 3)
            counts["grown"] = resident_bytes() - before

    run(main(), limit_s=budget_s + 30)
    assert counts["right"] > 100, counts
    assert counts["refused"] > 20, counts
    assert counts["grown"] < GROWTH_BYTES, counts


def test_the_client_reads_answers_cut_at_every_byte() -> None:
    """Both ways of reading, and through httpx."""
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: y\r\n\r\nbody",
        b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nbod\r\n1\r\ny\r\n0\r\nT: 1\r\n\r\n",
    ]

    async def main() -> None:
        import httpx

        plan: list[tuple[bytes, int]] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"content-length: 1" in head.lower():
                    await reader.readexactly(1)
                answer, at = plan.pop()
                writer.write(answer[:at])
                await asyncio.sleep(0.001)
                writer.write(answer[at:])

        pool = Pool(user_agent=b"", trust_env=False)
        async with (
            scripted(script) as port,
            httpx.AsyncClient(transport=PoolTransport(pool)) as session,
        ):
            url = f"http://127.0.0.1:{port}/"
            target = pool.target(url, [])
            for answer in answers:
                for at in range(1, len(answer)):
                    plan.extend([(answer, at)] * 3)
                    assert (await pool.request(target, b"x")).body == b"body", at
                    async with await pool.stream(target, b"x") as stream:
                        assert await stream.read() == b"body", at
                    assert (await session.post(url, content=b"x")).content == b"body", at
        await pool.aclose()

    run(main())
