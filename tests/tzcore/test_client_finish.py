"""Ending a stream early without losing its connection."""

from __future__ import annotations

import asyncio

from tzcore.client import Pool
from upstream.scripted import HANG, Script, ScriptedServer, stream


def connections(script: Script, linger_s: float, rest_s: float) -> tuple[int, int]:
    """How many connections three streams need that are finished after their first piece, and how
    many of them the client closed."""

    async def run() -> tuple[int, int]:
        async with ScriptedServer.saying(script) as server:
            pool = Pool(user_agent=b"Test/1", trust_env=False)
            target = pool.target(server.url, [])
            for _ in range(3):
                response = await pool.stream(target, b"{}")
                assert await anext(response) == b"first"
                response.finish(linger_s)
                await response.aclose()
                del response
                await asyncio.sleep(rest_s)
            counted = server.connections, server.given_up
            await pool.aclose()
            return counted

    return asyncio.run(asyncio.wait_for(run(), 30))


def test_the_rest_is_dropped_and_the_connection_used_again() -> None:
    assert connections(stream(b"first", end=[0.02, b"0\r\n\r\n"]), 10.0, 0.2) == (1, 0)


def test_a_large_rest_does_not_stay_in_the_socket() -> None:
    rest = b"%x\r\n" % 2**22 + b"x" * 2**22 + b"\r\n0\r\n\r\n"
    assert connections(stream(b"first", end=[0.02, rest]), 10.0, 0.4)[0] == 1


def test_an_answer_without_end_costs_its_connection() -> None:
    assert connections(stream(b"first", end=[HANG]), 0.05, 0.3) == (3, 3)
