"""Streams: what is added to the first token, the cost of a chunk, many at once."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

from loads import Result
from processes import Gateway, Mock, Nginx, cpu_seconds, memory, wait_until_quiet
from report import median, number, ratio, say, table
from targets import Options, Target, check_rows, gateway_target, quiet

CHUNKS = 50
CHUNK_BYTES = 300
STREAM_RATE = 200
OPEN_AT_ONCE = 2000
DIRECT = "straight to the mock"


def streams(options: Options) -> None:
    """First token at 200 streams a second, processor time of a chunk, 2,000 streams at once."""
    _first_token(options)
    _many(options)


def _first_token(options: Options) -> None:
    with ExitStack() as stack:
        mock = stack.enter_context(streaming_mock())
        targets = []
        if Nginx.program() is not None:
            nginx = stack.enter_context(Nginx(mock, buffering=False))
            targets.append(Target("nginx", nginx.url, "openai", lambda: nginx.pids, base=True))
        targets.append(gateway_target(stack.enter_context(Gateway(mock))))
        first_token(options, mock, targets, "nginx")


def streaming_mock() -> Mock:
    """A provider whose streams take half a second."""
    return Mock(chunks=CHUNKS, chunk_bytes=CHUNK_BYTES, interval_us=10_000)


def first_token(options: Options, mock: Mock, others: list[Target], base_name: str) -> None:
    """Time to the first token over that straight from the mock; ratios to the base target."""
    targets = [Target(DIRECT, mock.url, "openai", list), *others]
    results: dict[str, list[Result]] = {target.name: [] for target in targets}
    costs: dict[str, list[float]] = {target.name: [] for target in targets}
    answered: dict[str, int] = {}
    for run in range(options.runs):
        for target in targets:
            quiet(options, targets)
            say(f"  {STREAM_RATE} streams/s, run {run + 1}: {target.name}")
            workers = target.gateway.worker_pids if target.gateway else target.pids()
            before = sum(map(cpu_seconds, workers))
            result = target.load(
                options, "stream", rate=STREAM_RATE, seconds=options.seconds, connections=512
            )
            used = sum(map(cpu_seconds, workers)) - before
            results[target.name].append(result)
            costs[target.name].append(used / max(result.good_total * CHUNKS, 1) * 1e6)
            answered[target.name] = answered.get(target.name, 0) + result.good_total
    rows = []
    direct = median([r.first_chunk("p50") for r in results[DIRECT]])
    base = next((target.name for target in targets if target.base), None)
    added_base = median([r.first_chunk("p50") for r in results[base]]) - direct if base else None
    for target in targets:
        runs = results[target.name]
        added = median([r.first_chunk("p50") for r in runs]) - direct
        rows.append(
            [
                target.name,
                ratio(added, added_base),
                number(added),
                number(median([r.first_chunk("p50") for r in runs])),
                number(median([r.first_chunk("p99") for r in runs])),
                number(median(costs[target.name])) if target.pids() else "-",
                str(sum(r.errors for r in runs)),
            ]
        )
        options.results[f"streams/{target.name}"] = {
            "runs": [r.raw for r in runs],
            "cpu_us_per_chunk": costs[target.name],
        }
    heads = (
        *("what", f"added / {base_name}", "added to first token, p50 µs", "first token p50 µs"),
        *("p99 µs", "CPU of a stream / 50 µs", "errors"),
    )
    title = f"{STREAM_RATE} streams/s of {CHUNKS} chunks of {CHUNK_BYTES} B, one every 10 ms"
    print(table(title, heads, rows))
    print(check_rows(targets, answered), "\n", flush=True)


def _many(options: Options) -> None:
    """Every stream takes ten seconds, so that all are open at once."""
    with ExitStack() as stack:
        mock = stack.enter_context(
            Mock(chunks=CHUNKS, chunk_bytes=CHUNK_BYTES, interval_us=200_000)
        )
        gateway = stack.enter_context(Gateway(mock))
        target = gateway_target(gateway)
        wait_until_quiet(gateway.pids)
        worker = gateway.worker_pids[0]
        idle = memory(worker)
        most = [0.0]
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                most[0] = max(most[0], memory(worker).own)

        say(f"  {OPEN_AT_ONCE:,} streams at once")
        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.monotonic()
        try:
            result = target.load(
                options,
                "stream",
                seconds=30,
                warmup=0,
                connections=OPEN_AT_ONCE,
                requests=OPEN_AT_ONCE,
                timeout_s=60,
            )
        finally:
            over.set()
            watcher.join()
        took = time.monotonic() - started
        row = [
            f"{result.good_total:,}",
            f"{idle.own:.1f}",
            f"{most[0]:.1f}",
            f"{took:.1f}",
            str(result.errors),
        ]
        options.results["streams/many"] = {"idle": idle.own, "most": most[0], "load": result.raw}
        heads = ("streams at once", "worker idle, own MB", "worker at most, own MB", "s", "errors")
        print(table("Many streams in one worker", heads, [row]))
        print(check_rows([target], {target.name: result.good_total}), "\n", flush=True)
