"""Whether a worker's memory stays what it is, whatever it is asked for."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loads import Result, body, load
from processes import Gateway, Mock, memory, wait_until_quiet
from report import say, table
from targets import Options

ROUND = 50_000
"""So many requests at a time, all kinds beside each other."""
PACED = {"chunks": 20, "chunk_bytes": 300, "interval_us": 2000}
"""Streams that take 40 ms: time enough to leave them."""
PROVIDERS = {
    "bench": "v1",
    "server_error": "status-500/v1",
    "client_error": "status-400/v1",
    "garbage": "garbage/v1",
    "cut": "cut/v1",
}
"""By function, where its model is below the mock."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests of one kind; ``share`` of a hundred, ``leave`` after so many bytes."""

    name: str
    share: int
    body: bytes
    expect: int = 200
    stream: bool = False
    leave: int | None = None
    openai: bool = False


def _asking(function: str, **more: Any) -> bytes:
    request = json.loads(body("native", "small"))
    return json.dumps({**request, "function_name": function, **more}).encode()


def kinds() -> tuple[Kind, ...]:
    openai = body("openai", "small", "tensorzero::function_name::bench")
    return (
        Kind("answers", 45, _asking("bench")),
        Kind("answers to OpenAI's clients", 5, openai, openai=True),
        Kind("streams", 15, _asking("bench", stream=True), stream=True),
        Kind("streams of 40 ms", 5, _asking("paced", stream=True), stream=True),
        Kind("the provider answers 500", 4, _asking("server_error"), 502),
        Kind("the provider answers 400", 4, _asking("client_error"), 502),
        Kind("the provider's JSON is broken", 3, _asking("garbage"), 502),
        Kind("the provider breaks off", 2, _asking("cut"), 502),
        Kind("the provider breaks a stream off", 2, _asking("cut", stream=True)),
        Kind("requests that are no JSON", 3, _asking("bench")[:-1], 400),
        Kind("requests for what is not there", 2, _asking("absent"), 404),
        Kind("clients that leave at once", 5, _asking("paced"), leave=0),
        Kind("clients that leave a stream", 5, _asking("paced", stream=True), leave=1500),
    )


def _config(mock: Mock, paced: Mock) -> str:
    places = {name: f"{mock.port}/{path}" for name, path in PROVIDERS.items()}
    places["paced"] = f"{paced.port}/v1"
    return "".join(
        f"""
[functions.{name}]
type = "chat"
[functions.{name}.variants.plain]
type = "chat_completion"
model = "{name}"
[models.{name}]
routing = ["mock"]
[models.{name}.providers.mock]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "http://127.0.0.1:{place}"
api_key_location = "none"
"""
        for name, place in places.items()
    )


def _round(gateway: Gateway, folder: Path, requests: int) -> list[tuple[Kind, int, Result]]:
    """One round: each kind its share, by a load generator of its own."""

    def send(kind: Kind) -> tuple[Kind, int, Result]:
        path = folder / f"{kind.name.replace(' ', '-')}.json"
        path.write_bytes(kind.body)
        url = gateway.url
        if kind.openai:
            url = url.removesuffix("inference") + "openai/v1/chat/completions"
        share = max(1, requests * kind.share // 100)
        how: dict[str, Any] = {"expect": kind.expect, "stream": kind.stream, "leave": kind.leave}
        result = load(
            *(url, path),
            **how,
            seconds=600,
            warmup=0,
            requests=share,
            connections=64 if kind.leave or kind.stream else 8,
            timeout_s=60,
        )
        return kind, share, result

    with ThreadPoolExecutor(len(kinds())) as pool:
        return list(pool.map(send, kinds()))


def memory_growth(options: Options) -> None:
    """Memory after 100,000 and a million mixed requests (``--memory-requests``)."""
    asked: dict[str, int] = {}
    good: dict[str, int] = {}
    with ExitStack() as stack:
        mock, paced = stack.enter_context(Mock()), stack.enter_context(Mock(**PACED))
        config = _config(mock, paced)
        gateway = stack.enter_context(Gateway(None, config_text=config))
        sizes = []
        rows = []
        sent = 0
        for until in (0, *options.memory_requests):
            while sent < until:
                say(f"  {sent:,} of {until:,} requests")
                for kind, share, result in _round(
                    gateway, options.folder, min(ROUND, until - sent)
                ):
                    sent += share
                    asked[kind.name] = asked.get(kind.name, 0) + share
                    good[kind.name] = good.get(kind.name, 0) + result.good_total
            wait_until_quiet(gateway.pids, limit_s=120)
            rows.append([f"after {sent:,}" if sent else "idle", *_cells(gateway)])
            sizes.append(memory(gateway.worker_pids[0]).own)
        # A client that leaves does not take its inference along.
        recorded = sum(good[kind.name] for kind in kinds() if kind.expect == 200)
        found, took = gateway.wait_for_rows(recorded, 60)
    growth = sizes[-1] / sizes[1]
    failed = sum(asked.values()) - sum(good.values())
    options.results["memory"] = {
        "requests": list(options.memory_requests),
        "own": sizes,
        "growth": growth,
        "errors": failed,
    }
    heads = [
        "requests",
        *(
            f"{who} {what} MB"
            for who in ("worker", "shipper", "supervisor")
            for what in ("RSS", "PSS", "own")
        ),
    ]
    print(table("Memory, one worker, recording on", heads, rows))
    each = [[name, f"{asked[name]:,}", f"{asked[name] - good[name]:,}"] for name in asked]
    print(table("Requests", ("what", "sent", "not as expected"), each))
    first, last = options.memory_requests[0], options.memory_requests[-1]
    print(
        f"worker after {last:,} requests / after {first:,}, mapped spool aside: {growth:.3f}x\n"
        f"{recorded:,} answered or left alone, {found:,} in the database {took:.1f} s after the "
        f"end: {'all there' if found == recorded else f'{found - recorded:+,}'}\n",
        flush=True,
    )


def _cells(gateway: Gateway) -> list[str]:
    cells = []
    for pids in (gateway.worker_pids, gateway.shipper_pids, [gateway.process.pid]):
        sizes = [memory(pid) for pid in pids]
        cells += [
            f"{sum(s.rss for s in sizes):.1f}",
            f"{sum(s.pss for s in sizes):.1f}",
            f"{sum(s.own for s in sizes):.1f}",
        ]
    return cells
