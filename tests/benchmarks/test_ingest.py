"""The ingest benchmark runs, counts every row of both sources, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_rows_of_both_sources_arrive(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [
            *(sys.executable, str(BENCHMARKS / "ingest.py"), "--rate", "40", "--rows", "280"),
            *("--seconds", "1", "--runs", "1", "--json", str(results)),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr  # how fast it was is not asked here
    assert "p99 at 40 requests/s and 280 rows/s" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "rows missing, errors" in line]
    assert line.startswith("| PASS |"), line
    found = json.loads(results.read_text())
    assert [run["good"] for run in (*found["on"], *found["off"])] == [40, 40]
    assert list(temporary.iterdir()) == []
