"""Many hosts, as the URLs of files may name: none is remembered for ever, none stops the loop."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading

import pytest
from tzcore_http_support import run

from tzcore.client import ConnectTimeout, Origin, Pool
from upstream.scripted import ScriptedServer, answer


def _alive() -> int:
    gc.collect()
    return sum(isinstance(one, Origin) for one in gc.get_objects())


def test_hosts_without_connections_are_forgotten_and_others_stay() -> None:
    async def main() -> None:
        moved = answer(b"", "307 Temporary Redirect", "location: /b")
        async with ScriptedServer.saying(moved, answer({})) as server:
            pool = Pool(user_agent=b"Test/1", trust_env=False)
            target = pool.target(server.url, [("authorization", "Bearer key")])
            for number in range(5000):
                pool.target(f"http://host{number}.example/", [])
            assert _alive() < 1100
            # A target outlives its place in the list: redirects within its host keep the key.
            await pool.request(target, b"{}")
            await pool.request(target, b"{}")
            assert server.connections <= 2
            assert {seen.headers.get("authorization") for seen in server.seen} == {"Bearer key"}
            await pool.aclose()

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_slow_resolver_does_not_stop_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are resolved beside the event loop, within the time limit of the request."""
    released = threading.Event()

    def slow(*_: object, **__: object) -> list[object]:
        released.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    async def main() -> None:
        pool = Pool(user_agent=b"", trust_env=False)
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        asking = asyncio.ensure_future(
            pool.request(pool.origin("http://slow.example/"), b"", timeout_s=0.2)
        )
        turns = 0
        while not asking.done():
            await asyncio.sleep(0.01)
            turns += 1
        released.set()
        monkeypatch.undo()
        assert turns > 3
        with pytest.raises(ConnectTimeout):
            await asking
        await pool.aclose()

    run(main(), "asyncio")
