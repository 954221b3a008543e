"""What keeps a gateway from starting: exit status 1 and one readable line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sysconfig
from pathlib import Path

import pytest

from cli.command import COMMAND, tensorzero
from gateway.running import clean_environment

DEFAULT = ["--default-config", "--bind-address", "127.0.0.1:0"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tensorzero.toml"
    path.write_text('[gateway]\nbind_address = "127.0.0.1:0"\n')
    return path


def refused(*arguments: str | Path, env: dict[str, str] | None = None) -> str:
    """The one line that says why."""
    result = tensorzero("gateway", *arguments, env=env)
    assert result.returncode == 1, result.stdout
    assert "Traceback" not in result.stderr + result.stdout
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_a_configuration_is_needed(config: Path, tmp_path: Path) -> None:
    both = refused("--config-file", config, "--default-config", "--data-dir", tmp_path)
    assert "--config-file" in both
    assert refused("--data-dir", tmp_path) == both


def test_no_file_matches(tmp_path: Path) -> None:
    assert "No files matched the glob pattern" in refused("--config-file", "nope/**/*.toml")


def test_the_address_is_given_once(config: Path) -> None:
    text = refused("--config-file", config, "--bind-address", "127.0.0.1:0")
    assert "gateway.bind_address" in text
    env = {"TENSORZERO_GATEWAY_BIND_ADDRESS": "127.0.0.1:0"}
    assert refused("--config-file", config, env=env) == text


def test_googles_default_credentials_must_be_there(tmp_path: Path) -> None:
    """A token is fetched before the gateway takes requests."""
    path = tmp_path / "tensorzero.toml"
    path.write_text(
        "[gateway]\nobservability.enabled = false\n[models.m]\nrouting = ['p']\n"
        "[models.m.providers.p]\ntype = 'gcp_vertex_gemini'\nmodel_id = 'x'\n"
        "location = 'global'\nproject_id = 'p'\ncredential_location = 'sdk'\n"
    )
    env = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json"),
        "NO_GCE_CHECK": "true",
    }
    text = refused("--config-file", path, "--bind-address", "127.0.0.1:0", env=env)
    assert "Failed to create GCP Vertex credentials from SDK: " in text
    assert "none.json was not found" in text


@pytest.mark.parametrize("address", ["localhost:3000", "3000", "127.0.0.1:70000", "::1:80"])
def test_an_address_is_a_number_and_a_port(address: str) -> None:
    env = {"TENSORZERO_GATEWAY_BIND_ADDRESS": address}
    assert f"bind address `{address}`" in refused("--default-config", env=env)


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        text = refused(
            "--default-config", "--bind-address", address, "--data-dir", tmp_path / "data"
        )
    assert f"cannot listen on {address}: Address already in use" in text
    assert not (tmp_path / "data" / "database").exists()


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "data"
    for arguments, env in (
        (["--data-dir", str(path)], {}),
        ([], {"TENSORZERO_DATA_DIR": str(path)}),
    ):
        text = refused(*DEFAULT, *arguments, env=env)
        assert f"the data directory {path} cannot be written: Not a directory" in text


def test_at_least_one_worker() -> None:
    assert "`--workers` must be at least 1" in refused(*DEFAULT, "--workers", "0")


@pytest.mark.parametrize(
    "url", ["clickhouse://h:9000", "http://h/a/b", "http://user:secret@h:8123/?database=x"]
)
def test_a_wrong_database_address(url: str) -> None:
    text = refused(*DEFAULT, env={"TENSORZERO_CLICKHOUSE_URL": url})
    assert "ClickHouse URL" in text
    assert "secret" not in text


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    env = {"TENSORZERO_CLICKHOUSE_URL": f"http://user:secret@127.0.0.1:{port}/db"}
    text = refused(*DEFAULT, "--data-dir", tmp_path, env=env)
    assert f"127.0.0.1:{port}" in text
    assert "secret" not in text


def test_without_chdb_it_says_what_to_install(tmp_path: Path) -> None:
    """With every installed package but chDB, as in an environment without the extra."""
    packages = Path(sysconfig.get_paths()["purelib"])
    visible = tmp_path / "packages"
    visible.mkdir()
    for entry in packages.iterdir():
        if not entry.name.startswith("chdb"):
            (visible / entry.name).symlink_to(entry)
    source = Path(__file__).parents[2] / "src"
    for arguments in (["gateway", *DEFAULT], ["query", "SELECT 1"]):
        (tmp_path / "data" / "database").mkdir(parents=True, exist_ok=True)
        result = subprocess.run(
            [COMMAND[0], "-S", "-m", "tensorzero", *arguments, "--data-dir", tmp_path / "data"],
            capture_output=True,
            text=True,
            check=False,
            env={**clean_environment(), "PYTHONPATH": f"{source}{os.pathsep}{visible}"},
        )
        assert result.returncode == 1
        assert "pip install 'tensorzero-gateway[embedded]'" in result.stderr
        assert "TENSORZERO_CLICKHOUSE_URL" in result.stderr


@pytest.mark.parametrize(
    "flag",
    [["--create-api-key"], ["--disable-api-key", "abcdefghijkl"], ["--migrate-config"]],
)
def test_what_is_not_there_says_so(flag: list[str]) -> None:
    assert flag[0] in refused(*flag)


def test_nothing_is_in_postgres() -> None:
    result = tensorzero("gateway", "--run-postgres-migrations")
    assert result.returncode == 0
    assert "nothing to migrate" in result.stdout


def test_migrations_need_a_server() -> None:
    for flag in ("--run-clickhouse-migrations", "--run-migrations"):
        assert "TENSORZERO_CLICKHOUSE_URL" in refused(flag)


def test_failures_are_json_where_logs_are(tmp_path: Path) -> None:
    result = tensorzero("gateway", "--log-format", "json", "--config-file", "nope.toml")
    assert (result.returncode, result.stderr) == (1, "")
    line = json.loads(result.stdout)
    assert line["level"] == "ERROR"
    assert "No files matched" in line["fields"]["message"]


def test_validate_opens_the_database_and_serves_nothing(config: Path, tmp_path: Path) -> None:
    arguments = ("gateway", "--config-file", config, "--validate-and-exit", "--data-dir")
    result = tensorzero(*arguments, tmp_path / "data")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("ok: config hash ")
    assert "listening" not in result.stdout
    tables = tensorzero("query", "--data-dir", tmp_path / "data", "SHOW TABLES").stdout
    assert "ChatInference" in tables.split()
    config.write_text('[functions.f]\ntype = "nope"\n')
    assert "functions.f" in refused(*arguments[1:], tmp_path / "data")
