"""Two gateways on one database poll one batch in the same moment: its results are there once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.clickhouse import ClickHouse
from gateway.running import Gateway, until

CONFIG = """
[functions.echo]
type = "chat"
[functions.echo.variants.v]
type = "chat_completion"
model = "echo"
[functions.extract]
type = "json"
[functions.extract.variants.v]
type = "chat_completion"
model = "json"
json_mode = "strict"
[models.echo]
routing = ["p"]
[models.echo.providers.p]
type = "dummy"
model_name = "echo?polls=0"
[models.json]
routing = ["p"]
[models.json.providers.p]
type = "dummy"
model_name = "json?polls=0"
"""
# Another price: the two write other bytes for the same rows.
PRICE = "cost = [{ pointer = '/usage/prompt_tokens', cost_per_million = 2.0 }]\n"
MODELS = {"echo": "echo", "extract": "json"}
INPUTS = 40
ROUNDS = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    made = ClickHouse(tmp_path_factory.mktemp("shared"))
    yield made
    made.kill()


@pytest.fixture(scope="module")
def gateways(
    server: ClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Gateway]]:
    running: list[Gateway] = []
    try:
        for price in ("", PRICE):
            folder = tmp_path_factory.mktemp("gateway")
            config = folder / "tensorzero.toml"
            config.write_text(CONFIG.replace('type = "dummy"\n', 'type = "dummy"\n' + price))
            running.append(Gateway(config, folder / "data", environment=server.environment))
        yield running
    finally:
        stopped = [gateway.stop() for gateway in running]
    assert stopped == [0, 0]


def start(gateway: Gateway, function: str, count: int = INPUTS) -> Any:
    inputs = [{"messages": [{"role": "user", "content": str(n)}]} for n in range(count)]
    body = {"function_name": function, "inputs": inputs, "tags": [{"k": "v"}] * count}
    result = httpx.post(f"{gateway.url}/batch_inference", json=body, timeout=60)
    assert result.status_code == 200, result.text
    return result.json()


def poll(gateway: Gateway, batch: str) -> Any:
    return httpx.get(f"{gateway.url}/batch_inference/{batch}", timeout=60).json()


def check_rows(server: ClickHouse, batch: str, table: str, count: int) -> None:
    """Every result is in every table and view's target once, and the batch completed once."""
    of_batch = f"(SELECT * FROM BatchModelInference WHERE batch_id = '{batch}')"
    ids_of = f"IN (SELECT inference_id FROM {of_batch})"
    for name, column in (
        (table, "id"),
        ("ModelInference", "inference_id"),
        ("InferenceById", "uint_to_uuid(id_uint)"),
        ("InferenceByEpisodeId", "uint_to_uuid(id_uint)"),
        ("InferenceTag", "inference_id"),
        ("TagInference", "inference_id"),
    ):
        found = server.count(f"SELECT count() FROM {name} WHERE {column} {ids_of}")
        assert (name, found) == (name, count)
    episodes = server.count(
        "SELECT sum(length(ids)) FROM (SELECT groupArrayMerge(inference_ids) AS ids FROM "
        "EpisodeById WHERE uint_to_uuid(episode_id_uint) IN "
        f"(SELECT episode_id FROM {of_batch}) GROUP BY episode_id_uint)"
    )
    assert episodes == count
    final = f"SELECT count() FROM BatchRequest WHERE batch_id = '{batch}' AND status"
    assert server.count(f"{final} = 'completed'") == 1


def counted(server: ClickHouse, function: str) -> list[int]:
    """Inferences in the statistics. These hold no ids: a row counted twice would stay so."""
    return [
        server.count(f"SELECT countMerge(count) FROM {table} WHERE {key}")
        for table, key in (
            ("VariantStatistics", f"function_name = '{function}'"),
            ("ModelProviderStatistics", f"model_name = '{MODELS[function]}'"),
        )
    ]


def test_polls_of_two_gateways_record_once(server: ClickHouse, gateways: list[Gateway]) -> None:
    with ThreadPoolExecutor(4) as pool:
        for number in range(ROUNDS):
            function = ("echo", "extract")[number % 2]
            started = start(gateways[number % 2], function)
            batch = started["batch_id"]
            barrier = threading.Barrier(4)

            def one(client: int, batch: str = batch, barrier: threading.Barrier = barrier) -> Any:
                barrier.wait()
                return poll(gateways[client % 2], batch)

            for answer in pool.map(one, range(4)):
                assert answer["status"] == "completed", answer
                ids = [item["inference_id"] for item in answer["inferences"]]
                assert ids == started["inference_ids"]
                assert {item["usage"]["input_tokens"] for item in answer["inferences"]} == {1}
            table = {"echo": "ChatInference", "extract": "JsonInference"}[function]
            check_rows(server, batch, table, INPUTS)
            assert counted(server, function) == [INPUTS * (number // 2 + 1)] * 2


def holds(spool: Path, needle: bytes) -> bool:
    for file in spool.rglob("*.seg"):
        with contextlib.suppress(FileNotFoundError):  # shipped meanwhile
            if needle in file.read_bytes():
                return True
    return False


def test_one_is_killed_while_both_record(server: ClickHouse, gateways: list[Gateway]) -> None:
    """What its spool holds reaches the database after the other one's."""
    count = 1100
    before = counted(server, "echo")
    first, second = gateways
    started = start(second, "echo", count)
    batch = started["batch_id"]
    with ThreadPoolExecutor(2) as pool:
        left = pool.submit(poll, first, batch)
        right = pool.submit(poll, second, batch)
        ends = time.monotonic() + 60
        while not holds(first.data_dir / "spool", f" {batch}:".encode()):
            assert time.monotonic() < ends
        first.kill_all()
        with contextlib.suppress(httpx.HTTPError):
            left.result()
        answer = right.result()
    assert [item["inference_id"] for item in answer["inferences"]] == started["inference_ids"]
    first.start()
    marker = first.post({"function_name": "extract", "input": {"messages": []}}).json()
    there = f"SELECT count() FROM JsonInference WHERE id = '{marker['inference_id']}'"
    until(lambda: server.count(there) > 0)
    assert poll(first, batch) == answer
    check_rows(server, batch, "ChatInference", count)
    assert counted(server, "echo") == [one + count for one in before]
