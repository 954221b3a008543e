"""What a start imports: nothing of vendors that the configuration does not name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tensorzero.config.provider_types import PROVIDER_TYPES

CONFIG = """
[models.m]
routing = ["p"]
[models.m.providers.p]
type = "openai"
model_name = "gpt-5-mini"
api_key_location = "none"
[functions.f]
type = "chat"
[functions.f.variants.v]
type = "chat_completion"
model = "m"
"""
WORKER = """
import asyncio, json, os, sys
from tensorzero.config.load import load
from tensorzero.server.settings import Settings
from tensorzero.server.warm_up import load as load_now
from tensorzero.server.worker import _assemble, _server

async def run() -> None:
    config = load(sys.argv[1])
    settings = Settings(sys.argv[2], sys.argv[2] + "/spool", records=sys.argv[3] == "records")
    parts = _assemble(settings, config, [os.memfd_create("c")], os.memfd_create("m"), 0)
    await parts.models.start()
    _server(parts.app)
    started = sorted(sys.modules)
    load_now(config.shorthands.likely_types(), reads=settings.records)
    print(json.dumps([started, sorted(sys.modules), sys.getswitchinterval()]))

asyncio.run(run())
"""
HEAVY = {
    *("botocore", "google", "requests", "cryptography", "urllib3", "httpx", "clickhouse_connect"),
    *("chdb", "pandas", "numpy", "pyarrow", "rich"),
}


def run(script: str, *arguments: str, **environ: str) -> list[list[str]]:
    keys = {kind.variable for kind in PROVIDER_TYPES.values()}
    own = {name: value for name, value in os.environ.items() if name not in keys}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={**own, **environ},
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def vendors(modules: list[str]) -> set[str]:
    """What is loaded of providers' own modules, and of heavy libraries."""
    found = {name.split(".")[0] for name in modules} & HEAVY
    prefix = "tensorzero.providers."
    own = {name.removeprefix(prefix).split(".")[0] for name in modules if name.startswith(prefix)}
    vendor = {*PROVIDER_TYPES, "aws", "gcp", "gemini", "messages_api", "chat_completions"}
    return found | (own & vendor)


@pytest.mark.parametrize("records", ["records", "not"])
def test_a_worker_loads_what_its_configuration_names(tmp_path: Path, records: str) -> None:
    config = tmp_path / "tensorzero.toml"
    config.write_text(CONFIG)
    (tmp_path / "data" / "spool").mkdir(parents=True)
    data = str(tmp_path / "data")
    started, warm, pause = run(WORKER, str(config), data, records, ANTHROPIC_API_KEY="k")
    assert "tensorzero.providers.openai" in started
    assert "tensorzero.providers.embeddings" not in started
    assert vendors(started) == {"openai", "chat_completions"}
    # A little later: types that a request can name, since their key is there, and the database's
    # client.
    libraries = {"urllib3", "clickhouse_connect"} if records == "records" else set()
    more = vendors(warm) - vendors(started)
    assert more == {"anthropic", "messages_api"} | libraries
    assert pause == sys.getswitchinterval()


def test_the_supervisor_loads_neither_providers_nor_clients() -> None:
    script = "import json, sys, tensorzero.cli.serve; print(json.dumps([sorted(sys.modules)]))"
    (modules,) = run(script)
    assert vendors(modules) == set()
    assert not {"uvicorn", "uvloop", "starlette"} & set(modules)
    assert "tensorzero.server.supervisor" in modules
