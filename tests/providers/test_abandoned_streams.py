"""Streams that nobody reads to their end: their connection is closed, and the next call works."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from providers import calls
from providers.calls import request
from providers.matrix import ROWS, Wire
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.http import HttpProvider
from tensorzero.providers.registry import make_provider
from tensorzero.types.errors import GatewayError
from tensorzero.types.model import Attempt, ProviderChunk
from tzcore.client import Pool
from upstream.scripted import HANG, Script, ScriptedServer, answer, chunk


@pytest.fixture
def made(row: str, monkeypatch: pytest.MonkeyPatch) -> tuple[HttpProvider, Attempt]:
    """The provider that a row of the matrix calls, and what it is called with."""
    providers: list[Any] = []
    attempts: list[Attempt] = []

    def provide(*given: Any) -> Any:
        providers.append(make_provider(*given))
        return providers[0]

    def attempt(*given: Any) -> Attempt:
        attempts.append(Attempt(*given))
        return attempts[0]

    monkeypatch.setattr(calls, "make_provider", provide)
    monkeypatch.setattr(calls, "Attempt", attempt)
    ask, wire = ROWS[row]
    ask(request(), answer(wire.text)).answered()
    return providers[0], attempts[0]


def begun(wire: Wire) -> Script:
    """The stream's events but for the last, and then nothing."""
    head, *pieces = wire.stream()
    assert isinstance(head, bytes)
    return [head, *pieces[: len(wire.events)], HANG]


@pytest.mark.parametrize("row", ROWS)
def test_a_stream_that_is_given_up(row: str, made: tuple[HttpProvider, Attempt]) -> None:
    old, attempt = made
    wire = ROWS[row][1]

    async def gone(server: ScriptedServer, number: int) -> None:
        while server.given_up < number:  # noqa: ASYNC110  # the server counts, it has no events
            await asyncio.sleep(0.005)

    async def run() -> None:
        async with ScriptedServer(lambda _: scripts.pop(0)) as server:
            vendor = urlsplit(old.url(stream=True)).netloc
            origin = server.url.removesuffix("/v1")
            hosts = dict.fromkeys([*old.context.hosts, vendor], origin)
            pool = Pool(user_agent=b"Test/1", trust_env=False, max_connections=1)
            provider = make_provider(ProviderContext(pool, 20_000, hosts=hosts), old.config)
            given = request(stream=True)

            opened = await provider.stream(given, attempt)  # never begun
            opened.items.close()
            await gone(server, 1)

            opened = await provider.stream(given, attempt)  # left after its first chunk
            assert isinstance(await opened.items.first(), ProviderChunk)
            opened.items.close()
            await gone(server, 2)

            opened = await provider.stream(given, attempt)  # out of time while it waits
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await calls.read(opened.items)
            await gone(server, 3)

            with pytest.raises(GatewayError):
                await provider.stream(given, attempt)
            answered = await provider.infer(request(), attempt)
            assert answered.output
            await pool.aclose()

    head = b"HTTP/1.1 500 no\r\ntransfer-encoding: chunked\r\n\r\n"
    refused = [head + chunk(b"no") + b"0\r\n\r\n"]
    scripts = [begun(wire), begun(wire), begun(wire), refused, answer(wire.text)]
    asyncio.run(asyncio.wait_for(run(), 60))
