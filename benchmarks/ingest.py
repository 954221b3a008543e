"""What ingest costs the requests that are served beside it: ``make bench-ingest``.

A gateway with one worker and the embedded database answers at a fixed rate; every answer is two
rows, and another writer fills its spool up to ``--rows`` a second in all (rows of views' targets
not counted). p99 is compared with the same rate on a gateway that records nothing, runs
alternating. Exit status 1 when a bar is missed: two cores are assumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loads import Result
from processes import Gateway, Mock, cpu_seconds, exit_on_sigterm, temporary_folder
from report import bar, bars_table, machine, median, number, say
from targets import Options, Target, gateway_target, other_work, quiet

P99_BAR = 1.5
BEHIND_BAR_S = 3.0
"""How much later than the last answer the last row may come."""
WARMUP_S = 1.0
ROWS_OF_AN_ANSWER = 2


@dataclass(frozen=True, slots=True)
class Ingest:
    """One run with ingest: its answers, inferences in the database at its end and after it, how
    long the rest took, and processor time of the shipper."""

    result: Result
    at_end: int
    written: int
    found: int
    behind_s: float
    shipper_s: float


@contextmanager
def writing(gateway: Gateway, rate: float, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Other rows on their way into the gateway's spool."""
    command = [sys.executable, str(Path(__file__).with_name("row_writer.py"))]
    command += [str(gateway.data_dir / "spool" / "0"), "--rate", str(rate)]
    command += ["--seconds", str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, process_group=0)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def with_ingest(options: Options, target: Target, rate: float, others: float) -> Ingest:
    """Answers at ``rate`` while ``others`` inferences a second come from another writer."""
    gateway = target.gateway
    assert gateway is not None
    (shipper,) = gateway.shipper_pids
    before, cpu = gateway.rows(), cpu_seconds(shipper)
    seconds = options.seconds + WARMUP_S
    with writing(gateway, others, seconds) as process:
        result = target.load(options, "small", rate=rate, seconds=options.seconds, warmup=WARMUP_S)
        output, _ = process.communicate(timeout=60)
    at_end = gateway.rows() - before
    written = int(output) + result.good_total
    found, behind_s = gateway.wait_for_rows(before + written, 120)
    return Ingest(result, at_end, written, found - before, behind_s, cpu_seconds(shipper) - cpu)


def measure(options: Options, rate: float, rows: float) -> list[list[str]]:
    others = max(0.0, rows - ROWS_OF_AN_ANSWER * rate) / ROWS_OF_AN_ANSWER
    runs: list[Ingest] = []
    alone: list[Result] = []
    with ExitStack() as stack:
        mock = stack.enter_context(Mock())
        on = gateway_target(stack.enter_context(Gateway(mock)))
        off = gateway_target(stack.enter_context(Gateway(mock, records=False)))
        for run in range(options.runs):
            quiet(options, [on, off])
            say(f"  {rate:,.0f} requests/s, run {run + 1}: {off.name}")
            alone.append(
                off.load(options, "small", rate=rate, seconds=options.seconds, warmup=WARMUP_S)
            )
            quiet(options, [on, off])
            say(f"  {rate:,.0f} requests/s and {rows:,.0f} rows/s, run {run + 1}: {on.name}")
            runs.append(with_ingest(options, on, rate, others))
    options.results["off"] = [result.raw for result in alone]
    options.results["on"] = [one.result.raw for one in runs]
    return _bars(options, rate, rows, runs, alone)


def _bars(
    options: Options, rate: float, rows: float, runs: list[Ingest], alone: list[Result]
) -> list[list[str]]:
    seconds = options.seconds + WARMUP_S
    p99 = median([one.result.latency("p99") for one in runs])
    base = median([result.latency("p99") for result in alone])
    behind = median([one.behind_s for one in runs])
    ingested = median([ROWS_OF_AN_ANSWER * one.at_end / seconds for one in runs])
    served = median([one.result.throughput for one in runs])
    missing = sum(one.written - one.found for one in runs)
    errors = sum(one.result.errors for one in runs) + sum(result.errors for result in alone)
    cost = median([1e6 * one.shipper_s / one.written for one in runs])
    shown = f"{p99 / base:.2f} times ({number(p99)} µs to {number(base)} µs)"
    return [
        bar(
            f"p99 at {rate:,.0f} requests/s and {rows:,.0f} rows/s",
            f"≤ {P99_BAR:g} times that without recording",
            shown,
            p99 <= P99_BAR * base,
        ),
        bar("answers a second meanwhile", f"≥ {rate:,.0f}", number(served), served >= 0.99 * rate),
        bar(
            "the last row after the last answer",
            f"≤ {BEHIND_BAR_S:g} s",
            f"{behind:.1f} s",
            behind <= BEHIND_BAR_S,
        ),
        bar("rows missing, errors", "0, 0", f"{missing}, {errors}", missing == errors == 0),
        [
            "-",
            "rows a second in the database at the end of the load",
            "-",
            f"{number(ingested)}/s, {cost:.0f} µs of the shipper for an inference",
        ],
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=5000.0, help="requests a second")
    parser.add_argument("--rows", type=float, default=20_000.0, help="rows a second in all")
    parser.add_argument("--seconds", type=float, default=20.0, help="of one measurement")
    parser.add_argument("--runs", type=int, default=3, help="interleaved; medians count")
    parser.add_argument("--json", type=Path, help="every run with its whole distribution")
    arguments = parser.parse_args()
    exit_on_sigterm()
    print(machine(), "\n", flush=True)
    with temporary_folder() as folder:
        options = Options(arguments.seconds, arguments.runs, (), ("small",), (1,), 0, folder)
        rows = measure(options, arguments.rate, arguments.rows)
    print(bars_table("Ingest beside requests", rows))
    print(other_work(options))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(options.results))
    return 1 if any(row[0] == "MISS" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
