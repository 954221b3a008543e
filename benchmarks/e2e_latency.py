"""Latency at fixed rates, and the rate that a target can keep up with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from loads import Result, Shape
from processes import Gateway, Mock
from report import median, number, ratio, say, table
from targets import Options, Target, check_rows, gateway_target, quiet, shown, start_targets

CONNECTIONS = 64


def rates(options: Options) -> None:
    """p50 and p99 at fixed arrival rates."""
    for shape in options.shapes:
        with ExitStack() as stack:
            mock = stack.enter_context(Mock())
            targets = start_targets(stack, options, mock, direct=True)
            answered: dict[str, int] = {}
            rows = []
            for rate in options.rates:
                results: dict[str, list[Result]] = {target.name: [] for target in targets}
                for run in range(options.runs):
                    for target in targets:
                        quiet(options, targets)
                        say(f"  {shape}, {rate:,}/s, run {run + 1}: {target.name}")
                        result = target.load(options, shape, rate=rate, seconds=options.seconds)
                        results[target.name].append(result)
                        answered[target.name] = answered.get(target.name, 0) + result.good_total
                rows += _rate_rows(options, shape, rate, targets, results)
            heads = ("what", "rate", "p50 / nginx", "p99 / nginx", "p50 µs", "p99 µs", "p99.9 µs")
            print(table(f"Latency, {shown(shape)}", (*heads, "errors", "late p99"), rows))
            print(check_rows(targets, answered), "\n", flush=True)


def _rate_rows(
    options: Options,
    shape: Shape,
    rate: int,
    targets: Sequence[Target],
    results: dict[str, list[Result]],
) -> list[list[str]]:
    def middle(name: str, percentile: str) -> float:
        return median([result.latency(percentile) for result in results[name]])

    base = next((target.name for target in targets if target.base), None)
    rows = []
    for target in targets:
        p50, p99 = middle(target.name, "p50"), middle(target.name, "p99")
        errors = sum(result.errors for result in results[target.name])
        late = median([result.raw["send_lag_us"]["p99"] for result in results[target.name]])
        options.results[f"rates/{shape}/{rate}/{target.name}"] = [
            result.raw for result in results[target.name]
        ]
        rows.append(
            [
                target.name,
                f"{rate:,}/s",
                ratio(p50, middle(base, "p50") if base else None),
                ratio(p99, middle(base, "p99") if base else None),
                number(p50),
                number(p99),
                number(middle(target.name, "p99_9")),
                str(errors),
                number(late),
            ]
        )
    return rows


def saturation(options: Options) -> None:
    """Answers a second with 64 connections that are always busy, and one connection alone."""
    for shape in options.shapes:
        with ExitStack() as stack:
            mock = stack.enter_context(Mock())
            targets = start_targets(stack, options, mock, direct=True)
            answered: dict[str, int] = {}
            full: dict[str, list[Result]] = {target.name: [] for target in targets}
            alone: dict[str, list[Result]] = {target.name: [] for target in targets}
            for run in range(options.runs):
                for target in targets:
                    for connections, results in ((CONNECTIONS, full), (1, alone)):
                        quiet(options, targets)
                        say(f"  {shape}, {connections} connections, run {run + 1}: {target.name}")
                        result = target.load(
                            options, shape, seconds=options.seconds, connections=connections
                        )
                        results[target.name].append(result)
                        answered[target.name] = answered.get(target.name, 0) + result.good_total
            base = next((target.name for target in targets if target.base), None)

            def middle(name: str | None, results: dict[str, list[Result]], what: str) -> float:
                runs = results[name] if name else []
                if what == "throughput":
                    return median([result.throughput for result in runs])
                return median([result.latency(what) for result in runs])

            rows = []
            for target in targets:
                name = target.name
                options.results[f"saturation/{shape}/{name}"] = [r.raw for r in full[name]]
                options.results[f"single/{shape}/{name}"] = [r.raw for r in alone[name]]
                rate = middle(name, full, "throughput")
                single = middle(name, alone, "p50"), middle(name, alone, "p99")
                rows.append(
                    [
                        name,
                        ratio(rate, middle(base, full, "throughput") if base else None),
                        ratio(single[1], middle(base, alone, "p99") if base else None),
                        number(rate),
                        number(middle(name, full, "p50")),
                        number(middle(name, full, "p99")),
                        number(single[0]),
                        number(single[1]),
                        str(sum(result.errors for result in full[name] + alone[name])),
                    ]
                )
            heads = (
                *("what", "rate / nginx", "1 conn. p99 / nginx", "answers/s"),
                *("p50 µs", "p99 µs", "1 conn. p50", "1 conn. p99", "errors"),
            )
            print(table(f"Saturation with {CONNECTIONS} connections, {shown(shape)}", heads, rows))
            print(check_rows(targets, answered), "\n", flush=True)


def sustained(options: Options) -> None:
    """A high rate for a minute (``--sustained-rate``, ``--sustained-seconds``), recording on."""
    rows = []
    kept = []
    for workers in options.workers:
        with ExitStack() as stack:
            mock = stack.enter_context(Mock())
            target = gateway_target(stack.enter_context(Gateway(mock, workers=workers)))
            quiet(options, [target])
            say(
                f"  {options.sustained_rate:,}/s for {options.sustained_seconds:g} s: {target.name}"
            )
            result = target.load(
                options, "small", rate=options.sustained_rate, seconds=options.sustained_seconds
            )
            kept.append(check_rows([target], {target.name: result.good_total}))
            options.results[f"sustained/{target.name}"] = result.raw
            rows.append(
                [
                    target.name,
                    f"{result.throughput / options.sustained_rate:.1%}",
                    f"{options.sustained_rate:,}/s",
                    number(result.throughput),
                    number(result.latency("p50")),
                    number(result.latency("p99")),
                    str(result.errors),
                ]
            )
    heads = ("what", "held", "asked", "answers/s", "p50 µs", "p99 µs", "errors")
    print(table(f"A high rate for {options.sustained_seconds:g} s", heads, rows))
    print("\n".join(kept), "\n", flush=True)
