"""Which datasets there are, and how many live datapoints one has."""

from __future__ import annotations

from typing import Any

from tensorzero.gateway.database import Parameter
from tensorzero.gateway.datasets.row import TABLES
from tensorzero.gateway.datasets.store import LIVE, DatapointStore
from tensorzero.gateway.query_string import QueryString


async def list_datasets(query: bytes, store: DatapointStore) -> dict[str, Any]:
    """``GET /internal/datasets``: the latest changed first; raises ``InvalidRequest``."""
    fields = QueryString(query)
    function_name = fields.string("function_name")
    limit, offset = fields.integer("limit"), fields.integer("offset")
    if not store.services.records:
        return {"datasets": []}
    params: dict[str, Parameter] = {}
    conditions = LIVE
    if function_name is not None:
        conditions += " AND i.function_name = {function_name:String}"
        params["function_name"] = function_name
    live = " UNION ALL ".join(
        f"SELECT i.dataset_name AS dataset_name, i.updated_at AS updated_at "
        f"FROM {table} AS i FINAL WHERE {conditions}"
        for table in TABLES.values()
    )
    page = ""
    if limit is not None:
        page = "LIMIT {limit:UInt64}"
        params["limit"] = limit
    if offset is not None:
        page += " OFFSET {offset:UInt64}"
        params["offset"] = offset
    rows = await store.services.reads.query(
        "SELECT dataset_name, toUInt32(count()) AS datapoint_count, "
        "formatDateTime(max(updated_at), '%Y-%m-%dT%H:%i:%SZ', 'UTC') AS last_updated "
        f"FROM ({live}) GROUP BY dataset_name "
        f"ORDER BY max(updated_at) DESC, dataset_name {page}",
        params,
    )
    return {"datasets": rows}


async def count_datapoints(
    dataset_name: str, query: bytes, store: DatapointStore
) -> dict[str, int]:
    """``GET /internal/datasets/{dataset_name}/datapoints/count``; raises ``InvalidRequest``."""
    function_name = QueryString(query).string("function_name")
    if not store.services.records:
        return {"datapoint_count": 0}
    params: dict[str, Parameter] = {"dataset_name": dataset_name}
    conditions = f"i.dataset_name = {{dataset_name:String}} AND {LIVE}"
    if function_name is not None:
        conditions += " AND i.function_name = {function_name:String}"
        params["function_name"] = function_name
    counts = " UNION ALL ".join(
        f"SELECT count() AS n FROM {table} AS i FINAL WHERE {conditions}"
        for table in TABLES.values()
    )
    rows = await store.services.reads.query(f"SELECT sum(n) AS n FROM ({counts})", params)
    return {"datapoint_count": int(rows[0]["n"])}
