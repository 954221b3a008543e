"""No datapoint that was answered is lost, doubled or in an earlier state, whatever is killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from gateway.datapoints import chat
from gateway.provider import Provider
from gateway.running import Gateway, write_config

PATH = "/v1/datasets/loss/datapoints"


class Load:
    """Clients that create, update and delete, and keep the state that each id was left in."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.stopped = False
        self.live: set[str] = set()
        self.stale: set[str] = set()
        self.unknown: set[str] = set()
        self.threads = [threading.Thread(target=self._run) for _ in range(3)]
        for thread in self.threads:
            thread.start()

    def _run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self.stopped:
                try:
                    self._once(client)
                except httpx.HTTPError:
                    time.sleep(0.05)

    def _once(self, client: httpx.Client) -> None:
        created = self._ask(client, "POST", {"datapoints": [chat(), chat(), chat()]})
        if created is None:
            return
        kept, updated, deleted = created["ids"]
        self.live |= {kept, updated, deleted}
        for id_, method, body in (
            (updated, "PATCH", {"datapoints": [{"type": "chat", "id": updated, "name": "n"}]}),
            (deleted, "DELETE", {"ids": [deleted]}),
        ):
            self.live.discard(id_)
            self.unknown.add(id_)  # until it is answered
            changed = self._ask(client, method, body)
            if changed is None or changed.get("num_deleted_datapoints") == 0:
                continue
            self.live |= set(changed.get("ids", ()))
            self.stale.add(id_)

    def _ask(self, client: httpx.Client, method: str, body: Any) -> Any:
        answer = client.request(method, f"{self.gateway.url}{PATH}", json=body)
        return answer.json() if answer.status_code == 200 else None

    def stop(self) -> None:
        self.stopped = True
        for thread in self.threads:
            thread.join()


def test_kill_9(provider: Provider, tmp_path: Path) -> None:
    rng = random.Random("datapoints")
    gateway = Gateway(write_config(tmp_path, provider.url), tmp_path / "data", workers=2)
    loads: list[Load] = []
    for victim in ("everything", "worker", "shipping"):
        load = Load(gateway)
        loads.append(load)
        time.sleep(0.5 + rng.random() * 0.5)
        if victim == "everything":
            gateway.kill_all()
        else:
            os.kill(rng.choice(gateway.children(f"tensorzero.server.{victim}")), signal.SIGKILL)
            time.sleep(0.5)
        load.stop()
        if victim == "everything":
            gateway.start()
    live = set[str]().union(*(load.live for load in loads))
    stale = set[str]().union(*(load.stale for load in loads))
    assert len(live) > 10
    assert len(stale) > 5
    assert gateway.stop() == 0
    rows = gateway.query("SELECT toString(id), staled_at IS NULL FROM ChatInferenceDatapoint FINAL")
    found = dict(rows)
    assert len(found) == len(rows), "doubled datapoints"
    assert live <= {id_ for id_, is_live in rows if is_live != "0"}
    assert stale <= {id_ for id_, is_live in rows if is_live == "0"}
    doubled = "SELECT count() - uniqExact(id, updated_at) FROM ChatInferenceDatapoint"
    assert gateway.query(doubled) == [["0"]]


def test_a_database_that_is_slow_to_confirm(gateway: Gateway) -> None:
    """The answer waits for it, not for ever: what was answered is there once it is back."""
    (shipper,) = gateway.children("tensorzero.server.shipping")
    os.kill(shipper, signal.SIGSTOP)
    try:
        body = {"datapoints": [chat(name="late")]}
        answer = httpx.post(f"{gateway.url}{PATH}", json=body, timeout=60)
    finally:
        os.kill(shipper, signal.SIGCONT)
    assert answer.status_code == 200
    assert "the database did not confirm what was recorded in 5 s" in gateway.log()
    (id_,) = answer.json()["ids"]
    found = f"SELECT count() FROM ChatInferenceDatapoint WHERE id = '{id_}'"
    gateway.wait_for(found, "1", timeout_s=60)
