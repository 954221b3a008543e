"""Our gateway beside its peers, from one run: ``make bench-peers``.

Each peer is installed from its package index into an environment of its own below
``benchmarks/.peers`` (kept for the next run) and runs as its makers ship it, without a database:
recording is on for ours, off for theirs. A peer that cannot be installed or started is reported
and left out. Ratios are to the Rust gateway of the ``tensorzero`` wheel.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from e2e_streams import DIRECT, STREAM_RATE, first_token, streaming_mock
from loads import Result
from peer_programs import PEERS, PeerMissing, install, start
from processes import Gateway, Mock, Nginx, exit_on_sigterm, temporary_folder
from report import bar, bars_table, machine, median, number, ratio, say, table
from targets import Options, Target, check_rows, gateway_target, other_work, quiet

REFERENCE = "tensorzero"
RATES = (500, 1000, 2000, 4000)


def _targets(
    stack: ExitStack, options: Options, mock: Mock, names: list[str], *, streams: bool = False
) -> list[Target]:
    targets = []
    if Nginx.program() is None:
        say("nginx is not on PATH (Debian: nginx-light): its row is skipped")
    else:
        nginx = stack.enter_context(Nginx(mock, buffering=not streams))
        targets.append(Target("nginx, bare proxy", nginx.url, "openai", lambda: nginx.pids))
    gateway = stack.enter_context(Gateway(mock))
    targets.append(gateway_target(gateway))
    for name in names:
        try:
            say(f"  {name}: installing, starting")
            install(PEERS[name])
            running = stack.enter_context(start(PEERS[name], mock, options.folder))
        except PeerMissing as error:
            print(f"{name} is left out: {error}\n", flush=True)
            continue
        label = f"{name} {running.version}"
        targets.append(
            Target(
                label,
                running.url,
                "openai",
                running.pids,
                base=name == REFERENCE,
                headers=running.headers,
                model=PEERS[name].model,
            )
        )
    return targets


def _middle(results: list[Result], what: str) -> float:
    if not results:
        return float("nan")
    if what == "throughput":
        return median([result.throughput for result in results])
    return median([result.latency(what) for result in results])


def full_load(
    options: Options, targets: list[Target], answered: dict[str, int]
) -> dict[str, float]:
    """64 connections always busy, and one alone; returns the saturated rates."""
    full: dict[str, list[Result]] = {target.name: [] for target in targets}
    alone: dict[str, list[Result]] = {target.name: [] for target in targets}
    for run in range(options.runs):
        for target in targets:
            for connections, results in ((64, full), (1, alone)):
                quiet(options, targets)
                say(f"  {connections} connections, run {run + 1}: {target.name}")
                result = target.load(
                    options, "small", seconds=options.seconds, connections=connections
                )
                results[target.name].append(result)
                answered[target.name] = answered.get(target.name, 0) + result.good_total
    base = next((target.name for target in targets if target.base), None)
    rows = []
    for target in targets:
        name = target.name
        rate, single = _middle(full[name], "throughput"), _middle(alone[name], "p99")
        rows.append(
            [
                name,
                ratio(rate, _middle(full[base], "throughput") if base else None),
                ratio(single, _middle(alone[base], "p99") if base else None),
                number(rate),
                number(_middle(alone[name], "p50")),
                number(single),
                str(sum(result.errors for result in full[name] + alone[name])),
            ]
        )
        options.results[f"full/{name}"] = [result.raw for result in full[name]]
        options.results[f"alone/{name}"] = [result.raw for result in alone[name]]
    heads = (
        *("what", "rate / tensorzero", "1 conn. p99 / tensorzero", "answers/s"),
        *("1 conn. p50 µs", "1 conn. p99 µs", "errors"),
    )
    print(table("64 connections always busy, and one alone", heads, rows), flush=True)
    return {target.name: _middle(full[target.name], "throughput") for target in targets}


def latency(
    options: Options, targets: list[Target], rates: dict[str, float], answered: dict[str, int]
) -> None:
    """Fixed arrival rates; a target is left out where it cannot keep up."""
    rows = []
    for rate in options.rates:
        able = [target for target in targets if rates[target.name] > 1.2 * rate]
        results: dict[str, list[Result]] = {target.name: [] for target in able}
        for run in range(options.runs):
            for target in able:
                quiet(options, targets)
                say(f"  {rate:,}/s, run {run + 1}: {target.name}")
                result = target.load(options, "small", rate=rate, seconds=options.seconds)
                results[target.name].append(result)
                answered[target.name] = answered.get(target.name, 0) + result.good_total
        base = next((target.name for target in able if target.base), None)
        for target in targets:
            runs = results.get(target.name)
            if not runs:
                rows.append([target.name, f"{rate:,}/s", "-", "-", "cannot keep up", "-", "-"])
                continue
            p50, p99 = _middle(runs, "p50"), _middle(runs, "p99")
            rows.append(
                [
                    target.name,
                    f"{rate:,}/s",
                    ratio(p50, _middle(results[base], "p50") if base else None),
                    ratio(p99, _middle(results[base], "p99") if base else None),
                    number(p50),
                    number(p99),
                    str(sum(result.errors for result in runs)),
                ]
            )
            options.results[f"rate/{rate}/{target.name}"] = [result.raw for result in runs]
    heads = ("what", "rate", "p50 / tensorzero", "p99 / tensorzero", "p50 µs", "p99 µs", "errors")
    print(table("Latency from the scheduled send time", heads, rows), flush=True)


def _bars(options: Options, reference: str) -> list[list[str]]:
    """Ours at least twice as fast, at every rate and from the first token on."""

    def runs(section: str, name: str) -> list[dict[str, Any]]:
        for key, found in options.results.items():
            if key.startswith(f"{section}/{name}"):
                return list(found["runs"] if isinstance(found, dict) else found)
        return []

    def middle(section: str, name: str, *path: str) -> float:
        values = []
        for run in runs(section, name):
            value: Any = run
            for key in path:
                value = value[key]
            values.append(float(value))
        return median(values)

    def compared(what: str, most: float, ours: float, theirs: float) -> list[str]:
        limit = f"≤ {most:g} times"
        if math.isnan(theirs):
            return bar(
                what, limit, f"{number(ours)} µs, theirs cannot keep up", not math.isnan(ours)
            )
        shown = f"{ours / theirs:.2f} times ({number(ours)} µs to {number(theirs)} µs)"
        return bar(what, limit, shown, ours <= most * theirs)

    ours, theirs = (middle("full", name, "throughput") for name in ("gateway", reference))
    if math.isnan(theirs):
        return [bar("everything", "beside the reference", "it is not there", False)]
    shown = f"{ours / theirs:.2f} times ({number(ours)}/s to {number(theirs)}/s)"
    rows = [bar("saturated rate", "≥ 2 times", shown, ours >= 2 * theirs)]
    for rate in options.rates:
        for percentile in ("p50", "p99"):
            pair = [
                middle(f"rate/{rate}", name, "latency_us", percentile)
                for name in ("gateway", reference)
            ]
            rows.append(compared(f"{percentile} at {rate:,}/s", 0.5, *pair))
    direct = middle("streams", DIRECT, "first_chunk_us", "p50")
    pair = [middle("streams", name, "first_chunk_us", "p50") for name in ("gateway", reference)]
    # Below a microsecond a difference of two medians is noise.
    pair = [first if math.isnan(first) else max(1.0, first - direct) for first in pair]
    rows.append(compared("added to the first token, p50", 0.5, *pair))
    return rows


def _keeps_up(name: str, saturated: dict[str, float]) -> bool:
    """Whether a peer can be asked for 200 streams of 50 chunks a second at all."""
    return any(
        label.startswith(f"{name} ") and rate > 5 * STREAM_RATE for label, rate in saturated.items()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one measurement")
    parser.add_argument("--runs", type=int, default=3, help="interleaved; medians are shown")
    parser.add_argument("--rates", type=int, nargs="*", default=RATES, metavar="R")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every run there")
    arguments = parser.parse_args()
    exit_on_sigterm()
    print(machine(), "\n", flush=True)
    with temporary_folder() as folder, ExitStack() as stack:
        rates = tuple(arguments.rates)
        options = Options(arguments.seconds, arguments.runs, rates, ("small",), (1,), 0, folder)
        mock = stack.enter_context(Mock())
        targets = _targets(stack, options, mock, arguments.peers)
        answered: dict[str, int] = {}
        saturated = full_load(options, targets, answered)
        latency(options, targets, saturated, answered)
        print(check_rows(targets, answered), "\n", flush=True)
        able = [name for name in arguments.peers if name == REFERENCE or _keeps_up(name, saturated)]
    with temporary_folder() as folder, ExitStack() as stack:
        options.folder = folder
        streaming = stack.enter_context(streaming_mock())
        others = _targets(stack, options, streaming, able, streams=True)
        first_token(options, streaming, others, REFERENCE)
        print(bars_table("Bars: ours beside the Rust gateway", _bars(options, REFERENCE)))
        print(other_work(options), "\n", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(options.results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
