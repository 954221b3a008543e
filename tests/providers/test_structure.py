"""A provider is one file that says what is its own: none is long, none repeats another."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "src" / "tensorzero" / "providers"
FILES = sorted(FOLDER.rglob("*.py"))
RUN = 6
MAX_LINES = 500


def lines_of(path: Path) -> list[str]:
    """The lines that say something: no blank ones, brackets, comments and imports. The head of a
    function, which an override has to repeat, is one line."""
    text = re.sub(r"^(from|import) .*?(\([^)]*\))?$", "", path.read_text(), flags=re.MULTILINE)
    text = re.sub(r"\bdef \w+\([^)]*\)", lambda head: " ".join(head[0].split()), text)
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if len(line) > 3 and not line.startswith("#")]


def runs_of(path: Path) -> set[tuple[str, ...]]:
    lines = lines_of(path)
    return {tuple(lines[at : at + RUN]) for at in range(len(lines) - RUN + 1)}


def test_no_provider_file_is_long() -> None:
    assert len(FILES) > 20
    long = {path.name: n for path in FILES if (n := len(path.read_text().splitlines())) > MAX_LINES}
    assert not long


def test_no_run_of_lines_stands_in_two_files() -> None:
    runs = {path: runs_of(path) for path in FILES}
    shared = {
        (first.name, second.name): sorted(both)[0]
        for first, second in combinations(FILES, 2)
        if (both := runs[first] & runs[second])
    }
    assert not shared


def test_a_shared_run_is_found(tmp_path: Path) -> None:
    text = "from a import (\n    b,\n)\n" + "".join(f"value_{n} = {n}\n\n" for n in range(RUN))
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text(text)
    second.write_text("import c\n\nother = 1\n" + text)
    assert runs_of(first) & runs_of(second)
    second.write_text(text.replace("value_3", "value_x"))
    assert not runs_of(first) & runs_of(second)
