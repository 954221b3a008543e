"""The clients for Node: ``openai`` and the AI SDK.

They are installed from the registry once, beside their ``package.json``; without Node, or without
the registry, the tests say so and are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from checking_proxy import CheckingProxy
from openai_support import OpenAIApi

FOLDER = Path(__file__).parent / "node"
INSTALLED = FOLDER / "node_modules" / ".installed"
OLDEST = 18


@pytest.fixture(scope="module")
def node() -> str:
    """The command; skips what cannot run."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("Node and npm are not installed: the clients for Node are not tested")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.lstrip("v").split(".")[0]) < OLDEST:
        pytest.skip(f"Node {version.stdout.strip()} is older than {OLDEST}")
    wanted = (FOLDER / "package.json").read_text()
    if not INSTALLED.exists() or INSTALLED.read_text() != wanted:
        command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                [
                    *command,
                    "--ignore-scripts",
                    "--fetch-retries=1",
                    "--fetch-retry-mintimeout=1000",
                ],
                cwd=FOLDER,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip("npm's registry does not answer: the clients for Node are not tested")
        if done.returncode != 0:
            pytest.skip(f"npm cannot install the clients for Node: {done.stderr.strip()[:120]}")
        INSTALLED.write_text(wanted)
    return found


@pytest.mark.parametrize("script", ["openai.test.mjs", "ai.test.mjs"])
def test_clients(api: OpenAIApi, node: str, script: str) -> None:
    with CheckingProxy(api.url) as proxy:
        url = f"{proxy.url}/openai/v1"
        done = subprocess.run(
            [node, "--test", "--test-reporter=tap", script],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "GATEWAY_URL": url, "AI_SDK_LOG_WARNINGS": "false"},
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# pass 0" not in done.stdout
