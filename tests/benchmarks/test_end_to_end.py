"""The end-to-end benchmark runs, counts every row, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from loads import SHAPES, Shape, body

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_section_prints_its_table_and_finds_every_row(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [
            *(sys.executable, str(BENCHMARKS / "e2e.py"), "--only", "sustained", "--workers", "1"),
            *("--sustained-rate", "40", "--sustained-seconds", "1", "--json", str(results)),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| gateway, 1 worker, recording on |" in done.stdout
    # One second of warm-up comes before the second that is measured.
    assert "80 answered, 80 in the database" in done.stdout
    assert "all there" in done.stdout
    run = json.loads(results.read_text())["sustained/gateway, 1 worker, recording on"]
    assert run["good"] == 40
    assert run["errors"] == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_requests_have_the_sizes_that_the_tables_name(shape: Shape) -> None:
    for request in (body("native", shape), body("openai", shape)):
        assert len(request) == (100_000 if shape == "large" else 160)
        assert json.loads(request).get("stream", False) is (shape == "stream")
