"""A database that an older gateway has made and filled: migrated by two gateways that start at
once, read, and gone on in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from cli.command import tensorzero
from gateway.clickhouse import ClickHouse
from gateway.running import Gateway, write_config
from storage.schema.databases import insert, reverse_to, uuid7
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.schema.migrations import MIGRATION_IDS, migrate
from tensorzero.storage.schema.tables import TABLES

YEAR_AGO_MS = int(time.time() * 1000) - 365 * 24 * 3600 * 1000
POINTER = {"kind": {"type": "filesystem", "path": "/files"}, "path": "observability/a.png"}
NAMES = ("plain", "arguments", "image", "tools", "json")
OLD = {name: str(uuid7(YEAR_AGO_MS + 1000 * at)) for at, name in enumerate(NAMES)}
EPISODE = str(uuid7(YEAR_AGO_MS - 1000))
LEGACY_TOOLS = {
    "tools_available": [
        {"description": "Weather", "parameters": {}, "name": "weather", "strict": False}
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": None,
}


def _input(*blocks: Any) -> str:
    return orjson.dumps({"messages": [{"role": "user", "content": list(blocks)}]}).decode()


def _chat(name: str, given: str, **columns: Any) -> dict[str, Any]:
    return {
        "id": OLD[name],
        "function_name": "typed",
        "variant_name": "v",
        "episode_id": EPISODE,
        "input": given,
        "output": '[{"type":"text","text":"old"}]',
        "tool_params": "",
        "inference_params": '{"chat_completion":{"json_mode":"implicit_tool"}}',
        "processing_time_ms": 3,
        **columns,
    }


def _fill(db: RemoteDatabase) -> None:
    """Rows as versions of the last years have written them: no hashes, no tool columns, old
    spellings of blocks; columns that came later are not there."""
    call = {"type": "tool_call", "id": "c", "name": "weather", "arguments": "{}"}
    answered = {**call, "raw_name": "weather", "raw_arguments": "{}", "arguments": {}}
    insert(
        db,
        "ChatInference",
        _chat("plain", _input({"type": "text", "value": "hi"}), tags={"team": "a"}),
        _chat("arguments", _input({"type": "text", "value": {"name": "Ann"}})),
        _chat(
            "image",
            _input(
                {
                    "type": "image",
                    "image": {"url": "https://example.com/a.png", "mime_type": "image/png"},
                    "storage_path": POINTER,
                }
            ),
        ),
        _chat(
            "tools",
            _input({"type": "text", "text": "weather?"}, {**call, "arguments": {"a": 1}}),
            output=orjson.dumps([answered]).decode(),
            tool_params=orjson.dumps(LEGACY_TOOLS).decode(),
        ),
    )
    json_row = _chat("json", _input({"type": "text", "value": "Ann"}), function_name="extract")
    del json_row["tool_params"]
    schema = {"output_schema": '{"type":"object"}', "auxiliary_content": ""}
    output = '{"raw":"{}","parsed":{}}'
    insert(db, "JsonInference", {**json_row, **schema, "output": output})
    insert(
        db,
        "ModelInference",
        *(
            {
                "id": str(uuid7(YEAR_AGO_MS + 5000)),
                "inference_id": id_,
                "raw_request": "{}",
                "raw_response": "{}",
                "model_name": "m",
                "model_provider_name": "p",
                "input_tokens": 7,
                "output_tokens": 3,
                "input_messages": "[]",
                "output": "[]",
            }
            for id_ in OLD.values()
        ),
    )
    metric = {"target_id": OLD["plain"], "metric_name": "stars"}
    insert(db, "FloatMetricFeedback", {"id": str(uuid7(YEAR_AGO_MS + 9000)), "value": 2, **metric})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    made = ClickHouse(tmp_path_factory.mktemp("old-server"))
    with RemoteDatabase(DatabaseURL.parse(made.url)) as db:
        migrate(db, version="2025.1.0")
        reverse_to(db, 44)
        for table in TABLES:
            if db.command(f"EXISTS TABLE {table.name}") == "1\n":
                db.command(
                    f"ALTER TABLE {table.name} RESET SETTING non_replicated_deduplication_window"
                )
        _fill(db)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def pair(server: ClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Gateway]]:
    """Two gateways with data directories of their own, started at the same time."""
    folders = [tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")]

    def run(folder: Path) -> Gateway:
        metrics = '[metrics.stars]\ntype = "float"\nlevel = "inference"\noptimize = "max"\n'
        config = write_config(folder, "http://127.0.0.1:9", metrics)
        return Gateway(config, folder / "data", environment=server.environment)

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(run, folders))
    yield both
    assert [gateway.stop() for gateway in both] == [0, 0]


def _post(gateway: Gateway, path: str, **body: Any) -> Any:
    answer = httpx.post(f"{gateway.url}{path}", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _stars(gateway: Gateway, wanted: set[str]) -> None:
    """Wait until the filter on the newest ``stars`` above 3 finds these inferences."""
    above = {"type": "float_metric", "metric_name": "stars", "value": 3.0}
    ends = time.monotonic() + 60
    while True:
        found = _post(
            gateway,
            "/v1/inferences/list_inferences",
            function_name="typed",
            output_source="inference",
            filters={**above, "comparison_operator": ">"},
        )["inferences"]
        if {row["inference_id"] for row in found} == wanted:
            return
        assert time.monotonic() < ends, found
        time.sleep(0.1)


def test_both_migrate_once(server: ClickHouse, pair: list[Gateway]) -> None:
    """Each step's effect is there once, rows are as they were, new columns have their defaults."""
    assert server.count("SELECT uniqExact(migration_id) FROM TensorZeroMigration") == 47
    recorded = server.query("SELECT DISTINCT migration_id FROM TensorZeroMigration ORDER BY 1")
    assert [int(row[0]) for row in recorded] == list(MIGRATION_IDS)
    assert server.count("SELECT count() FROM ChatInference") == 4
    assert server.count("SELECT count() FROM ModelInference WHERE function_name = ''") == 5
    assert server.count("SELECT countMerge(count) FROM ModelProviderStatistics") == 5
    # From here on a batch in doubt can be sent again.
    without = "create_table_query NOT LIKE '%non_replicated_deduplication_window%'"
    assert (
        server.count(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() "
            f"AND engine LIKE '%MergeTree' AND {without}"
        )
        == 0
    )


def test_old_rows_are_read_in_todays_form(pair: list[Gateway]) -> None:
    listed = _post(
        pair[0],
        "/v1/inferences/get_inferences",
        ids=list(OLD.values()),
        output_source="inference",
    )["inferences"]
    rows = {row["inference_id"]: row for row in listed}
    assert rows.keys() == set(OLD.values())
    blocks = {name: rows[id_]["input"]["messages"][0]["content"] for name, id_ in OLD.items()}
    assert blocks["plain"] == [{"type": "text", "text": "hi"}]
    assert blocks["arguments"] == [
        {"type": "template", "name": "user", "arguments": {"name": "Ann"}}
    ]
    assert blocks["image"][0]["type"] == "file"
    assert blocks["image"][0]["source_url"] == "https://example.com/a.png"
    assert blocks["image"][0]["storage_path"] == POINTER
    assert blocks["tools"][1]["arguments"] == '{"a":1}'
    assert rows[OLD["tools"]]["tool_choice"] == "auto"
    assert rows[OLD["tools"]]["output"][0]["arguments"] == {}
    assert rows[OLD["json"]]["output"] == {"raw": "{}", "parsed": {}}
    plain = rows[OLD["plain"]]
    assert plain["tags"] == {"team": "a"}
    assert plain["extra_body"] == []
    assert plain["inference_params"] == {"chat_completion": {"json_mode": "tool"}}
    assert "snapshot_hash" not in plain


def test_it_goes_on(server: ClickHouse, pair: list[Gateway]) -> None:
    """New inferences beside old ones, new feedback on them, datapoints made of them."""
    one, two = pair
    content = [{"type": "template", "name": "user", "arguments": {"name": "Bob"}}]
    given = {"messages": [{"role": "user", "content": content}]}
    fresh = _post(one, "/inference", function_name="typed", input=given, episode_id=EPISODE)
    _post(one, "/feedback", metric_name="stars", inference_id=OLD["plain"], value=5.0)
    _post(two, "/feedback", metric_name="stars", inference_id=fresh["inference_id"], value=4)
    _stars(two, {OLD["plain"], fresh["inference_id"]})
    listed = _post(
        two,
        "/v1/inferences/list_inferences",
        episode_id=EPISODE,
        function_name="typed",
        output_source="inference",
        order_by=[{"by": "timestamp", "direction": "ascending"}],
    )["inferences"]
    assert [row["inference_id"] for row in listed] == [
        *(OLD[name] for name in NAMES[:4]),
        fresh["inference_id"],
    ]
    made = _post(
        one,
        "/v1/datasets/kept/from_inferences",
        type="inference_ids",
        inference_ids=[OLD["plain"], OLD["arguments"]],
        output_source="inference",
    )
    assert len(made["ids"]) == 2
    assert server.count("SELECT count() FROM ChatInferenceDatapoint") == 2


def test_commands_take_both(server: ClickHouse, pair: list[Gateway], tmp_path: Path) -> None:
    """Old rows do not name their function among model inferences; they are its own all the same."""
    out = tmp_path / "typed.jsonl"
    result = tensorzero(
        "export", "--function", "typed", "--output", out, env=server.environment, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    rows = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert [row["id"] for row in rows][:4] == [OLD[name] for name in NAMES[:4]]
    assert rows[0]["input_tokens"] == 7
    assert rows[0]["metric_stars"] == 5.0
    command = ("prune", "--before", "30d", "--function", "typed", "--yes")
    result = tensorzero(*command, env=server.environment, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert server.count("SELECT count() FROM ChatInference") == len(rows) - 4
    assert server.count("SELECT count() FROM ModelInference WHERE function_name = ''") == 1
    assert server.count("SELECT count() FROM JsonInference") == 1
    assert server.count("SELECT count() FROM FloatMetricFeedback") == 1
    assert server.count("SELECT count() FROM ChatInferenceDatapoint") == 2
