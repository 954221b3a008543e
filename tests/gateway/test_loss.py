"""Nothing that a client has been answered is lost or doubled, whatever is killed and when."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from gateway.provider import Provider
from gateway.running import Gateway, write_config

MOMENTS = 20


class Load:
    """Clients that send until told to stop, and keep the ids they were answered."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.stopped = False
        self.answered: list[str] = []
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(4)]
        for thread in self.threads:
            thread.start()

    def _run(self, number: int) -> None:
        body = {
            "model_name": "dummy::text?chunks=3",
            "input": {"messages": [{"role": "user", "content": "hi"}]},
            "stream": number % 2 == 0,
        }
        with httpx.Client(timeout=10) as client:
            while not self.stopped:
                try:
                    answer = client.post(f"{self.gateway.url}/inference", json=body)
                except httpx.HTTPError:
                    time.sleep(0.02)
                    continue
                if answer.status_code != 200:
                    continue
                if body["stream"]:
                    if "data: [DONE]" not in answer.text:
                        continue
                    self.answered.append(answer.text.split('"inference_id":"')[1][:36])
                else:
                    self.answered.append(answer.json()["inference_id"])

    def stop(self) -> list[str]:
        self.stopped = True
        for thread in self.threads:
            thread.join()
        return self.answered


def check(gateway: Gateway, answered: list[str]) -> None:
    """Every answered id once in each table."""
    for table, column in (("ChatInference", "id"), ("ModelInference", "inference_id")):
        rows = gateway.query(f"SELECT toString({column}) FROM {table}")
        ids = [row[0] for row in rows]
        assert len(ids) == len(set(ids)), f"doubled rows in {table}"
        missing = set(answered) - set(ids)
        assert not missing, f"{len(missing)} of {len(answered)} answered ids are not in {table}"
    by_id = gateway.query("SELECT toString(uint_to_uuid(id_uint)) FROM InferenceById")
    ids = [row[0] for row in by_id]
    assert len(ids) == len(set(ids)), "doubled rows in InferenceById"
    assert set(answered) <= set(ids)


@pytest.mark.parametrize("victim", ["everything", "supervisor", "worker", "shipper"])
def test_kill_9(victim: str, provider: Provider, tmp_path: Path) -> None:
    rng = random.Random(victim)
    gateway = Gateway(write_config(tmp_path, provider.url), tmp_path / "data", workers=2)
    answered: list[str] = []
    for _ in range(MOMENTS // 4):
        load = Load(gateway)
        time.sleep(0.3 + rng.random() * 0.9)
        assert gateway.process is not None
        if victim == "everything":
            gateway.kill_all()
        elif victim == "supervisor":
            os.kill(gateway.process.pid, signal.SIGKILL)
            gateway.process.wait()
        else:
            module = "worker" if victim == "worker" else "shipping"
            os.kill(rng.choice(gateway.children(f"tensorzero.server.{module}")), signal.SIGKILL)
            time.sleep(0.5)
        answered += load.stop()
        if victim in ("everything", "supervisor"):
            gateway.start()
    assert len(answered) > 50
    assert gateway.stop() == 0
    check(gateway, answered)
