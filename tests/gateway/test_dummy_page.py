"""Every example of ``docs/dummy.md`` works as it is typed there."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest

from gateway.api import HELLO
from gateway.pages import ROOT, fits, shipped_config
from gateway.running import Gateway

PAGE = (ROOT / "docs" / "dummy.md").read_text()


def _examples() -> list[tuple[str, list[str]]]:
    """Each command with the lines of the answer that the page shows for it."""
    examples = []
    blocks = [block for block in PAGE.split("\n\n") if block.startswith("    ")]
    for command, shown in pairwise(blocks):
        if command.startswith("    curl "):
            examples.append((command.strip(), [line.strip() for line in shown.splitlines()]))
    return examples


EXAMPLES = _examples()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The configuration that `make run` starts with, and the page's own."""
    folder = tmp_path_factory.mktemp("dummy")
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    config = shipped_config(folder, toml)
    running = Gateway(config, folder / "data")
    yield running
    assert running.stop() == 0


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.mark.parametrize(("command", "shown"), EXAMPLES)
def test_an_example(shipped: Gateway, command: str, shown: list[str]) -> None:
    program, quiet, url, flag, body = shlex.split(command)
    assert (program, quiet, url, flag) == ("curl", "-s", "localhost:3000/inference", "-d")
    answer = httpx.post(f"{shipped.url}/inference", content=body.encode(), timeout=20)
    lines = [line for line in answer.text.splitlines() if line]
    assert len(lines) == len(shown), answer.text
    for line, wanted in zip(lines, shown, strict=True):
        if wanted == "data: [DONE]":
            assert line == wanted
            continue
        start = "data: " if wanted.startswith("data: ") else ""
        assert line.startswith(start)
        given, expected = json.loads(line[len(start) :]), json.loads(wanted[len(start) :])
        assert fits(expected, given), line


def test_the_pages_configuration(shipped: Gateway) -> None:
    body = {"model_name": "flaky", "input": HELLO, "include_raw_response": True}
    answer = shipped.post(body).json()
    assert answer["content"] == [{"type": "text", "text": "hi"}]
    assert answer["usage"]["cost"] == pytest.approx(1.5e-6)
    assert answer["raw_response"][0]["data"] == "slow down"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dummy::nope", "unknown dummy behaviour `nope`"),
        ("dummy::text?latency_ms=x", "takes a whole number"),
        ("dummy::", "unknown dummy behaviour"),
    ],
)
def test_a_wrong_name_is_refused(shipped: Gateway, name: str, text: str) -> None:
    answer = shipped.post({"model_name": name, "input": HELLO})
    assert 400 <= answer.status_code < 600
    assert text in answer.json()["error"]


def test_a_hostile_schema_costs_no_more_than_an_answer(shipped: Gateway) -> None:
    schema = {"type": "array", "minItems": 10**9, "items": {"type": "string", "minLength": 10**9}}
    body = {
        "function_name": "extract_contact",
        "variant_name": "offline",
        "input": HELLO,
        "output_schema": schema,
    }
    answer = shipped.post(body)
    assert answer.status_code == 200
    assert answer.json()["output"]["parsed"] is None
    assert shipped.post({"model_name": "dummy::text", "input": HELLO}).status_code == 200
