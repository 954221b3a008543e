"""The data directory on a small disk that is full: refused or answered, never half-recorded."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.provider import Provider
from gateway.running import Gateway, until, write_config
from tensorzero.storage.database.connection_file import read_connection

MIB = 1024 * 1024


@pytest.fixture
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On another disk, so that it can be written."""
    return tmp_path_factory.mktemp("log") / "gateway.log"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a file system of limited size can only be mounted as root")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def fill(disk: Path) -> Path:
    """Take all that is free."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(64 * 1024)):
            pass
    return ballast


def send(gateway: Gateway, size: int = 1 * MIB) -> httpx.Response:
    text = "x" * size
    body = {"model_name": "ok", "input": {"messages": [{"role": "user", "content": text}]}}
    return httpx.post(f"{gateway.url}/inference", json=body, timeout=30)


def health(gateway: Gateway) -> int:
    return httpx.get(f"{gateway.url}/health", timeout=10).status_code


BATCH = {"inputs": [{"messages": []}]}


def batch(gateway: Gateway, function: str) -> str:
    body = BATCH | {"function_name": function, "variant_name": "v"}
    answer = httpx.post(f"{gateway.url}/batch_inference", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["batch_id"])


def poll(gateway: Gateway, batch_id: str) -> httpx.Response:
    return httpx.get(f"{gateway.url}/batch_inference/{batch_id}", timeout=60)


def ids_in(gateway: Gateway, column: str, table: str) -> list[str]:
    """One column of a table, over the database's own interface."""
    database = read_connection(gateway.data_dir)
    assert database is not None
    answer = httpx.post(
        f"http://{database.host}:{database.port}/",
        content=f"SELECT toString({column}) FROM {table}",
        auth=(database.username, database.password or ""),
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return sorted(answer.text.split())


def recorded(gateway: Gateway, *wanted: str) -> list[str]:
    """Ids in ChatInference, when these are there; ModelInference and InferenceById agree."""
    ends = time.monotonic() + 60
    while True:
        found = ids_in(gateway, "uint_to_uuid(id_uint)", "InferenceById")
        if set(wanted) <= set(found) and (
            found
            == ids_in(gateway, "id", "ChatInference")
            == ids_in(gateway, "inference_id", "ModelInference")
        ):
            return found
        assert time.monotonic() < ends, f"only {found} of {wanted}"
        time.sleep(0.1)


def test_unset_it_answers_counts_logs_and_health_is_503(
    small_disk: Path, provider: Provider, log: Path
) -> None:
    gateway = Gateway(write_config(small_disk, provider.url), small_disk / "data", log=log)
    ids = [send(gateway, 10).json()["inference_id"]]
    assert recorded(gateway, *ids) == ids
    assert health(gateway) == 200
    done = batch(gateway, "typed")
    until(lambda: poll(gateway, done).json() != {"status": "pending"})
    assert poll(gateway, done).json()["status"] == "completed"
    pending = batch(gateway, "typed")
    ballast = fill(small_disk)
    answered = []
    for _ in range(20):
        answer = send(gateway)
        assert answer.status_code == 200
        answered.append(answer.json()["inference_id"])
    assert health(gateway) == 503
    text = log.read_text()
    counts = re.findall(r"an inference is not recorded \((\d+) so far\)", text)
    assert counts[0] == "1"
    assert "merges of the embedded database stop" in text
    called = len(provider.requests)
    refused = httpx.post(f"{gateway.url}/batch_inference", json=BATCH | {"function_name": "chat"})
    # Nobody could ever ask for what the provider would be paid for.
    assert (refused.status_code, len(provider.requests)) == (503, called)
    assert "Recording is required, and there is no room for it" in refused.json()["error"]
    assert poll(gateway, pending).status_code == 503
    assert poll(gateway, done).json()["status"] == "completed"
    ballast.unlink()
    # What the segment had room for is there, in order and once; the rest is counted as lost.
    time.sleep(0.1)
    late = send(gateway, 10).json()["inference_id"]
    of_batch = {item["inference_id"] for item in poll(gateway, done).json()["inferences"]}
    kept = [one for one in recorded(gateway, late) if one not in of_batch]
    assert set(kept) <= {*ids, *answered, late}
    dropped = len(ids) + len(answered) + 1 - len(kept)
    assert 0 < dropped < 20
    assert health(gateway) == 200
    assert gateway.stop() == 0


def test_required_it_refuses_before_a_provider_is_called(
    small_disk: Path, provider: Provider, log: Path
) -> None:
    config = write_config(small_disk, provider.url, "[gateway.observability]\nenabled = true\n")
    gateway = Gateway(config, small_disk / "data", log=log)
    ids = [send(gateway, 10).json()["inference_id"]]
    recorded(gateway, *ids)
    ballast = fill(small_disk)
    refused = 0
    for _ in range(40):
        called = len(provider.requests)
        answer = send(gateway)
        if answer.status_code == 200:
            ids.append(answer.json()["inference_id"])
            continue
        refused += 1
        assert answer.status_code == 503
        assert "`gateway.observability.enabled = true`" in answer.json()["error"]
        assert len(provider.requests) == called
    assert refused > 5
    assert health(gateway) == 503
    dryrun = {"model_name": "ok", "dryrun": True, "input": {"messages": []}}
    assert httpx.post(f"{gateway.url}/inference", json=dryrun).status_code == 200
    ballast.unlink()
    time.sleep(0.1)  # a full spool is looked at fifty times a second
    ids.append(send(gateway, 10).json()["inference_id"])
    assert health(gateway) == 200
    assert recorded(gateway, *ids) == sorted(ids)
    assert gateway.stop() == 0


def test_killed_on_a_full_disk(small_disk: Path, provider: Provider, log: Path) -> None:
    """A start without room for a segment says so; one with room finds every row."""
    gateway = Gateway(write_config(small_disk, provider.url), small_disk / "data", log=log)
    ids = [send(gateway, 10).json()["inference_id"]]
    ballast = fill(small_disk)
    ids += [send(gateway, 10).json()["inference_id"] for _ in range(20)]
    gateway.kill_all()
    with pytest.raises(AssertionError, match=r"did not start(.|\n)*(disk|space)"):
        gateway.start()
    ballast.unlink()
    gateway.start()
    assert recorded(gateway, *ids) == sorted(ids)
    assert gateway.stop() == 0
