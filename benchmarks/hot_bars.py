"""The bars of the hot path: what ``make bench-bars ARGS=--hot`` adds.

They are read from the sections of the end-to-end benchmark, whose tables are printed on the way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from e2e_costs import cpu, start
from e2e_latency import rates, saturation, sustained
from e2e_memory import memory_growth
from e2e_streams import streams
from report import bar, median, number
from targets import Options

OURS = "gateway, 1 worker, recording on"
NGINX = "nginx, 1 worker"


def hot_bars(options: Options) -> list[list[str]]:
    hot = replace(options, rates=(1000,), shapes=("small",), workers=(1,), requests=100_000)
    for section in (rates, saturation, sustained, cpu, streams, start, memory_growth):
        section(hot)
    return [*_beside_nginx(hot), *_costs(hot), *_streams(hot), *_start(hot), *_memory(hot)]


def _middle(runs: list[dict[str, Any]], percentile: str) -> float:
    return median([run["latency_us"][percentile] for run in runs])


def _beside_nginx(options: Options) -> list[list[str]]:
    rows = []
    for section, percentile, most, what in (
        ("rates/small/1000", "p50", 1.6, "p50 at 1,000/s"),
        ("rates/small/1000", "p99", 2.5, "p99 at 1,000/s"),
        ("single/small", "p99", 2.0, "p99 of one connection alone"),
    ):
        limit = f"≤ {most:g} times nginx's"
        ours = _middle(options.results[f"{section}/{OURS}"], percentile)
        runs = options.results.get(f"{section}/{NGINX}")
        if runs is None:
            rows.append(bar(what, limit, f"{number(ours)} µs, no nginx to compare", False))
            continue
        base = _middle(runs, percentile)
        shown = f"{ours / base:.2f} times ({number(ours)} µs to {number(base)} µs)"
        rows.append(bar(what, limit, shown, ours <= most * base))
    return rows


def _costs(options: Options) -> list[list[str]]:
    high = options.results[f"sustained/{OURS}"]
    held = high["errors"] == 0 and high["throughput"] >= 0.999 * options.sustained_rate
    found = f"{number(high['throughput'])}/s, {high['errors']} errors"
    cost = options.results[f"cpu/small/{OURS}"]
    return [
        bar(
            f"{options.sustained_rate:,}/s for {options.sustained_seconds:g} s",
            "held, no error",
            found,
            held,
        ),
        bar(
            "processor time of a worker, a request",
            "≤ 55 µs",
            f"{cost['worker_us']:.1f} µs",
            cost["worker_us"] <= 55,
        ),
        bar(
            "of shipper and database, at over 5,000/s",
            "≤ 50 µs",
            f"{cost['shipper_us']:.1f} µs at {number(cost['load']['throughput'])}/s",
            cost["shipper_us"] <= 50 and cost["load"]["throughput"] >= 5000,
        ),
    ]


def _streams(options: Options) -> list[list[str]]:
    chunk = median(options.results[f"streams/{OURS}"]["cpu_us_per_chunk"])
    many = options.results["streams/many"]
    good = many["load"]["errors"] == 0
    return [
        bar("processor time of a stream, a chunk", "≤ 20 µs", f"{chunk:.1f} µs", chunk <= 20),
        bar(
            "a worker with 2,000 streams at once",
            "< 150 MB, no error",
            f"{many['most']:.1f} MB, {many['load']['errors']} errors",
            good and many["most"] < 150,
        ),
    ]


def _start(options: Options) -> list[list[str]]:
    rows = []
    for key, most, what in (
        ("on", 3.0, "start to first answer, embedded database"),
        ("off", 0.6, "start to first answer, not recording"),
    ):
        found = median(options.results[f"start/{key}"])
        rows.append(bar(what, f"≤ {most:g} s", f"{found:.2f} s", found <= most))
    return rows


def _memory(options: Options) -> list[list[str]]:
    grown = options.results["memory"]
    first, last = grown["requests"][0], grown["requests"][-1]
    shown = f"{grown['growth']:.3f} times ({grown['own'][-1]:.1f} MB)"
    return [
        bar(
            f"a worker's memory after {last:,} mixed requests, beside that after {first:,}",
            "≤ 1.05 times, all as expected",
            f"{shown}, {grown['errors']} not",
            grown["growth"] <= 1.05 and grown["errors"] == 0,
        )
    ]
