"""A long run: load, workers and shippers killed in it, no growth, no loss."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from gateway.running import Gateway
from server.silent import body

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
CLIENTS = 8
KILL_EVERY_S = 60.0
GROWTH = 1.1
"""Of the workers' memory between a tenth of the time and its end."""


def memory_kb(pid: int) -> int:
    """Proportional memory of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError(f"no Pss of {pid}")


class Client(threading.Thread):
    """Sends until told to stop; keeps the ids it was answered in full."""

    def __init__(self, gateway: Gateway, *, stream: bool) -> None:
        super().__init__()
        self.url = f"{gateway.url}/inference"
        self.request = body("dummy::text?chunks=3", stream=stream)
        self.stopped = False
        self.answered: list[str] = []
        self.start()

    def run(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self.stopped:
                try:
                    answer = client.post(self.url, json=self.request)
                except httpx.HTTPError:
                    continue  # the worker was killed
                complete = answer.text.endswith(("[DONE]\n\n", "}"))
                if answer.status_code == 200 and complete:
                    self.answered.append(answer.text.split('"inference_id":"')[1][:36])


@pytest.mark.soak
def test_a_long_run(tmp_path: Path) -> None:
    gateway = Gateway(None, tmp_path / "data", workers=2)
    rng = random.Random(1)
    clients = [Client(gateway, stream=number % 2 == 0) for number in range(CLIENTS)]
    try:
        time.sleep(SECONDS / 10)
        steady = gateway.children("tensorzero.server.worker")[0]
        early = memory_kb(steady)
        ends = time.monotonic() + SECONDS * 0.9
        while time.monotonic() < ends:
            time.sleep(min(KILL_EVERY_S, ends - time.monotonic()))
            module = rng.choice(["worker", "shipping"])
            victims = set(gateway.children(f"tensorzero.server.{module}")) - {steady}
            for victim in sorted(victims)[:1]:
                os.kill(victim, signal.SIGKILL)
        late = memory_kb(steady)
    finally:
        for client in clients:
            client.stopped = True
        for client in clients:
            client.join()
    assert gateway.stop() == 0
    answered = {found for client in clients for found in client.answered}
    assert len(answered) > SECONDS
    for table, column in (("ChatInference", "id"), ("ModelInference", "inference_id")):
        ids = [row[0] for row in gateway.query(f"SELECT toString({column}) FROM {table}")]
        assert len(ids) == len(set(ids)), f"doubled rows in {table}"
        assert answered <= set(ids), f"rows are missing in {table}"
    assert late <= early * GROWTH, f"a worker grew from {early} to {late} KiB"
