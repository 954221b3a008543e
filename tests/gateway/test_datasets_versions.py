"""Versions of datapoints only grow."""

from __future__ import annotations

import time

import pytest

from gateway.api import Api
from gateway.datapoints import Dataset, chat, insert
from tensorzero.gateway.datasets.versions import Versions

NOON = 1_769_860_800_000_000_000


def test_they_grow_within_a_microsecond_and_when_the_clock_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = Versions()
    monkeypatch.setattr(time, "time_ns", lambda: NOON)
    assert versions.next() == "2026-01-31 12:00:00.000000"
    assert versions.next() == "2026-01-31 12:00:00.000001"
    monkeypatch.setattr(time, "time_ns", lambda: NOON - 10**9)
    assert versions.next() == "2026-01-31 12:00:00.000002"
    assert versions.next(["2026-01-31 13:00:00.999999", "2026-01-31 12:00:00.000000"]) == (
        "2026-01-31 13:00:01.000000"
    )
    monkeypatch.setattr(time, "time_ns", lambda: NOON + 10**10)
    assert versions.next() == "2026-01-31 13:00:01.000001"


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
    assert "staled_at" in dataset.one(second)
    assert dataset.delete(third) == 1
    assert dataset.drop() == 2
    assert dataset.list() == []
