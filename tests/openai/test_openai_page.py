"""Every example of ``docs/openai.md`` works as it is typed there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from checking_proxy import CheckingProxy
from test_openai_node import FOLDER, node  # noqa: F401 - a fixture

from gateway.running import Gateway

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "openai.md").read_text()
README = (ROOT / "README.md").read_text()
HERE = "http://localhost:3000"


def code(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The configuration that `make run` starts with, and the page's own."""
    folder = tmp_path_factory.mktemp("openai-page")
    text = (ROOT / "config" / "tensorzero.toml").read_text()
    text = text.replace('"functions/', f'"{ROOT}/config/functions/')
    text = text.replace('bind_address = "127.0.0.1:3000"\n', "")
    config = folder / "tensorzero.toml"
    config.write_text(text + "".join(code("toml")))
    running = Gateway(config, folder / "data")
    yield running
    assert running.stop() == 0


def curls() -> list[tuple[str, str]]:
    """Each command with the answer that the page shows for it."""
    blocks = [block.strip() for block in PAGE.split("\n\n") if block.startswith("    ")]
    return [pair for pair in pairwise(blocks) if pair[0].startswith("curl ")]


def same_form(shown: Any, given: Any) -> bool:
    """The same keys in the same order, the same texts; ``…`` stands for anything."""
    if shown == "…":
        return True
    if isinstance(shown, dict):
        return list(shown) == list(given) and all(
            same_form(value, given[key]) for key, value in shown.items()
        )
    if isinstance(shown, list):
        return shown == ["…"] or (
            len(shown) == len(given)
            and all(same_form(one, other) for one, other in zip(shown, given, strict=True))
        )
    return bool(shown == given)


@pytest.mark.parametrize(("command", "shown"), curls())
def test_curl(shipped: Gateway, command: str, shown: str) -> None:
    program, quiet, url, flag, body = shlex.split(command)
    assert (program, quiet, flag) == ("curl", "-s", "-d")
    answer = httpx.post(url.replace("localhost:3000", shipped.url), content=body, timeout=20)
    wanted = json.loads(re.sub(r'(?<!")…(?!")', '"…"', shown))
    assert same_form(wanted, answer.json()), answer.text


def test_the_readme(shipped: Gateway) -> None:
    (command,) = re.findall(r"^    (curl .*openai/v1.*)$", README, re.MULTILINE)
    *_, url, _, body = shlex.split(command)
    answer = httpx.post(url.replace("localhost:3000", shipped.url), content=body, timeout=20)
    assert json.loads(answer.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize("text", code("python"))
def test_python(shipped: Gateway, text: str) -> None:
    assert HERE in text
    with CheckingProxy(shipped.url) as proxy:
        done = subprocess.run(
            [sys.executable, "-c", text.replace(HERE, proxy.url)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("text", code("js"))
def test_node(shipped: Gateway, node: str, text: str) -> None:  # noqa: F811 - the fixture
    assert HERE in text
    folder = FOLDER / "node_modules" / ".page"
    folder.mkdir(exist_ok=True)
    script = folder / "example.mjs"
    with CheckingProxy(shipped.url) as proxy:
        script.write_text(text.replace(HERE, proxy.url))
        done = subprocess.run(
            [node, str(script)], capture_output=True, text=True, timeout=60, check=False
        )
    shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_examples() -> None:
    assert len(curls()) == 2
    assert len(code("python")) == 3
    assert len(code("js")) == 2
