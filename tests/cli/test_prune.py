"""``tensorzero prune`` with a gateway running, without one, against a server, and killed."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cli.command import COMMAND, tensorzero
from gateway.running import Gateway, clean_environment
from tensorzero.storage.database.connection_file import read_connection
from tensorzero.storage.database.remote import RemoteDatabase

BODY = {"model_name": "dummy::text", "input": {"messages": [{"role": "user", "content": "hi"}]}}
RAW = "SELECT countIf(raw_request = '' AND raw_response = ''), count() FROM ModelInference"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(None, tmp_path_factory.mktemp("prune") / "data")
    infer(gateway, 2)
    yield gateway
    assert gateway.stop() == 0


def infer(gateway: Gateway, count: int) -> None:
    for _ in range(count):
        assert httpx.post(f"{gateway.url}/inference", json=BODY, timeout=30).status_code == 200
    before = int(gateway.query("SELECT count() FROM ModelInference")[0][0])
    if before < count:
        gateway.wait_for("SELECT count() FROM ModelInference", str(count), timeout_s=60)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def prune(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    return tensorzero("prune", "--data-dir", gateway.data_dir, *arguments)


def counts(gateway: Gateway) -> list[str]:
    tables = ("ChatInference", "ModelInference", "InferenceById", "InferenceByEpisodeId")
    return [gateway.query(f"SELECT count() FROM {table}")[0][0] for table in tables]


def test_without_a_terminal_it_must_be_told(running: Gateway) -> None:
    result = prune(running, "--before", "1d")
    assert result.returncode == 2
    assert "give --yes, or --dry-run first" in result.stderr
    result = prune(running, "--before", "2100-01-01", "--yes")
    assert result.returncode == 1
    assert "is in the future" in result.stderr
    assert prune(running, "--yes").returncode == 2
    assert prune(running, "--before", "soon", "--yes").returncode == 2


def test_it_says_what_goes_and_asks(running: Gateway) -> None:
    """A dry run, a terminal that says no, nothing to do: nothing is changed."""
    result = prune(running, "--before", now(), "--dry-run")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Inferences from before 20")
    found = {line.split()[0]: line.split()[1:3] for line in lines[1:-2]}
    assert found["ChatInference"] == ["2", "rows"]
    assert found["ModelInference"] == ["2", "rows"]
    assert "in all" in lines[-2]
    assert "dry run" in lines[-1]
    for text, status in ((b"n\n", 1), (b"\x03", 130)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, "prune", "--data-dir", str(running.data_dir), "--before", now()],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(),
        )
        assert process.stdout is not None
        shown = b""
        while b"[y/N]" not in shown:
            piece = os.read(process.stdout.fileno(), 4096)
            assert piece
            shown += piece
        if text == b"\x03":  # no controlling terminal turns it into a signal here
            process.send_signal(signal.SIGINT)
        else:
            os.write(ours, text)
        process.communicate(timeout=60)
        assert process.returncode == status
        os.close(theirs)
        os.close(ours)
    result = prune(running, "--before", "2020-01-01", "--yes")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "nothing to prune")
    result = prune(running, "--before", now(), "--function", "no'pe", "--yes")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "nothing to prune")
    assert counts(running) == ["2"] * 4


def test_through_a_running_gateway(running: Gateway) -> None:
    result = prune(running, "--before", now(), "--raw-only", "--yes")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].startswith("Raw provider bodies from before")
    assert running.query(RAW) == [["2", "2"]]
    assert counts(running) == ["2"] * 4
    url = read_connection(running.data_dir)
    assert url is not None
    env = {
        "TENSORZERO_CLICKHOUSE_URL": f"http://{url.username}:{url.password}@{url.host}:{url.port}"
        "/default"
    }
    function = ("--function", "tensorzero::default")
    result = tensorzero("prune", "--before", now(), *function, "--yes", env=env)
    assert result.returncode == 0, result.stderr
    assert counts(running) == ["0"] * 4
    assert result.stdout.splitlines()[-1].startswith("pruned ")


def test_the_gateway_logs_its_size(running: Gateway) -> None:
    """One line soon after the start (the next one is due in a day)."""
    ends = time.monotonic() + 60
    while "recorded data: " not in (log := running.log()):
        assert time.monotonic() < ends
        time.sleep(0.1)
    (line,) = [line for line in log.splitlines() if "recorded data: " in line]
    assert re.search(
        r"inferences \d+ rows [0-9.]+ \w+, model inferences \d+ rows [0-9.]+ \w+, "
        r"feedback 0 rows 0 B, datasets 0 rows 0 B, indexes and others \d+ rows [0-9.]+ KiB; "
        r"[0-9.]+ KiB on disk, [0-9.]+ \w+ free$",
        line,
    ), line


def test_killed_and_repeated(tmp_path: Path) -> None:
    """`kill -9` of command, gateway and engine while rows are being deleted: the engine goes on
    at the next start, and the same command completes the rest, with no gateway running."""
    gateway = Gateway(None, tmp_path / "data")
    infer(gateway, 3)
    url = read_connection(gateway.data_dir)
    assert url is not None
    before = now()
    with RemoteDatabase(url) as database:
        database.command("SYSTEM STOP MERGES")  # a mutation waits, as a long one would take
        process = subprocess.Popen(
            [*COMMAND, "prune", "--data-dir", str(gateway.data_dir), "--before", before, "--yes"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
        )
        ends = time.monotonic() + 60
        while database.command("SELECT count() FROM system.mutations WHERE NOT is_done") == "0\n":
            assert time.monotonic() < ends
            time.sleep(0.05)
    process.kill()
    process.wait()
    gateway.kill_all()
    result = prune(gateway, "--before", before, "--yes")
    assert result.returncode == 0, result.stderr
    assert counts(gateway) == ["0"] * 4
    gateway.start()
    infer(gateway, 1)
    assert counts(gateway)[0] == "1"
    assert gateway.stop() == 0
