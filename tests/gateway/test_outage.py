"""A database away: at run time, at start, for good. Rows wait; each arrives exactly once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from gateway.clickhouse import ClickHouse
from gateway.provider import Provider
from gateway.running import Gateway, until, write_config
from tensorzero.storage.database.errors import QueryError
from tensorzero.storage.shipper.state import StateFile

BODY = {
    "model_name": "dummy::text?chunks=3",
    "input": {"messages": [{"role": "user", "content": "hi"}]},
    "tags": {"user": "7"},
}


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path / "clickhouse")
    yield server
    server.kill()


@pytest.fixture
def start(
    tmp_path: Path, provider: Provider, clickhouse: ClickHouse
) -> Iterator[Callable[..., Gateway]]:
    running: list[Gateway] = []

    def new(name: str = "gateway", extra: str = "") -> Gateway:
        folder = tmp_path / f"config-{name}"
        folder.mkdir(exist_ok=True)
        gateway = Gateway(
            write_config(folder, provider.url, extra),
            tmp_path / "data",
            environment=clickhouse.environment,
            log=tmp_path / f"{name}.log",
        )
        running.append(gateway)
        return gateway

    yield new
    for gateway in running:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill_all()


def ask(gateway: Gateway, count: int, *, stream: bool = False) -> list[str]:
    """Send so many; returns the ids that were answered in full."""
    ids = []
    with httpx.Client(timeout=30) as client:
        for _ in range(count):
            answer = client.post(f"{gateway.url}/inference", json=BODY | {"stream": stream})
            assert answer.status_code == 200, answer.text
            ids.append(re.findall(r'"inference_id":"([^"]+)"', answer.text)[0])
    return ids


def spooled(tmp_path: Path) -> list[Path]:
    """Folders of writers that are still there."""
    return [path for path in (tmp_path / "data" / "spool").glob("*/*") if path.is_dir()]


def in_flight(tmp_path: Path) -> bool:
    """Whether the shipper has a batch under way that it has not heard of yet."""
    file = StateFile(tmp_path / "data" / "spool" / "0" / "shipper.state")
    file.close()
    return bool(file.state.in_flight)


def health(gateway: Gateway) -> tuple[int, str]:
    answer = httpx.get(f"{gateway.url}/health", timeout=10)
    return answer.status_code, answer.json()["clickhouse"]


def arrived(clickhouse: ClickHouse) -> int:
    """Model inferences there; none while the tables are still being made."""
    try:
        return clickhouse.count("SELECT count() FROM ModelInference")
    except QueryError as error:
        assert error.code == 60, error
        return 0


def arrive_once(clickhouse: ClickHouse, ids: list[str]) -> None:
    until(lambda: arrived(clickhouse) >= len(ids))
    expected = sorted(ids)
    for column, table in (
        ("id", "ChatInference"),
        ("inference_id", "ModelInference"),
        ("uint_to_uuid(id_uint)", "InferenceById"),
        ("uint_to_uuid(id_uint)", "InferenceByEpisodeId"),
        ("inference_id", "TagInference WHERE key = 'user'"),
        ("inference_id", "InferenceTag WHERE key = 'user'"),
    ):
        rows = clickhouse.query(f"SELECT toString({column}) FROM {table}")
        assert sorted(row[0] for row in rows) == expected, table
    statistics = "SELECT countMerge(count) FROM VariantStatistics"
    assert clickhouse.count(statistics) == len(ids)
    usage = "SELECT sum(count) FROM CumulativeUsage WHERE type = 'model_inferences'"
    assert clickhouse.count(usage) == len(ids)


def test_a_database_that_is_killed_again_and_again(
    clickhouse: ClickHouse, start: Callable[..., Gateway]
) -> None:
    # So often that every kill meets a batch.
    often = """[gateway.observability]
    async_writes = false
    batch_writes = { enabled = true, flush_interval_ms = 20 }
    """
    gateway = start(extra=often)
    ids = ask(gateway, 20)
    stopped = threading.Event()
    answered: list[str] = []

    def load() -> None:
        while not stopped.is_set():
            answered.extend(ask(gateway, 3, stream=len(answered) % 2 == 0))

    thread = threading.Thread(target=load)
    thread.start()
    for number, pause in enumerate((0.6, 0.15, 0.9)):
        time.sleep(pause)
        clickhouse.kill()
        time.sleep(0.3)
        if number == 1:  # and the shipper with it
            os.kill(gateway.children("tensorzero.server.shipping")[0], signal.SIGKILL)
        assert health(gateway) == (503, "error")
        assert httpx.get(f"{gateway.url}/status").status_code == 200
        clickhouse.start()
    stopped.set()
    thread.join()
    until(lambda: health(gateway) == (200, "ok"))
    arrive_once(clickhouse, ids + answered)
    assert gateway.stop() == 0
    log = (gateway.log_path).read_text()
    assert "the database did not take a batch" in log
    assert "secret" not in log


def test_a_stop_while_it_is_away_says_what_waits(
    clickhouse: ClickHouse, start: Callable[..., Gateway], tmp_path: Path
) -> None:
    """SIGTERM ships for at most 10 s, exits 0 and says how many rows wait; a start without the
    database goes on, and a database that has lost everything is made anew."""
    gateway = start()
    ids = ask(gateway, 3)
    until(lambda: clickhouse.count("SELECT count() FROM ModelInference") == 3)
    until(lambda: not in_flight(tmp_path))
    clickhouse.kill()
    waiting = ask(gateway, 7)
    began = time.monotonic()
    assert gateway.stop() == 0
    assert 9 < time.monotonic() - began < 30
    assert "14 rows wait in the spool for the next start" in gateway.log_path.read_text()

    again = start("again")
    assert health(again) == (503, "error")
    waiting += ask(again, 2)
    assert "rows wait in the spool" in again.log_path.read_text()
    clickhouse.lose_everything()
    clickhouse.start()
    until(lambda: health(again) == (200, "ok"))
    # The schema is there, and so is what had not been acknowledged.
    arrive_once(clickhouse, waiting)
    assert clickhouse.count("SELECT uniqExact(migration_id) FROM TensorZeroMigration") == 47
    assert again.stop() == 0
    assert not set(ids) & set(waiting)
    assert spooled(tmp_path) == []


def test_a_database_never_seen_must_be_there_at_start(
    clickhouse: ClickHouse, tmp_path: Path, provider: Provider
) -> None:
    clickhouse.kill()
    config = write_config(tmp_path, provider.url)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tensorzero.cli.main", "gateway", "--config-file", str(config)),
            *("--data-dir", str(tmp_path / "data"), "--bind-address", "127.0.0.1:0"),
        ],
        env=clickhouse.environment | {"PYTHONPATH": ":".join(sys.path), "PATH": ""},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert b"can't be reached" in done.stderr
    assert b"secret" not in done.stderr + done.stdout


def test_a_manual_migration_needs_no_config(clickhouse: ClickHouse) -> None:
    """Exit 0, twice in a row, and a start on the result makes nothing."""
    for applied in (b"migrations applied: 47", b"migrations applied: 0"):
        done = subprocess.run(
            [sys.executable, "-m", "tensorzero.cli.main", "gateway", "--run-clickhouse-migrations"],
            env=clickhouse.environment | {"PYTHONPATH": ":".join(sys.path), "PATH": ""},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert applied in done.stdout
    ids = "SELECT uniqExact(migration_id), count() FROM TensorZeroMigration"
    assert clickhouse.query(ids) == [["47", "47"]]


SYNC = "[gateway.observability]\nenabled = true\nasync_writes = false\n"


def test_the_waiting_mode(clickhouse: ClickHouse, start: Callable[..., Gateway]) -> None:
    """The rows can be read when the answer (or ``[DONE]``) is there; a database that is away
    holds an answer back for 5 s, no longer."""
    gateway = start(extra=SYNC)
    ids = []
    for stream in (False, True):
        for id_ in ask(gateway, 3, stream=stream):
            ids.append(id_)
            found = f"SELECT count() FROM ChatInference WHERE id = '{id_}'"
            assert clickhouse.count(found) == 1
            found = f"SELECT count() FROM ModelInference WHERE inference_id = '{id_}'"
            assert clickhouse.count(found) == 1
    assert "did not confirm" not in gateway.log_path.read_text()
    clickhouse.kill()
    began = time.monotonic()
    ids += ask(gateway, 1)
    assert 4.5 < time.monotonic() - began < 15
    assert "did not confirm what was recorded in 5 s" in gateway.log_path.read_text()
    clickhouse.start()
    arrive_once(clickhouse, ids)
    assert gateway.stop() == 0


def test_gateways_that_share_a_data_directory(
    clickhouse: ClickHouse, start: Callable[..., Gateway], tmp_path: Path
) -> None:
    """They make the schema of an empty database at once; when one is killed, the living one
    ships what it left."""
    gateways: list[Gateway] = []
    threads = [
        threading.Thread(target=lambda n=n: gateways.append(start(f"g{n}"))) for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gateways) == 2
    counts = clickhouse.query(
        "SELECT uniqExact(migration_id), (SELECT count() FROM DeploymentID FINAL), "
        "(SELECT count() FROM system.tables WHERE database = 'default' AND engine = "
        "'MaterializedView'), (SELECT count() FROM ConfigSnapshot FINAL) FROM TensorZeroMigration"
    )
    assert counts == [["47", "1", "30", "1"]]
    ids = [id_ for gateway in gateways for id_ in ask(gateway, 5)]
    until(lambda: clickhouse.count("SELECT count() FROM ModelInference") == 10)
    clickhouse.kill()
    ids += [id_ for gateway in gateways for id_ in ask(gateway, 5)]
    gateways[0].kill_all()
    clickhouse.start()
    arrive_once(clickhouse, ids)
    assert gateways[1].stop() == 0
    assert "a gateway that is gone left" in gateways[1].log_path.read_text()
    assert spooled(tmp_path) == []
