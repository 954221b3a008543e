"""Feedback as the tests give it, and the rows that come of it."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import httpx

from gateway.api import Api

OLD = "0190f000-0000-7000-8000-000000000001"
"""An inference of long ago that never was."""


def feedback(api: Api, **fields: Any) -> httpx.Response:
    return api.client.post(f"{api.url}/feedback", json=fields)


def given(api: Api, **fields: Any) -> str:
    """The id of feedback that is taken."""
    answer = feedback(api, **fields)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["feedback_id"]
    id_ = answer.json()["feedback_id"]
    assert UUID(id_).version == 7
    return str(id_)


def refused(api: Api, status: int, message: str, **fields: Any) -> None:
    answer = feedback(api, **fields)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]


def inference(api: Api, **fields: Any) -> dict[str, Any]:
    return dict(api.ok(**({"function_name": "two", "variant_name": "a"} | fields)))


def asked(api: Api, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    """Rows, waited for."""
    ends = time.monotonic() + 30
    while not (rows := api.sql(sql, **parameters)):
        assert time.monotonic() < ends, f"no rows: {sql} {parameters}"
        time.sleep(0.05)
    return rows


def row(api: Api, table: str, feedback_id: str) -> dict[str, Any]:
    rows = asked(api, f"SELECT * FROM {table} WHERE id = {{id:UUID}}", id=feedback_id)
    assert len(rows) == 1
    assert rows[0].pop("id") == feedback_id
    assert rows[0].pop("snapshot_hash")
    return rows[0]
