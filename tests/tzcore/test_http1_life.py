"""The life of a connection: time limits, slow and vanished clients, graceful stop."""

from __future__ import annotations

import asyncio
import gc
import socket
import time

import pytest
import uvloop
from tzcore_http_support import LOOPS, Later, configure, connect, post, read_response, run, serve

from tzcore.http1 import Exchange, Limits

pytestmark = pytest.mark.parametrize("loop", LOOPS)
HOT = (b"POST", b"/hot")


def answer(exchange: Exchange) -> None:
    exchange.respond(200, b"ok")


async def until(condition: object, limit_s: float = 5.0) -> None:
    """Wait for ``condition()``."""
    assert callable(condition)
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  # the engines offer no event to wait for
            await asyncio.sleep(0.005)


def test_a_head_that_does_not_end_gets_408(loop: str) -> None:
    async def main() -> None:
        async with serve({HOT: answer}, limits=Limits(head_timeout_s=0.2)) as server:
            reader, writer = await connect(server.port)
            writer.write(post()[:10])
            started = time.monotonic()
            for byte in b"trickle":
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
            assert (await read_response(reader))[0] == 408
            assert 0.15 < time.monotonic() - started < 1.0
            assert await reader.read() == b""
            writer.close()

    run(main(), loop)


def test_a_body_that_stalls_gets_408_and_one_that_moves_does_not(loop: str) -> None:
    async def main() -> None:
        async with serve({HOT: answer}, limits=Limits(body_timeout_s=0.2)) as server:
            reader, writer = await connect(server.port)
            request = post("/hot", b"x" * 20)
            writer.write(request[:-10])
            for at in range(-10, 0):
                await asyncio.sleep(0.06)
                writer.write(request[at : at + 1 or None])
            assert (await read_response(reader))[0] == 200
            writer.write(request[:-1])
            assert (await read_response(reader))[0] == 408
            writer.close()

    run(main(), loop)


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(loop: str) -> None:
    async def main() -> None:
        later = Later()
        async with serve({HOT: later}, limits=Limits(idle_timeout_s=0.15)) as server:
            silent, silent_writer = await connect(server.port)
            reader, writer = await connect(server.port)
            writer.write(post())
            exchange = await later.take()
            assert await silent.read() == b""
            await asyncio.sleep(0.3)
            exchange.respond(200, b"late")
            assert (await read_response(reader))[2] == b"late"
            assert await reader.read() == b""
            await until(lambda: not server.server_state.connections)
            silent_writer.close()
            writer.close()

    run(main(), loop)


def test_a_client_that_leaves_is_noticed_once_and_answering_it_is_harmless(loop: str) -> None:
    async def main() -> None:
        later = Later()
        async with serve({HOT: later}) as server:
            for number in range(1, 4):
                _, writer = await connect(server.port)
                writer.write(post())
                exchange = await later.take(number)
                left: list[int] = []
                exchange.on_close = lambda left=left: left.append(1)
                if number > 1:
                    exchange.start_stream()
                    assert exchange.send(b"begun")
                if number == 3:
                    writer.transport.abort()
                else:
                    writer.close()
                await until(lambda exchange=exchange: exchange.closed)
                if number > 1:
                    assert exchange.send(b"more") is False
                    exchange.end()
                else:
                    exchange.respond(200, b"x")
                    exchange.start_stream()
                    assert exchange.send(b"more") is False
                await asyncio.sleep(0.01)
                assert left == [1]
            await until(lambda: not server.server_state.connections)

    run(main(), loop)


def test_on_close_is_not_called_after_a_complete_answer(loop: str) -> None:
    async def main() -> None:
        later = Later()
        async with serve({HOT: later}) as server:
            reader, writer = await connect(server.port)
            writer.write(post())
            exchange = await later.take()
            left: list[int] = []
            exchange.on_close = lambda: left.append(1)
            exchange.respond(200, b"x")
            await read_response(reader)
            writer.close()
            await until(lambda: not server.server_state.connections)
            assert left == []
            assert not exchange.closed

    run(main(), loop)


def narrow_client(port: int) -> socket.socket:
    """A connection whose receive buffer is small and that nobody reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    return sock


def test_a_slow_reader_of_a_stream_is_cut_off_and_the_writer_goes_on(loop: str) -> None:
    async def main() -> None:
        later = Later()
        async with serve({HOT: later}, limits=Limits(max_buffered_bytes=1_000_000)) as server:
            with narrow_client(server.port) as sock:
                sock.sendall(post())
                exchange = await later.take()
                left: list[int] = []
                exchange.on_close = lambda: left.append(1)
                exchange.start_stream()
                sent = 0
                while exchange.send(b"x" * 50_000):
                    sent += 50_000
                    await asyncio.sleep(0)
                    assert sent < 20_000_000
                assert sent >= 1_000_000
                assert exchange.closed
                assert left == [1]
                assert exchange.send(b"y") is False
                exchange.end()
                await until(lambda: not server.server_state.connections)

    run(main(), loop)


def test_an_answer_that_nobody_reads_does_not_stay_for_ever(loop: str) -> None:
    async def main() -> None:
        def large(exchange: Exchange) -> None:
            exchange.respond(200, b"x" * 20_000_000)

        limits = Limits(write_timeout_s=0.3, idle_timeout_s=60)
        async with serve({HOT: large}, limits=limits) as server:
            for extra in ((), ("Connection: close",)):
                with narrow_client(server.port) as sock:
                    sock.sendall(post("/hot", b"", *extra))
                    await asyncio.sleep(0.1)
                    assert server.server_state.connections
                    await until(lambda: not server.server_state.connections)

    run(main(), loop)


def test_a_large_answer_reaches_a_slow_reader_whole(loop: str) -> None:
    async def main() -> None:
        body = bytes(range(256)) * 40_000

        def large(exchange: Exchange) -> None:
            exchange.respond(200, body)

        async with serve({HOT: large}, limits=Limits(max_buffered_bytes=1000)) as server:
            reader, writer = await connect(server.port)
            writer.write(post() + post())
            await asyncio.sleep(0.1)
            for _ in range(2):
                assert (await read_response(reader))[2] == body
            writer.close()

    run(main(), loop)


def test_a_client_that_reads_nothing_is_not_served_further(loop: str) -> None:
    async def main() -> None:
        served: list[int] = []

        def large(exchange: Exchange) -> None:
            served.append(1)
            exchange.respond(200, b"x" * 500_000)

        async with serve({HOT: large}) as server:
            reader, writer = await connect(server.port)
            writer.write(post() * 1000)
            await asyncio.sleep(0.1)
            assert len(served) < 50
            for _ in range(200):
                assert len((await read_response(reader))[2]) == 500_000
            assert len(served) < 300
            writer.close()

    run(main(), loop)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_graceful_stop_waits_for_the_answer(loop: str, streamed: bool) -> None:
    async def main() -> None:
        later = Later()
        server = configure({HOT: later})
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await connect(port)
        idle_reader, idle_writer = await connect(port)
        half_reader, half_writer = await connect(port)
        half_writer.write(post()[:20])
        writer.write(post() + post())
        exchange = await later.take()
        if streamed:
            exchange.start_stream()
        server.should_exit = True
        assert await idle_reader.read() == b""
        assert await half_reader.read() == b""
        await asyncio.sleep(0.3)
        assert not task.done()
        if streamed:
            exchange.send(b"whole")
            exchange.end()
        else:
            exchange.respond(200, b"whole")
        status, head, body = await read_response(reader)
        assert (status, body) == (200, b"whole")
        assert streamed or b"connection: close\r\n" in head
        assert await reader.read() == b""
        await task
        assert len(later.exchanges) == 1
        for each in (writer, idle_writer, half_writer):
            each.close()

    run(main(), loop)


def test_a_body_under_way_is_finished_during_a_graceful_stop(loop: str) -> None:
    async def main() -> None:
        server = configure({HOT: answer})
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        reader, writer = await connect(server.servers[0].sockets[0].getsockname()[1])
        request = post("/hot", b"x" * 1000)
        writer.write(request[:-500])
        await asyncio.sleep(0.05)
        server.should_exit = True
        await asyncio.sleep(0.2)
        writer.write(request[-500:])
        status, head, _ = await read_response(reader)
        assert status == 200
        assert b"connection: close\r\n" in head
        await task
        writer.close()

    run(main(), loop)


def test_requests_leave_nothing_behind(loop: str) -> None:
    """Answered requests are freed by reference counts alone, without the cycle collector."""

    async def main() -> None:
        async with serve({HOT: answer}) as server:
            reader, writer = await connect(server.port)

            async def once() -> None:
                writer.write(post("/hot", b"body"))
                await read_response(reader)

            await once()
            gc.collect()
            gc.disable()
            try:
                before = sum(type(o) is Exchange for o in gc.get_objects())
                for _ in range(50):
                    await once()
                assert sum(type(o) is Exchange for o in gc.get_objects()) <= before
            finally:
                gc.enable()
            writer.close()

    run(main(), loop)


def test_both_loops_are_what_they_say(loop: str) -> None:
    async def main() -> None:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop) == (loop == "uvloop")

    run(main(), loop)
