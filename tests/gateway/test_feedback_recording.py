"""Feedback while the database, a shipper or a gateway is away; several workers and gateways."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.clickhouse import ClickHouse
from gateway.feedback_calls import OLD
from gateway.provider import Provider
from gateway.running import Gateway, write_config

METRICS = """
[metrics.good]
type = "boolean"
optimize = "max"
level = "inference"
[metrics.won]
type = "boolean"
optimize = "max"
level = "episode"
"""
ASK = {"model_name": "dummy::text", "input": {"messages": [{"role": "user", "content": "hi"}]}}


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouse]:
    server = ClickHouse(tmp_path / "clickhouse")
    yield server
    server.kill()


def start(
    folder: Path, provider: Provider, server: ClickHouse, name: str, extra: str = ""
) -> Gateway:
    config = folder / f"config-{name}"
    config.mkdir()
    return Gateway(
        write_config(config, provider.url, extra + METRICS),
        folder / name,
        workers=2,
        environment=server.environment,
        log=folder / f"{name}.log",
    )


def ask(gateway: Gateway, **fields: Any) -> dict[str, str]:
    # A connection of its own each time: any worker may take it.
    answer = httpx.post(f"{gateway.url}/inference", json=ASK | fields, timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def feedback(gateway: Gateway, **fields: Any) -> httpx.Response:
    return httpx.post(f"{gateway.url}/feedback", json=fields, timeout=30)


def given(gateway: Gateway, metric: str, **fields: Any) -> str:
    answer = feedback(gateway, **({"metric_name": metric, "value": True} | fields))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["feedback_id"])


def arrive(server: ClickHouse, table: str, ids: list[str], column: str = "id") -> None:
    """All of them once, and nothing else."""
    sql = f"SELECT toString({column}) FROM {table}"
    ends = time.monotonic() + 60
    while sorted(rows := [row[0] for row in server.query(sql)]) != sorted(ids):
        assert time.monotonic() < ends, f"{table} has {len(rows)} rows, not {len(ids)}"
        time.sleep(0.1)


def test_an_outage(tmp_path: Path, provider: Provider, clickhouse: ClickHouse) -> None:
    """Feedback on what has been recorded is taken without a database, by a gateway that was
    killed and started again too; all of it is behind its inferences in the end."""
    gateway = start(tmp_path, provider, clickhouse, "gateway")
    try:
        clickhouse.kill()
        targets = [ask(gateway) for _ in range(10)]
        good = [given(gateway, "good", inference_id=entry["inference_id"]) for entry in targets]
        won = [given(gateway, "won", episode_id=entry["episode_id"]) for entry in targets]
        fields = {"inference_id": targets[0]["inference_id"], "value": "better"}
        demonstrations = [given(gateway, "demonstration", **fields)]
        unknown = feedback(gateway, metric_name="good", value=True, inference_id=OLD)
        assert unknown.status_code == 503, unknown.text
        gateway.kill_all()
        gateway.start()
        good += [given(gateway, "good", inference_id=entry["inference_id"]) for entry in targets]
        won += [given(gateway, "won", episode_id=targets[7]["episode_id"])]
        comments = [given(gateway, "comment", **fields)]
        demonstrations += [given(gateway, "demonstration", **fields)]
        clickhouse.start()
        arrive(clickhouse, "BooleanMetricFeedback", good + won)
        arrive(clickhouse, "BooleanMetricFeedbackByVariant", good + won, "uint_to_uuid(id_uint)")
        arrive(clickhouse, "CommentFeedback", comments)
        arrive(clickhouse, "DemonstrationFeedback", demonstrations)
        counted = clickhouse.count("SELECT sum(count) FROM FeedbackByVariantStatistics")
        assert counted == len(good + won)
        assert gateway.stop() == 0
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill_all()


def test_two_gateways_on_one_database(
    tmp_path: Path, provider: Provider, clickhouse: ClickHouse
) -> None:
    """What the other one has not shipped yet is waited for; then its feedback is behind it."""
    first = start(tmp_path, provider, clickhouse, "first")
    unchecked = "[gateway]\nunstable_disable_feedback_target_validation = true\n"
    second = start(tmp_path, provider, clickhouse, "second")
    lax = start(tmp_path, provider, clickhouse, "lax", unchecked)
    try:
        [shipper] = first.children("tensorzero.server.shipping")
        os.kill(shipper, signal.SIGSTOP)
        target = ask(first)
        threading.Timer(1.0, os.kill, (shipper, signal.SIGCONT)).start()
        began = time.monotonic()
        ids = [given(second, "good", inference_id=target["inference_id"])]
        assert time.monotonic() - began > 0.7
        ids.append(given(second, "won", episode_id=target["episode_id"]))
        arrive(clickhouse, "BooleanMetricFeedbackByVariant", ids, "uint_to_uuid(id_uint)")

        # One that does not look takes anything but demonstrations.
        nowhere = str(uuid4())
        ids.append(given(lax, "good", inference_id=nowhere))
        comment = given(lax, "comment", episode_id=nowhere, value="c")
        tags = {"human_feedback": "true", "datapoint_id": OLD, "evaluator_inference_id": OLD}
        human = {f"tensorzero::{key}": value for key, value in tags.items()}
        ids.append(given(lax, "good", inference_id=OLD, internal=True, tags=human))
        arrive(clickhouse, "BooleanMetricFeedback", ids)
        arrive(clickhouse, "CommentFeedback", [comment])
        for id_, text in ((nowhere, "Failed to parse UUID as v7"), (OLD, "does not exist")):
            answer = feedback(lax, metric_name="demonstration", value="x", inference_id=id_)
            assert answer.status_code == 400
            assert text in answer.json()["error"]
        assert clickhouse.count("SELECT count() FROM StaticEvaluationHumanFeedback") == 0
        for gateway in (first, second, lax):
            assert gateway.stop() == 0
    finally:
        for gateway in (first, second, lax):
            if gateway.process is not None and gateway.process.poll() is None:
                gateway.kill_all()
