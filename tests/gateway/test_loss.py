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
METRIC = '[metrics.good]\ntype = "boolean"\noptimize = "max"\nlevel = "inference"\n'


class Load:
    """Clients that send until told to stop, and keep the ids they were answered: inferences, and
    feedback on what any of them has just been answered."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.stopped = False
        self.answered: list[str] = []
        self.feedback: list[str] = []
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
                self._give_feedback(client, number)

    def _give_feedback(self, client: httpx.Client, number: int) -> None:
        about = self.answered[-1]
        body = {"metric_name": "good", "value": number % 2 == 0, "inference_id": about}
        try:
            answer = client.post(f"{self.gateway.url}/feedback", json=body)
        except httpx.HTTPError:
            return
        if answer.status_code == 200:
            self.feedback.append(answer.json()["feedback_id"])
        else:
            assert answer.status_code >= 500, answer.text

    def stop(self) -> None:
        self.stopped = True
        for thread in self.threads:
            thread.join()


def check(gateway: Gateway, answered: list[str], feedback: list[str]) -> None:
    """Every answered id once in each table, and the statistics count each feedback once."""
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
    counts = set()
    for table, column in (
        ("BooleanMetricFeedback", "id"),
        ("BooleanMetricFeedbackByTargetId", "id"),
        ("BooleanMetricFeedbackByVariant", "uint_to_uuid(id_uint)"),
    ):
        ids = [row[0] for row in gateway.query(f"SELECT toString({column}) FROM {table}")]
        assert len(ids) == len(set(ids)), f"doubled rows in {table}"
        missing = set(feedback) - set(ids)
        assert not missing, f"{len(missing)} of {len(feedback)} answered ids are not in {table}"
        counts.add(str(len(ids)))
    [statistics] = gateway.query("SELECT sum(count) FROM FeedbackByVariantStatistics")
    assert counts == set(statistics)


@pytest.mark.parametrize("victim", ["everything", "supervisor", "worker", "shipper"])
def test_kill_9(victim: str, provider: Provider, tmp_path: Path) -> None:
    rng = random.Random(victim)
    config = write_config(tmp_path, provider.url, METRIC)
    gateway = Gateway(config, tmp_path / "data", workers=2)
    answered: list[str] = []
    feedback: list[str] = []
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
        load.stop()
        answered += load.answered
        feedback += load.feedback
        if victim in ("everything", "supervisor"):
            gateway.start()
    assert len(answered) > 50
    assert len(feedback) > 20
    assert gateway.stop() == 0
    check(gateway, answered, feedback)
