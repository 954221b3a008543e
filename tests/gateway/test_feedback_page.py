"""The examples of ``docs/feedback.md`` work as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from gateway.pages import ROOT, shipped_config
from gateway.running import Gateway

PAGE = (ROOT / "docs" / "feedback.md").read_text()


def code(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The configuration that `make run` starts with, and the page's own."""
    folder = tmp_path_factory.mktemp("feedback-page")
    running = Gateway(shipped_config(folder, "".join(code("toml"))), folder / "data")
    yield running
    assert running.stop() == 0


def test_the_page(shipped: Gateway) -> None:
    script = "".join(code("sh")).replace("http://", "").replace("localhost:3000", shipped.url)
    # Answers end without a newline.
    script = script.replace("curl -s", "curl -s -w '\\n'")
    run = subprocess.run(
        ["bash", "-eu", "-c", script], capture_output=True, timeout=60, check=False, text=True
    )
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [list(answer) for answer in answers] == [["feedback_id"]] * 3
    [query] = code("sql")
    ends = time.monotonic() + 30
    while not (rows := shipped.query(query)):
        assert time.monotonic() < ends
        time.sleep(0.2)
    assert rows == [["extract_contact", "offline", "email_sent", "1", "1"]]
