"""Tables, medians, and what machine they are from."""

from __future__ import annotations

import os
import platform
import re
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def ratio(value: float, base: float | None) -> str:
    """``value`` as a multiple of ``base``."""
    return "-" if not base else f"{value / base:.2f}x"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads well on a terminal too."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]

    def drawn(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(
        ("-" * (w + 1) + ":") if i else "-" * (w + 2) for i, w in enumerate(widths)
    )
    return "\n".join([f"### {title}", "", drawn(lines[0]), rule + "|", *map(drawn, lines[1:]), ""])


def bar(what: str, limit: str, found: str, held: bool) -> list[str]:
    """A row of the table of bars."""
    return ["PASS" if held else "MISS", what, limit, found]


def bars_table(title: str, rows: Sequence[Sequence[str]]) -> str:
    return table(title, ("", "what", "bar", "found"), rows)


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """One line: date, processor, cores, memory, kernel, Python, and how busy it was before."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.+)", cpuinfo)
    total = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    memory = f"{int(total[1]) / 1e6:.0f} GB" if total else "?"
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {model[1] if model else platform.machine()}, "
        f"{os.cpu_count()} cores, {memory}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load average before {os.getloadavg()[0]:.2f}"
    )
