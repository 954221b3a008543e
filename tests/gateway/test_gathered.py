"""Lookups that come together are one query."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from tensorzero.gateway.gathered import AT_MOST, Gathered


def test_many_questions_are_few_calls() -> None:
    calls: list[list[int]] = []
    at_once = 0

    async def fetch(keys: Sequence[int]) -> Mapping[int, str]:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        calls.append(list(keys))
        await asyncio.sleep(0)
        at_once -= 1
        return {key: str(key) for key in keys if key % 2}

    async def main() -> None:
        gathered = Gathered(fetch)
        keys = [*range(200), *range(100)]
        found = await asyncio.gather(*map(gathered.get, keys))
        assert found == [str(key) if key % 2 else None for key in keys]
        assert len(calls) == 1
        # An answer is for those who asked before it: the next one asks anew.
        assert await gathered.get(1) == "1"
        assert calls[1:] == [[1]]
        await asyncio.gather(*map(gathered.get, range(2 * AT_MOST + 1)))
        assert [len(call) for call in calls[2:]] == [AT_MOST, AT_MOST, 1]

    asyncio.run(main())


def test_an_error_is_everybodys_and_nobodys_afterwards() -> None:
    broken = True

    async def fetch(keys: Sequence[str]) -> Mapping[str, bool]:
        if broken:
            raise ConnectionError("away")
        return dict.fromkeys(keys, True)

    async def main() -> None:
        nonlocal broken
        gathered = Gathered(fetch)
        results = await asyncio.gather(*map(gathered.get, "abc"), return_exceptions=True)
        assert [type(result) for result in results] == [ConnectionError] * 3
        with pytest.raises(ConnectionError):
            await gathered.get("a")
        broken = False
        assert await gathered.get("a") is True

    asyncio.run(main())


def test_a_caller_that_leaves_takes_nobodys_answer() -> None:
    begun, free = asyncio.Event(), asyncio.Event()

    async def fetch(keys: Sequence[str]) -> Mapping[str, int]:
        begun.set()
        await free.wait()
        return {"a": 1}

    async def main() -> None:
        gathered = Gathered(fetch)
        leaves = asyncio.create_task(gathered.get("a"))
        await asyncio.sleep(0)
        stays = asyncio.create_task(gathered.get("a"))
        await begun.wait()
        leaves.cancel()
        free.set()
        assert await stays == 1
        assert leaves.cancelled()

    asyncio.run(main())
