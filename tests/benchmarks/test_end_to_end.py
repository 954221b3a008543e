"""The end-to-end benchmark runs, counts every row, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loads import SHAPES, Shape, body

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(tmp_path: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """What the benchmark prints, and its results; it leaves nothing behind."""
    results = tmp_path / "results.json"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "e2e.py"), *arguments, "--json", str(results)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(temporary.iterdir()) == []
    return done.stdout, json.loads(results.read_text())


def test_a_section_prints_its_table_and_finds_every_row(tmp_path: Path) -> None:
    printed, results = run(
        tmp_path,
        *("--only", "sustained", "--workers", "1"),
        *("--sustained-rate", "40", "--sustained-seconds", "1"),
    )
    assert "| gateway, 1 worker, recording on |" in printed
    # One second of warm-up comes before the second that is measured.
    assert "80 answered, 80 in the database" in printed
    assert "all there" in printed
    result = results["sustained/gateway, 1 worker, recording on"]
    assert result["good"] == 40
    assert result["errors"] == 0


def test_mixed_requests_end_as_expected(tmp_path: Path) -> None:
    """Answers, streams, faults of the provider, wrong requests, clients that leave."""
    printed, results = run(tmp_path, "--only", "memory", "--memory-requests", "200", "400")
    assert re.search(r"clients that leave a stream +\| +20 \| +0 \|", printed)
    assert "328 answered or left alone, 328 in the database" in printed
    grown = results["memory"]
    assert grown["requests"] == [200, 400]
    assert grown["errors"] == 0
    assert grown["growth"] == grown["own"][2] / grown["own"][1]


@pytest.mark.parametrize("shape", SHAPES)
def test_requests_have_the_sizes_that_the_tables_name(shape: Shape) -> None:
    for request in (body("native", shape), body("openai", shape)):
        assert len(request) == (100_000 if shape == "large" else 160)
        assert json.loads(request).get("stream", False) is (shape == "stream")
