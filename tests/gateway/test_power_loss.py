"""What a power loss can leave: parts that cannot be read. What the spool holds comes back."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from gateway.api import Api
from gateway.provider import Provider
from gateway.running import Gateway, write_config

TARGETS = (
    ("id", "ChatInference"),
    ("inference_id", "ModelInference"),
    ("uint_to_uuid(id_uint)", "InferenceById"),
    ("uint_to_uuid(id_uint)", "InferenceByEpisodeId"),
    ("inference_id", "InferenceTag"),
    ("inference_id", "TagInference"),
)
BODY = {
    "model_name": "dummy::text",
    "input": {"messages": [{"role": "user", "content": "hi"}]},
    "tags": {"user": "7"},
}


def ids(api: Api, column: str, table: str) -> list[str]:
    rows = api.sql(f"SELECT toString({column}) AS id FROM {table} WHERE 1")
    return sorted(row["id"] for row in rows)


def complete(api: Api, wanted: list[str]) -> None:
    ends = time.monotonic() + 60
    while found := [table for column, table in TARGETS if ids(api, column, table) != wanted]:
        assert time.monotonic() < ends, f"not whole: {found}"
        time.sleep(0.1)


def folder_of(api: Api, table: str) -> Path:
    (row,) = api.sql(
        "SELECT data_paths[1] AS path FROM system.tables WHERE database = currentDatabase() "
        "AND name = {table:String}",
        table=table,
    )
    return Path(row["path"])


def damage(folder: Path) -> int:
    """Make every part of a table unreadable, as a disk that lied about what it had written."""
    parts = list(folder.glob("all_*"))
    for part in parts:
        (part / "columns.txt").write_bytes(b"garbage")
        (part / "checksums.txt").write_bytes(b"")
    return len(parts)


def test_broken_parts_are_made_good(tmp_path: Path, provider: Provider) -> None:
    table = "ChatInference"
    gateway = Gateway(write_config(tmp_path, provider.url), tmp_path / "data")
    api = Api(gateway, provider)
    wanted = sorted(
        httpx.post(f"{gateway.url}/inference", json=BODY, timeout=30).json()["inference_id"]
        for _ in range(5)
    )
    complete(api, wanted)
    folder = folder_of(api, table)
    gateway.kill_all()
    assert damage(folder) > 0
    gateway.start()
    complete(Api(gateway, provider), wanted)
    log = gateway.log_path.read_text()
    assert f"of table {table} could not be read at start" in log
    assert "comparing what the spool still holds" in log
    # Once: the next start has nothing to make good.
    assert gateway.stop() == 0
    gateway.start()
    complete(Api(gateway, provider), wanted)
    text = gateway.log_path.read_text()
    assert text.count("comparing what the spool still holds") == 1
    assert gateway.stop() == 0


def test_a_query_without_a_gateway_makes_them_good_too(tmp_path: Path, provider: Provider) -> None:
    gateway = Gateway(write_config(tmp_path, provider.url), tmp_path / "data")
    api = Api(gateway, provider)
    answer = httpx.post(f"{gateway.url}/inference", json=BODY, timeout=30).json()
    complete(api, [answer["inference_id"]])
    folder = folder_of(api, "ModelInference")
    gateway.kill_all()
    assert damage(folder) > 0
    sql = "SELECT toString(inference_id) FROM ModelInference"
    assert gateway.query(sql) == [[answer["inference_id"]]]


def test_every_table_syncs_and_remembers_tokens(api: Api) -> None:
    """Every target of a view, too: a batch sent again must find its token there."""
    tables = api.sql(
        "SELECT name, create_table_query AS q FROM system.tables "
        "WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    assert len(tables) == 39
    for row in tables:
        for setting in (
            "non_replicated_deduplication_window = 1000",
            "fsync_after_insert = 1",
            "fsync_part_directory = 1",
        ):
            assert setting in row["q"], row["name"]
