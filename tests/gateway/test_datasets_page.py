"""The examples of ``docs/datasets.md`` work as they are typed there, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from gateway.pages import ROOT, fits, shipped_config
from gateway.running import Gateway

PAGE = (ROOT / "docs" / "datasets.md").read_text()
CURL = f"""#!{sys.executable}
import sys, urllib.request
method, data, arguments = None, None, iter(sys.argv[1:])
for argument in arguments:
    if argument == "-X":
        method = next(arguments)
    elif argument == "-d":
        data = next(arguments).encode()
    elif argument != "-s":
        url = "http://" + argument
request = urllib.request.Request(url, data, method=method)
sys.stdout.write(urllib.request.urlopen(request, timeout=60).read().decode())
"""
"""As much of it as the page needs: not every machine has it."""


def test_the_examples(tmp_path: Path) -> None:
    blocks = [block for block in PAGE.split("\n\n") if block.startswith("    ")]
    examples = [(one, other.strip()) for one, other in pairwise(blocks) if "curl" in one]
    assert len(examples) >= 7
    curl = tmp_path / "curl"
    curl.write_text(CURL)
    curl.chmod(0o755)
    gateway = Gateway(shipped_config(tmp_path), tmp_path / "data")
    script = "\necho\n".join(command for command, _ in examples)
    result = subprocess.run(
        ["bash", "-euc", script.replace("localhost:3000", gateway.url.removeprefix("http://"))],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert gateway.stop() == 0
    assert result.returncode == 0, result.stderr.decode()
    answers = result.stdout.decode().splitlines()
    assert len(answers) == len(examples)
    for (_, shown), answer in zip(examples, answers, strict=True):
        assert fits(json.loads(shown), json.loads(answer)), answer
