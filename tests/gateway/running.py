"""A gateway as a user runs it: the command, a config, a data directory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

CONFIG = """
[functions.chat]
type = "chat"
[functions.chat.variants.v]
type = "chat_completion"
model = "ok"
temperature = 0.1

[functions.fallback]
type = "chat"
[functions.fallback.experimentation]
type = "static"
candidate_variants = ["bad"]
fallback_variants = ["good"]
[functions.fallback.variants.bad]
type = "chat_completion"
model = "status-500"
[functions.fallback.variants.good]
type = "chat_completion"
model = "ok"

[functions.extract]
type = "json"
output_schema = "schema.json"
[functions.extract.variants.v]
type = "chat_completion"
model = "dummy::json"
json_mode = "strict"
[functions.extract.variants.broken]
type = "chat_completion"
model = "dummy::invalid_json"
json_mode = "strict"

[functions.typed]
type = "chat"
user_schema = "schema.json"
[functions.typed.variants.v]
type = "chat_completion"
model = "dummy::echo"
user_template = "user.minijinja"

[functions.tools]
type = "chat"
tools = ["weather"]
[functions.tools.variants.v]
type = "chat_completion"
model = "tool"

[tools.weather]
description = "Weather"
parameters = "tool.json"
"""
SCHEMA = '{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}'
TOOL = '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'
MODELS = (
    "ok",
    "status-500",
    "status-429",
    "garbage",
    "cut",
    "slow",
    "cut-stream",
    "tool",
)


def write_config(folder: Path, api_base: str, extra: str = "") -> Path:
    """The test config: one model for each behaviour of the provider."""
    parts = [CONFIG, extra]
    for name in MODELS:
        parts.append(
            f'[models.{name}]\nrouting = ["p"]\n[models.{name}.providers.p]\ntype = "openai"\n'
            f'model_name = "{name}"\napi_base = "{api_base}"\napi_key_location = "none"\n'
        )
    (folder / "schema.json").write_text(SCHEMA)
    (folder / "tool.json").write_text(TOOL)
    (folder / "user.minijinja").write_text("Name: {{ name }}\n")
    path = folder / "tensorzero.toml"
    path.write_text("\n".join(parts))
    return path


def clean_environment() -> dict[str, str]:
    """The environment without what would change a gateway, except for the way it serves HTTP:
    `make test-plain` runs these tests on the other one."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TENSORZERO_", "RUST_LOG")) or name == "TENSORZERO_PLAIN_HTTP"
    }


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for what is seen only by looking."""
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)


class Gateway:
    """A running gateway; ``kill_all`` is ``kill -9`` of everything it started."""

    def __init__(
        self,
        config: Path | None,
        data_dir: Path,
        *,
        workers: int = 1,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """``config`` is ``None`` for the default one; ``environment`` adds variables."""
        self.config = config
        self.data_dir = data_dir
        self.workers = workers
        self.options = options
        self.environment = dict(environment or {})
        self.log_path = log or data_dir.parent / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.start()

    def start(self) -> None:
        config = ["--default-config"]
        if self.config is not None:
            config = ["--config-file", str(self.config)]
        with open(self.log_path, "ab") as log:
            offset = log.tell()
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tensorzero.cli.main", "gateway"),
                    *(*config, "--data-dir", str(self.data_dir)),
                    *("--bind-address", "127.0.0.1:0", "--workers", str(self.workers)),
                    *self.options,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**clean_environment(), **self.environment},
            )
        ends = time.monotonic() + 40
        while time.monotonic() < ends:
            text = self.log_path.read_bytes()[offset:].decode()
            match = re.search(r"listening on 127\.0\.0\.1:(\d+)", text)
            if match:
                self.url = f"http://127.0.0.1:{match[1]}"
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the gateway did not start:\n{text}")

    def log(self) -> str:
        """All it has written so far."""
        return self.log_path.read_text()

    def children(self, module: str) -> list[int]:
        """Process ids of our children that run ``module``."""
        assert self.process is not None
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().decode().split("\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and module in command:
                found.append(int(entry.name))
        return found

    def kill_all(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)

    def post(self, body: object, timeout_s: float = 15.0) -> httpx.Response:
        return httpx.post(f"{self.url}/inference", json=body, timeout=timeout_s)

    def query(self, sql: str) -> list[list[str]]:
        """Rows of a query, by the command a user would type."""
        result = subprocess.run(
            [
                *(sys.executable, "-m", "tensorzero.cli.main", "query"),
                *("--data-dir", str(self.data_dir), sql),
            ],
            capture_output=True,
            timeout=60,
            check=False,
            env={**clean_environment(), **self.environment},
        )
        assert result.returncode == 0, result.stderr.decode()
        return [line.split("\t") for line in result.stdout.decode().splitlines()]

    def wait_for(self, sql: str, wanted: str, timeout_s: float = 15.0) -> None:
        """Wait until the first value of a query is ``wanted``."""
        ends = time.monotonic() + timeout_s
        while (rows := self.query(sql)) != [[wanted]]:
            assert time.monotonic() < ends, f"{sql} gives {rows}, not {wanted}"
            time.sleep(0.2)
