"""``tensorzero query`` with a gateway running, without one, and against a server."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow.parquet
import pytest

from cli.command import COMMAND, tensorzero
from gateway.running import Gateway, clean_environment
from tensorzero.storage.database.connection_file import read_connection

BODY = {"model_name": "dummy::text", "input": {"messages": [{"role": "user", "content": "hi"}]}}
ENDLESS = "SELECT count() FROM numbers(1000000000000)"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(None, tmp_path_factory.mktemp("query") / "data")
    assert httpx.post(f"{gateway.url}/inference", json=BODY, timeout=30).status_code == 200
    gateway.wait_for("SELECT count() FROM ChatInference", "1")
    yield gateway
    assert gateway.stop() == 0


def query(gateway: Gateway, sql: str) -> subprocess.CompletedProcess[str]:
    return tensorzero("query", "--data-dir", gateway.data_dir, sql)


def test_a_pipe_gets_values_without_header(running: Gateway) -> None:
    result = query(running, "SELECT number AS a, 'x' AS b FROM numbers(2)")
    assert (result.returncode, result.stdout, result.stderr) == (0, "0\tx\n1\tx\n", "")


@pytest.mark.parametrize(
    ("sql", "output"),
    [
        ("SELECT 1 AS a FORMAT JSONEachRow", '{"a":1}\n'),
        ("SELECT 1 AS a format CSVWithNames ;", '"a"\n1\n'),
        ("SELECT 1 AS a SETTINGS max_threads = 1 FORMAT TSVWithNames", "a\n1\n"),
        ("SELECT 'FORMAT JSON' AS a -- FORMAT CSV", "FORMAT JSON\n"),
        ("(SELECT 1) UNION ALL (SELECT 1)", "1\n1\n"),
        ("EXISTS ChatInference", "1\n"),
    ],
)
def test_an_explicit_format_counts(running: Gateway, sql: str, output: str) -> None:
    assert query(running, sql).stdout == output


@pytest.mark.parametrize(
    ("chosen", "sql", "output"),
    [
        ("csv", "SELECT 1 AS a, 'x' AS b", '"a","b"\n1,"x"\n'),
        ("TSV", "SELECT 1 AS a, 'x' AS b", "1\tx\n"),
        ("jsonl", "SELECT 1 AS a", '{"a":1}\n'),
        ("Vertical", "SELECT 1 AS a", "Row 1:\n──────\na: 1\n"),
        ("jsonl", "SELECT 1 AS a FORMAT TSVWithNames", "a\n1\n"),
    ],
)
def test_a_format_can_be_chosen(running: Gateway, chosen: str, sql: str, output: str) -> None:
    result = tensorzero("query", "--data-dir", running.data_dir, "--format", chosen, sql)
    assert (result.returncode, result.stdout) == (0, output)


def test_whole_formats(running: Gateway) -> None:
    """A table in a pipe, one JSON document, a Parquet file; no format is an error of its own."""
    command = ["query", "--data-dir", running.data_dir, "SELECT 7 AS seven", "--format"]
    assert "┌─seven─┐" in tensorzero(*command, "table").stdout
    assert httpx.Response(200, text=tensorzero(*command, "json").stdout).json()["rows"] == 1
    parquet = subprocess.run(
        [*COMMAND, *map(str, command), "parquet"],
        capture_output=True,
        check=True,
        env=clean_environment(),
        timeout=60,
    ).stdout
    assert pyarrow.parquet.read_table(io.BytesIO(parquet)).to_pylist() == [{"seven": 7}]
    assert "UNKNOWN_FORMAT" in tensorzero(*command, "nope").stderr
    assert tensorzero(*command, "a b").returncode == 2


def test_bytes_are_not_for_terminals(running: Gateway) -> None:
    ours, theirs = pty.openpty()
    result = subprocess.run(
        [*COMMAND, "query", "--data-dir", str(running.data_dir), "SELECT 1 FORMAT Parquet"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
        env=clean_environment(),
        timeout=60,
    )
    os.close(theirs)
    os.close(ours)
    assert result.returncode == 1
    assert b"Parquet is no text" in result.stderr


def test_a_terminal_gets_a_table(running: Gateway) -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "query", "--data-dir", str(running.data_dir), "SELECT 7 AS seven"]
    subprocess.run(command, stdout=theirs, check=True, env=clean_environment(), timeout=60)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the terminal's end
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert "┌" in shown.decode()
    assert "seven" in shown.decode()


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO ChatInference (function_name) VALUES ('x')",
        "DROP TABLE ChatInference",
        "ALTER TABLE ChatInference DELETE WHERE 1",
        "TRUNCATE TABLE ChatInference",
        "SYSTEM STOP MERGES",
        "SET readonly = 0",
        "SELECT 1; DROP TABLE ChatInference",
        "WITH 1 AS x INSERT INTO ChatInference (function_name) SELECT toString(x)",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 INTO OUTFILE '/tmp/out'",
    ],
)
def test_it_only_reads(running: Gateway, sql: str) -> None:
    result = query(running, sql)
    assert result.returncode == 1
    assert result.stderr.startswith("tensorzero query: ")


def test_nothing_was_written(running: Gateway) -> None:
    assert query(running, "SELECT count() FROM ChatInference").stdout == "1\n"


def test_an_error_is_the_databases(running: Gateway) -> None:
    result = query(running, "SELECT nope FROM ChatInference")
    assert (result.returncode, result.stdout) == (1, "")
    assert "DB::Exception" in result.stderr
    assert "`nope`" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_error_in_mid_result_is_not_its_end(running: Gateway) -> None:
    result = query(running, "SELECT number, throwIf(number = 3000000) FROM numbers(4000000)")
    assert result.returncode == 1
    assert "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO" in result.stderr
    assert result.stdout.startswith("0\t0\n1\t0\n")
    assert "exception" not in result.stdout.lower()


def test_memory_is_limited(running: Gateway) -> None:
    result = query(running, "SELECT length(groupArray(number)) FROM numbers(200000000)")
    assert result.returncode == 1
    assert "MEMORY_LIMIT_EXCEEDED" in result.stderr


def _running_queries(gateway: Gateway) -> int:
    url = read_connection(gateway.data_dir)
    assert url is not None
    sql = (
        "SELECT count() FROM system.processes WHERE query LIKE '%numbers(1000000000000)%' "
        "AND query NOT LIKE '%system.processes%'"
    )
    answer = httpx.post(
        url.origin, content=sql, headers={k: v.decode() for k, v in url.headers().items()}
    )
    return int(answer.text)


def _wait_for_queries(gateway: Gateway, wanted: int) -> None:
    ends = time.monotonic() + 30
    while (now := _running_queries(gateway)) != wanted:
        assert time.monotonic() < ends, f"{now} queries run, not {wanted}"
        time.sleep(0.1)


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL", "closed pipe"])
def test_a_query_ends_with_its_caller(running: Gateway, how: str) -> None:
    process = subprocess.Popen(
        [*COMMAND, "query", "--data-dir", str(running.data_dir), ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    _wait_for_queries(running, 1)
    if how == "closed pipe":
        process.stdout.close()
    else:
        process.send_signal(signal.Signals[how])
    status = process.wait(timeout=30)
    _wait_for_queries(running, 0)
    expected = {"SIGINT": 130, "SIGTERM": 143, "SIGKILL": -9, "closed pipe": 141}
    assert status == expected[how]
    assert process.stderr.read() == b""
    process.stderr.close()
    process.stdout.close()


def test_against_a_server(running: Gateway, tmp_path: Path) -> None:
    url = read_connection(running.data_dir)
    assert url is not None
    env = {
        "TENSORZERO_CLICKHOUSE_URL": f"http://{url.username}:{url.password}@{url.host}:{url.port}"
        "/default"
    }
    result = tensorzero("query", "SELECT count() FROM ChatInference", env=env, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "1\n")
    assert list(tmp_path.iterdir()) == []
    env = {"TENSORZERO_CLICKHOUSE_URL": f"http://u:secret@{url.host}:{url.port}/default"}
    result = tensorzero("query", "SELECT 1", env=env)
    assert result.returncode == 1
    assert "secret" not in result.stderr


def test_nothing_is_there(tmp_path: Path) -> None:
    result = tensorzero("query", "SELECT 1", cwd=tmp_path)
    assert result.returncode == 1
    assert f"nothing has been recorded in {tmp_path / 'data'}" in result.stderr
    assert not (tmp_path / "data").exists()


def test_without_a_gateway(tmp_path: Path) -> None:
    """After `kill -9` of everything: rows come out of the spool first, the old address misleads
    nobody, Ctrl-C ends the engine's query."""
    gateway = Gateway(None, tmp_path / "data")
    for _ in range(5):
        assert httpx.post(f"{gateway.url}/inference", json=BODY, timeout=30).status_code == 200
    gateway.kill_all()
    assert read_connection(gateway.data_dir) is not None
    assert query(gateway, "SELECT count() FROM ChatInference").stdout == "5\n"
    assert query(gateway, "DROP TABLE ChatInference").returncode == 1
    process = subprocess.Popen(
        [*COMMAND, "query", "--data-dir", str(gateway.data_dir), ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    lock = gateway.data_dir / "spool" / "0.lock"
    ends = time.monotonic() + 30
    while not lock.read_text().startswith(f"{process.pid} "):
        assert time.monotonic() < ends
        time.sleep(0.05)
    time.sleep(1.0)  # in the query, or on the way there: it must end in either case
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in complaints
