"""Bodies of many datapoints: the two ways of reading them, and who runs meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.datapoints import chat
from tensorzero.gateway.datasets import body as bodies
from tensorzero.gateway.datasets.body import SentDatapoints
from tensorzero.gateway.turns import Turns
from tensorzero.types.errors import JsonRequest


def read(body: bytes) -> list[Any] | None:
    """The elements with their paths, ``None`` for a refusal."""

    def parse(value: Any, path: str) -> tuple[Any, str]:
        return value, path

    async def run() -> list[Any]:
        sent = await SentDatapoints.read(body, parse, Turns())
        found = list(sent)
        assert len(found) == len(sent)
        assert found == list(sent)
        return found

    try:
        return asyncio.run(run())
    except JsonRequest:
        return None


@pytest.mark.parametrize(
    "body",
    [
        b'{"datapoints":[{"a":1},{"b":[2]},"c",null,4.5]}',
        b' { "x" : {"datapoints":1} , "datapoints" : [ ] , "y" : "z" } ',
        b'{"datapoints":[1],"datapoints":[2,3]}',
        '{"datapoints":["\\u00e9 é 🙂","\\u0000"]}'.encode(),
        b'{"datapoints":{}}',
        b'{"datapoints":null}',
        b'{"data":[]}',
        b"[]",
        b"",
        b'{"datapoints":[1]',
        b'{"datapoints":[1]} x',
        b'{"datapoints":[NaN]}',
        b'{"datapoints":[01]}',
        b'{"datapoints":["\xff"]}',
        b'{"datapoints":["\\ud800"]}',
        b'{"datapoints":["\n"]}',
        b'{"datapoints":[' + b"[" * 200 + b"]" * 200 + b"]}",
        b'{"datapoints":[' + b"[" * 5000 + b"]" * 5000 + b"]}",
    ],
)
def test_a_large_body_is_read_as_a_small_one(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    small = read(body)
    monkeypatch.setattr(bodies, "SPLIT_BYTES", 0)
    assert read(body) == small
    if small is not None:
        assert [path for _, path in small] == [f"datapoints[{n}]" for n in range(len(small))]


def test_others_run_while_a_large_body_is_read() -> None:
    datapoints = [chat(tags={"pad": "x" * 200}) for _ in range(60_000)]
    body = json.dumps({"datapoints": datapoints}).encode()

    async def run() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await SentDatapoints.read(body, lambda value, path: value, Turns())
        task.cancel()
        return turns

    assert asyncio.run(run()) > 3
