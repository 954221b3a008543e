"""What the command says about itself."""

from __future__ import annotations

import pytest

from cli.command import tensorzero
from tensorzero.version import VERSION

TOPICS = {
    "": ["gateway", "check", "doctor", "query", "export", "prune", "--version", "exit status"],
    "gateway": [
        *("--config-file", "--default-config", "--bind-address", "--workers", "--data-dir"),
        *("--log-format", "--validate-and-exit", "--run-clickhouse-migrations"),
        *("TENSORZERO_GATEWAY_BIND_ADDRESS", "TENSORZERO_CLICKHOUSE_URL", "TENSORZERO_DATA_DIR"),
        *("TENSORZERO_CLICKHOUSE_CLUSTER_NAME", "RUST_LOG", "SIGTERM", "exit status"),
        *("default: 0.0.0.0:3000", "default: 1", "default: ./data", "default: pretty"),
    ],
    "check": ["--config-file", "--no-credentials", "exit status"],
    "doctor": ["--config-file", "--model", "--yes", "default: all", "exit status"],
    "query": [
        *("--data-dir", "--format", "TENSORZERO_CLICKHOUSE_URL", "./data", "FORMAT"),
        *("jsonl", "parquet", "Vertical", "exit status"),
    ],
    "prune": [
        *("--before", "--function", "--raw-only", "--dry-run", "--yes", "--data-dir", "UTC"),
        *("TENSORZERO_CLICKHOUSE_URL", "TENSORZERO_CLICKHOUSE_CLUSTER_NAME", "exit status"),
    ],
    "export": [
        *("--function", "--since", "--until", "--format", "--output", "--data-dir", "UTC"),
        *("TENSORZERO_CLICKHOUSE_URL", "./data", "parquet", "metric_NAME", "exit status"),
    ],
}


@pytest.mark.parametrize("command", TOPICS)
def test_help_names_everything(command: str) -> None:
    result = tensorzero(*([command] if command else []), "--help")
    assert result.returncode == 0
    for topic in TOPICS[command]:
        assert topic in " ".join(result.stdout.split()), topic


def test_version() -> None:
    for arguments in (["--version"], ["gateway", "--version"]):
        assert tensorzero(*arguments).stdout == f"tensorzero {VERSION}\n"


@pytest.mark.parametrize("arguments", [[], ["nope"], ["gateway", "--nope"], ["query"]])
def test_a_wrong_command_line_is_2(arguments: list[str]) -> None:
    result = tensorzero(*arguments)
    assert result.returncode == 2
    assert "usage: tensorzero" in result.stderr
