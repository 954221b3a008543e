"""Supervisor and workers: restart, orderly and hasty stops, the supervisor's own death."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from gateway.running import Gateway
from server.silent import body, silent
from tensorzero.server.supervisor import (
    FIRST_PAUSE_S,
    FREE_RESTARTS,
    LAST_PAUSE_S,
    WINDOW_S,
    restart_pause_s,
)

WORKER = "tensorzero.server.worker"
SLOW = body("dummy::text?text=abcdefgh&chunks=8&interval_ms=250", stream=True)


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 40) -> None:
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, what
        time.sleep(0.02)


def refuses(gateway: Gateway) -> bool:
    """No new connection is taken any more."""
    try:
        socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))).close()
    except ConnectionRefusedError:
        return True
    return False


class Stream(threading.Thread):
    """Reads a slow stream to its end; ``begun`` is set with the first piece."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self.url = f"{gateway.url}/inference"
        self.begun = threading.Event()
        self.text = ""
        self.error: httpx.HTTPError | None = None
        self.start()
        assert self.begun.wait(30)

    def run(self) -> None:
        try:
            with httpx.stream("POST", self.url, json=SLOW, timeout=60) as answer:
                for piece in answer.iter_text():
                    self.text += piece
                    self.begun.set()
        except httpx.HTTPError as error:
            self.error = error


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Gateway]:
    gateway = silent(tmp_path, workers=2)
    yield gateway
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.kill_all()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_finishes_what_runs(running: Gateway, number: signal.Signals) -> None:
    assert running.process is not None
    stream = Stream(running)
    sent = time.monotonic()
    # To the whole group, as a terminal does.
    os.killpg(running.process.pid, number)
    wait_until(lambda: refuses(running), "new connections are still taken")
    if number == signal.SIGHUP:
        assert time.monotonic() - sent > 0.9
    stream.join(60)
    assert running.process.wait(30) == 0
    assert stream.error is None
    assert stream.text.endswith("data: [DONE]\n\n")
    assert stream.text.count('"usage"') == 1


def test_a_second_signal_ends_at_once(running: Gateway) -> None:
    assert running.process is not None
    stream = Stream(running)
    running.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "finishing running requests" in running.log(), "the first is not heard")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 128 + signal.SIGTERM
    stream.join(60)
    assert "[DONE]" not in stream.text
    assert running.children(WORKER) == []


def test_the_supervisors_death_ends_its_children_in_order(running: Gateway) -> None:
    assert running.process is not None
    workers = running.children(WORKER)
    assert len(workers) == 2
    stream = Stream(running)
    running.process.kill()
    running.process.wait()
    wait_until(lambda: refuses(running), "orphans still take connections")
    stream.join(60)
    assert stream.text.endswith("data: [DONE]\n\n")
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "orphans live on")


def test_a_dead_worker_is_replaced_with_the_configuration_of_the_start(tmp_path: Path) -> None:
    gateway = silent(
        tmp_path,
        '[functions.f]\ntype = "chat"\n[functions.f.variants.v]\n'
        'type = "chat_completion"\nmodel = "dummy::text"\n',
    )
    before = httpx.get(f"{gateway.url}/status").json()
    (victim,) = gateway.children(WORKER)
    gateway.config.write_text("this is no TOML")  # type: ignore[union-attr]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: "the worker runs again" in gateway.log(), "it is not restarted")
    assert "killed by SIGKILL" in gateway.log()
    assert gateway.children(WORKER) != [victim]
    assert httpx.get(f"{gateway.url}/status", timeout=30).json() == before
    answer = gateway.post({"function_name": "f", "input": body()["input"]}, timeout_s=30)
    assert answer.status_code == 200
    assert gateway.stop() == 0


def test_one_dead_worker_of_two_is_not_missed(running: Gateway) -> None:
    victim = running.children(WORKER)[0]
    os.kill(victim, signal.SIGKILL)
    for _ in range(20):
        # A request that was on its way to the dead one may fail; new connections never do.
        assert httpx.get(f"{running.url}/status", timeout=30).status_code == 200
    wait_until(lambda: "the worker runs again" in running.log(), "it is not restarted")
    assert len(running.children(WORKER)) == 2
    assert running.stop() == 0


def test_pauses_grow_only_for_children_that_end_too_often() -> None:
    ends: deque[float] = deque()
    pauses = []
    now = 0.0
    for _ in range(FREE_RESTARTS + 10):
        ends.append(now)
        pauses.append(restart_pause_s(ends))
        now += pauses[-1]
    assert pauses[:FREE_RESTARTS] == [FIRST_PAUSE_S] * FREE_RESTARTS
    assert pauses[FREE_RESTARTS] == 2 * FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_PAUSE_S
    ends.append(now + WINDOW_S + 1000)
    assert restart_pause_s(ends) == FIRST_PAUSE_S
