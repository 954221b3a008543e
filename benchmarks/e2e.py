"""The gateway between a load generator and a mock provider, beside nginx in the same place.

``make bench-e2e`` runs every section; ``--only`` picks some. Ratios come first: the machine's
noise moves figures, much less what they are multiples of, as the runs of all targets alternate.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from e2e_costs import cpu, start
from e2e_latency import rates, saturation, sustained
from e2e_memory import memory_growth
from e2e_streams import streams
from loads import SHAPES
from processes import exit_on_sigterm, temporary_folder
from report import machine, say
from targets import Options, other_work

RATES = (500, 1000, 2000, 4000)


def main() -> int:
    sections: dict[str, Callable[[Options], None]] = {
        "rates": rates,
        "saturation": saturation,
        "sustained": sustained,
        "cpu": cpu,
        "streams": streams,
        "memory": memory_growth,
        "start": start,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=sections, help="may be repeated")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement")
    parser.add_argument("--runs", type=int, default=3, help="interleaved; medians are shown")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, metavar="R")
    parser.add_argument("--shapes", nargs="+", default=SHAPES, choices=SHAPES)
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2), metavar="N")
    parser.add_argument("--requests", type=int, default=100_000, help="of one CPU measurement")
    parser.add_argument("--sustained-rate", type=int, default=10_000, metavar="R")
    parser.add_argument("--sustained-seconds", type=float, default=60.0, metavar="S")
    counts = (100_000, 1_000_000)
    parser.add_argument("--memory-requests", type=int, nargs="+", default=counts, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every run there")
    arguments = parser.parse_args()
    exit_on_sigterm()
    print(machine(), "\n", flush=True)
    with temporary_folder() as folder:
        options = Options(
            arguments.seconds,
            arguments.runs,
            tuple(arguments.rates),
            tuple(arguments.shapes),
            tuple(arguments.workers),
            arguments.requests,
            folder,
            arguments.sustained_rate,
            arguments.sustained_seconds,
            tuple(arguments.memory_requests),
        )
        for name in arguments.only or sections:
            say(f"{name}: {sections[name].__doc__}")
            sections[name](options)
        print(other_work(options), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(options.results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
