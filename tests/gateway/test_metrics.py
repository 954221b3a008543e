"""``GET /metrics``: what is counted, under which labels, over all workers and their deaths."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.provider import Provider
from gateway.running import Gateway, write_config

ASK = {"input": {"messages": [{"role": "user", "content": "hi"}]}}
CHAT = {**ASK, "function_name": "chat"}
REQUESTS = 'tensorzero_requests_total{endpoint="inference",function_name="chat"}'
INFERENCES = 'tensorzero_inferences_total{endpoint="inference",function_name="chat"}'


@pytest.fixture(scope="module")
def pair(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of two workers."""
    folder: Path = tmp_path_factory.mktemp("metrics")
    running = Gateway(write_config(folder, provider.url), folder / "data", workers=2)
    yield running
    assert running.stop() == 0


def figures(gateway: Gateway) -> dict[str, float]:
    response = httpx.get(f"{gateway.url}/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in response.text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def gained(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {
        name: value - before.get(name, 0.0)
        for name, value in after.items()
        if value != before.get(name, 0.0)
    }


def test_an_inference_is_counted_with_its_tokens_and_its_overhead(pair: Gateway) -> None:
    before = figures(pair)
    assert pair.post(CHAT).status_code == 200
    new = gained(before, figures(pair))
    assert new[REQUESTS] == new[INFERENCES] == 1
    assert new["tensorzero_input_tokens_total"] > 0
    assert new["tensorzero_output_tokens_total"] > 0
    labels = 'function_name="chat",variant_name="v"'
    overhead = "tensorzero_inference_latency_overhead_seconds"
    assert new[f'{overhead}_bucket{{{labels},le="+Inf"}}'] == 1
    assert new[f"{overhead}_count{{{labels}}}"] == 1
    assert 0 < new[f"{overhead}_sum{{{labels}}}"] < 5


def test_the_buckets_are_those_of_the_contract(pair: Gateway) -> None:
    pair.post(CHAT)
    text = httpx.get(f"{pair.url}/metrics").text
    assert "# TYPE tensorzero_inference_latency_overhead_seconds histogram" in text
    assert "# TYPE tensorzero_requests_total counter" in text
    bounds = re.findall(r'_bucket\{function_name="chat",variant_name="v",le="([^"]+)"\}', text)
    assert bounds == ["0.001", "0.01", "0.1", "+Inf"]


def test_the_overhead_leaves_the_provider_out(pair: Gateway) -> None:
    name = 'tensorzero_inference_latency_overhead_seconds_sum{function_name="tensorzero::default"'
    before = figures(pair)
    started = time.monotonic()
    body = {**ASK, "model_name": "dummy::text?latency_ms=0"}
    assert pair.post(body).status_code == 200
    slow = {**ASK, "model_name": "slow"}
    answer = pair.post(slow)
    assert answer.status_code == 200, answer.text
    elapsed = time.monotonic() - started
    new = gained(before, figures(pair))
    spent = sum(value for key, value in new.items() if key.startswith(name))
    assert elapsed > 0.5
    assert spent < elapsed / 2


def test_failures_count_and_refusals_and_dryruns_do_not(pair: Gateway) -> None:
    before = figures(pair)
    assert pair.post({**ASK, "model_name": "status-500"}).status_code == 502
    assert pair.post({**CHAT, "dryrun": True}).status_code == 200
    assert pair.post({**CHAT, "variant_name": "nope"}).status_code == 404
    assert pair.post({**CHAT, "episode_id": "not an id"}).status_code == 400
    new = gained(before, figures(pair))
    default = 'endpoint="inference",function_name="tensorzero::default",model_name="status-500"'
    assert new[f"tensorzero_requests_total{{{default}}}"] == 1
    assert REQUESTS not in new
    # A dryrun's tokens were spent all the same.
    assert new["tensorzero_input_tokens_total"] > 0


def test_figures_are_summed_over_workers_and_survive_their_death(pair: Gateway) -> None:
    before = figures(pair)[REQUESTS]
    with httpx.Client() as first, httpx.Client() as second:
        for _ in range(20):
            for client in (first, second):
                client.post(f"{pair.url}/inference", json=CHAT)
    assert {figures(pair)[REQUESTS] for _ in range(10)} == {before + 40}
    for process in pair.children("tensorzero.server.worker"):
        os.kill(process, signal.SIGKILL)
    ends = time.monotonic() + 30
    while True:
        try:
            assert figures(pair)[REQUESTS] == before + 40
            break
        except httpx.TransportError:
            assert time.monotonic() < ends
            time.sleep(0.1)


def test_other_methods_are_refused(pair: Gateway) -> None:
    response = httpx.post(f"{pair.url}/metrics")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET,HEAD"
