"""Many hosts, as the URLs of files may name: none is remembered for ever."""

from __future__ import annotations

import asyncio
import gc

from tzcore.client import Origin, Pool
from upstream.scripted import ScriptedServer, answer


def _alive() -> int:
    gc.collect()
    return sum(isinstance(one, Origin) for one in gc.get_objects())


def test_hosts_without_connections_are_forgotten_and_others_stay() -> None:
    async def run() -> None:
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

    asyncio.run(asyncio.wait_for(run(), 30))
