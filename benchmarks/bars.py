"""Whether the gateway keeps its bars on this machine: ``make bench-bars``.

Exit status 1 when one is missed. Each is a ratio to nginx in the same run, or a figure that the
kernel counts; the rate alone depends on the machine (two cores are assumed).
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from hot_bars import hot_bars
from loads import Result
from processes import (
    Gateway,
    Mock,
    Nginx,
    exit_on_sigterm,
    memory,
    temporary_folder,
    wait_until_quiet,
)
from report import bar, bars_table, machine, median, number, say
from targets import Options, Target, check_rows, gateway_target, other_work, quiet

RATE_BAR = 5000.0
P99_BAR = 4.0
MEMORY_BAR_MB = 100.0
GROWTH_BAR = 1.05

Row = list[str]


def saturated(options: Options, gateway: Target) -> tuple[list[Row], int]:
    """Answers a second, and whether each of them is in the database."""
    results: list[Result] = []
    for run in range(options.runs):
        quiet(options, [gateway])
        say(f"  saturation, run {run + 1}")
        results.append(gateway.load(options, "small", seconds=options.seconds))
    rate = median([result.throughput for result in results])
    errors = sum(result.errors for result in results)
    rows = [
        bar(
            "saturated rate, one worker, recording on",
            f"≥ {RATE_BAR:,.0f}/s",
            f"{number(rate)}/s",
            rate >= RATE_BAR,
        ),
        bar("errors at that rate", "0", str(errors), errors == 0),
    ]
    return rows, sum(result.good_total for result in results)


def tail(options: Options, nginx: Target | None, gateway: Target) -> tuple[list[Row], int]:
    """p99 at 500 requests a second beside nginx's, runs alternating."""
    targets = [target for target in (nginx, gateway) if target is not None]
    found: dict[str, list[float]] = {target.name: [] for target in targets}
    answered = 0
    for run in range(options.runs):
        for target in targets:
            quiet(options, targets)
            say(f"  500/s, run {run + 1}: {target.name}")
            result = target.load(options, "small", rate=500, seconds=options.seconds)
            found[target.name].append(result.latency("p99"))
            if target is gateway:
                answered += result.good_total
    ours = median(found[gateway.name])
    limit = f"≤ {P99_BAR:g} times nginx's"
    if nginx is None:
        say("nginx is not on PATH (Debian: nginx-light): the bar on p99 cannot be checked")
        return [
            ["MISS", "p99 at 500/s", limit, f"{number(ours)} µs, no nginx to compare"]
        ], answered
    base = median(found[nginx.name])
    shown = f"{ours / base:.2f} times ({number(ours)} µs to {number(base)} µs)"
    return [bar("p99 at 500/s", limit, shown, ours <= P99_BAR * base)], answered


def growth(options: Options, mock: Mock) -> list[Row]:
    """A fresh worker's memory after 50,000 and after 200,000 requests."""
    with Gateway(mock) as running:
        gateway = gateway_target(running)
        answered = 0
        sizes = []
        for until in (50_000, 200_000):
            say(f"  memory, up to {until:,} requests")
            more = until - answered
            result = gateway.load(options, "small", seconds=600, warmup=0, requests=more)
            answered += result.good_total
            wait_until_quiet(running.pids, limit_s=120)
            sizes.append(memory(running.worker_pids[0]))
    return [
        bar(
            f"a worker's memory after {answered:,} requests",
            f"≤ {MEMORY_BAR_MB:g} MB",
            f"{sizes[1].rss:.1f} MB",
            sizes[1].rss <= MEMORY_BAR_MB,
        ),
        bar(
            "the same beside its memory after 50,000, mapped spool aside",
            f"≤ {GROWTH_BAR} times",
            f"{sizes[1].own / sizes[0].own:.3f} times ({sizes[0].own:.1f} MB)",
            sizes[1].own <= GROWTH_BAR * sizes[0].own,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of one measurement")
    parser.add_argument("--runs", type=int, default=3, help="interleaved; medians count")
    parser.add_argument("--hot", action="store_true", help="also those of the hot path (30 min)")
    arguments = parser.parse_args()
    exit_on_sigterm()
    print(machine(), "\n", flush=True)
    with temporary_folder() as folder, ExitStack() as stack:
        options = Options(arguments.seconds, arguments.runs, (500,), ("small",), (1,), 0, folder)
        mock = stack.enter_context(Mock())
        with ExitStack() as pair:
            nginx = None
            if Nginx.program() is not None:
                proxy = pair.enter_context(Nginx(mock))
                nginx = Target("nginx", proxy.url, "openai", lambda: proxy.pids)
            gateway = gateway_target(pair.enter_context(Gateway(mock)))
            rows, answered = tail(options, nginx, gateway)
            more, at_full_rate = saturated(options, gateway)
            kept = check_rows([gateway], {gateway.name: answered + at_full_rate})
        rows += more
        rows.append(bar("answers in the database", "all", kept, "all there" in kept))
        rows += growth(options, mock)
        if arguments.hot:
            rows += hot_bars(options)
    print(bars_table("Bars", rows))
    print(other_work(options))
    return 1 if any(row[0] == "MISS" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
