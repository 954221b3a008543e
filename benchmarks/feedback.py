"""How long ``POST /feedback`` takes: on what this gateway has recorded lately, and on what only
the database knows.

An open loop of the given rate over kept-alive connections; a request's time counts from the
moment it was due. The second case runs against the same gateway started again, which remembers
nothing: each target is looked up, many in one query.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from processes import Gateway, Mock, end, exit_on_sigterm
from report import machine, table

METRICS = """
[metrics.solved]
type = "boolean"
optimize = "max"
level = "inference"
[metrics.rating]
type = "float"
optimize = "max"
level = "episode"
"""
BARS_MS = {"recorded lately": 10.0, "in the database": 60.0}
CONNECTIONS = 32


class Connection:
    """One kept-alive connection that asks one thing at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(content)}\r\n\r\n"
        self.writer.write(head.encode() + content)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.split("content-length:")[1].split("\r\n")[0])
        text = await self.reader.readexactly(length)
        if not answer.startswith("http/1.1 200"):
            raise SystemExit(f"benchmarks: {path} was refused: {text.decode()}")
        return dict(json.loads(text))


async def connected(gateway: Gateway, count: int) -> asyncio.Queue[Connection]:
    address = urlsplit(gateway.url)
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(count):
        free.put_nowait(Connection(*await asyncio.open_connection(address.hostname, address.port)))
    return free


@dataclass(frozen=True, slots=True)
class Target:
    inference_id: str
    episode_id: str


async def record(free: asyncio.Queue[Connection]) -> Target:
    body = {"function_name": "bench", "input": {"messages": [{"role": "user", "content": "hi"}]}}
    connection = await free.get()
    answer = await connection.post("/inference", body)
    free.put_nowait(connection)
    return Target(answer["inference_id"], answer["episode_id"])


async def give(free: asyncio.Queue[Connection], target: Target, number: int) -> None:
    about: dict[str, Any] = {"metric_name": "solved", "inference_id": target.inference_id}
    about["value"] = True
    if number % 4 == 3:
        about = {"metric_name": "rating", "episode_id": target.episode_id, "value": 0.5}
    connection = await free.get()
    await connection.post("/feedback", about)
    free.put_nowait(connection)


async def at_rate(
    rate: float, seconds: float, call: Callable[[int], Awaitable[None]]
) -> list[float]:
    """Milliseconds from when each call was due to its end."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    tasks = []
    began = loop.time()

    async def timed(due: float, number: int) -> None:
        await call(number)
        times.append((loop.time() - due) * 1000)

    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(due - loop.time(), 0.0))
        tasks.append(asyncio.create_task(timed(due, number)))
    await asyncio.gather(*tasks)
    return sorted(times)


async def lately(gateway: Gateway, options: argparse.Namespace) -> tuple[list[Target], list[float]]:
    """Feedback on targets among the last thousand, while inferences go on at the same rate."""
    free = await connected(gateway, CONNECTIONS)
    targets = list(await asyncio.gather(*(record(free) for _ in range(options.targets))))

    async def call(number: int) -> None:
        targets.append(await record(free))

    recording = asyncio.create_task(at_rate(options.rate, options.seconds, call))
    times = await at_rate(
        options.rate,
        options.seconds,
        lambda number: give(free, random.choice(targets[-1000:]), number),
    )
    await recording
    return targets, times


async def others(
    gateway: Gateway, targets: Sequence[Target], options: argparse.Namespace
) -> list[float]:
    free = await connected(gateway, CONNECTIONS)
    # The first query of a worker loads the database's client.
    await asyncio.gather(*(give(free, targets[number], number) for number in range(CONNECTIONS)))
    return await at_rate(
        options.rate,
        options.seconds,
        lambda number: give(free, random.choice(targets), number),
    )


def row(case: str, times: Sequence[float]) -> tuple[list[str], bool]:
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    met = p99 <= BARS_MS[case]
    cells = [case, f"{len(times):,}", f"{p50:.2f}", f"{p99:.2f}", f"{BARS_MS[case]:g}"]
    return [*cells, "met" if met else "MISSED"], met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="feedback a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each case")
    parser.add_argument("--targets", type=int, default=5000, help="inferences recorded before")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    exit_on_sigterm()
    with Mock() as mock, Gateway(mock, workers=options.workers, extra=METRICS) as gateway:
        targets, recent = asyncio.run(lately(gateway, options))
        gateway.wait_for_rows(len(targets), 120.0)
        end(gateway.process)
        gateway.start()
        gateway.wait()
        stored = asyncio.run(others(gateway, targets, options))
    rows = [row("recorded lately", recent), row("in the database", stored)]
    heads = ["POST /feedback, target", "requests", "p50 ms", "p99 ms", "bar (p99)", ""]
    print(machine())
    print(table(f"{options.rate:g}/s", heads, [cells for cells, _ in rows]))
    return 0 if all(met for _, met in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
