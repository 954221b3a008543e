"""Versions of datapoints only grow."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.api import Api
from gateway.datapoints import Dataset, chat, extract, insert
from tensorzero.gateway.datasets import store as stores
from tensorzero.gateway.datasets.versions import Versions, replacing
from tensorzero.server.database_reads import DatabaseReads
from tensorzero.server.settings import Settings

NOON = 1_769_860_800_000_000_000


def test_they_grow_within_a_microsecond_and_when_the_clock_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = Versions()
    monkeypatch.setattr(time, "time_ns", lambda: NOON)
    assert versions.now() == "2026-01-31 12:00:00.000000"
    assert versions.now() == "2026-01-31 12:00:00.000001"
    monkeypatch.setattr(time, "time_ns", lambda: NOON - 10**9)
    now = versions.now()
    assert now == "2026-01-31 12:00:00.000002"
    assert replacing("2026-01-31 12:00:00.000001", now) == now
    assert replacing(now, now) == "2026-01-31 12:00:00.000003"
    assert replacing("2026-01-31 13:00:00.999999", now) == "2026-01-31 13:00:01.000000"


def test_a_row_of_another_gateway_whose_clock_is_ahead_can_be_changed(api: Api) -> None:
    dataset = Dataset(api, "ahead")
    first, second, third = dataset.create(chat(), chat(), chat())
    ahead = "2099-01-01 00:00:00.123456"
    for row in dataset.rows():
        insert(api, "ChatInferenceDatapoint", {**row, "name": "ahead", "updated_at": ahead})
    assert dataset.one(first)["updated_at"] == "2099-01-01T00:00:00Z"
    assert dataset.rename({"id": first, "name": "renamed"}) == [first]
    assert dataset.one(first)["name"] == "renamed"
    (new,) = dataset.update({"type": "chat", "id": second, "name": "updated"})
    assert dataset.one(new)["name"] == "updated"
    assert dataset.one(new)["updated_at"] < "2099"
    assert "staled_at" in dataset.one(second)
    assert dataset.delete(third) == 1
    assert dataset.drop() == 2
    assert dataset.list() == []
    (today,) = dataset.create(chat())
    assert dataset.one(today)["updated_at"] < "2099"


def test_a_dataset_is_gone_through_in_pieces(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every live datapoint once, whichever function and type it is of."""
    dataset = Dataset(api, "pieces")
    sent = [chat(), chat(function_name="two"), extract()] * 5
    live = dataset.create(*sent, chat())
    assert dataset.delete(live.pop()) == 1
    monkeypatch.setattr(stores, "_KEYS_AT_ONCE", 4)
    monkeypatch.setattr(stores, "_IDS_AT_ONCE", 3)

    async def run() -> list[tuple[list[str], list[str]]]:
        reads = DatabaseReads(Settings(str(api.data_dir), spool_dir=""), None)
        services: Any = SimpleNamespace(reads=reads, records=True)
        store = stores.DatapointStore(services)
        found = []
        async for keys in store.live_keys("pieces"):
            rows = [row.id async for row in store.rows(keys, live=True)]
            found.append(([key.id for key in keys], rows))
        assert reads.client is not None
        await reads.client.aclose()
        return found

    found = asyncio.run(run())
    assert [len(keys) for keys, _ in found] == [4, 4, 2, 4, 1]
    assert all(keys == rows for keys, rows in found)
    assert sorted(id_ for keys, _ in found for id_ in keys) == sorted(live)
