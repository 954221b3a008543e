"""``POST /v1/datasets/{dataset_name}/list_datapoints``: the live datapoints of a dataset."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache

from tensorzero.gateway.datasets.get import answer
from tensorzero.gateway.datasets.name import check_dataset_name
from tensorzero.gateway.datasets.row import TABLES
from tensorzero.gateway.datasets.store import KEY_COLUMNS, LIVE, DatapointStore, read_key
from tensorzero.gateway.fields import integer, string
from tensorzero.gateway.json_body import json_object
from tensorzero.gateway.queries.conditions import Metric, condition
from tensorzero.gateway.queries.filters import DATAPOINT_NODES, Filter, Time, parse_filter
from tensorzero.gateway.queries.order import DATAPOINT_ORDERS, OrderBy, parse_order
from tensorzero.gateway.queries.search import hits
from tensorzero.gateway.queries.sql import Bindings
from tensorzero.types.errors import InvalidRequest

log = logging.getLogger(__name__)

DEFAULT_LIMIT = 20
_U32 = integer(0, 2**32 - 1)


@dataclass(frozen=True, slots=True)
class ListDatapoints:
    """What is asked for; ``None`` is absent."""

    function_name: str | None
    limit: int
    offset: int
    filter: Filter | None
    order_by: tuple[OrderBy, ...]
    search_query: str | None


class DatapointRows:
    """The rows of a table that is called ``i``, as filters see them: without any feedback."""

    tags = "i.tags"

    def metric(self, node: Metric, bind: Bindings, *, negated: bool) -> str:
        return "0"

    def demonstration(self, wanted: bool) -> str:
        return "0" if wanted else "1"

    def time(self, node: Time, bind: Bindings) -> str:
        return f"i.updated_at {node.comparison} toDateTime64({bind.int64(node.seconds)}, 6, 'UTC')"


async def list_datapoints(dataset_name: str, body: bytes, store: DatapointStore) -> bytes:
    """The answer, as JSON. Raises ``JsonRequest``, ``InvalidDatasetName``, ``InvalidRequest`` and
    ``ClickHouseDeserialization``."""
    request = parse_list(body)
    check_dataset_name(dataset_name)
    if request.search_query is None and any(
        term.by == "search_relevance" for term in request.order_by
    ):
        raise InvalidRequest(
            "OrderBy::SearchRelevance requires search_query_experimental to be provided"
        )
    if request.limit == 0 or not store.services.records:
        return await answer([], store, live=True)
    bind = Bindings()
    sql = _page(dataset_name, request, bind)
    found = await store.services.reads.query(sql, bind.params)
    return await answer([read_key(row) for row in found], store, live=True)


def parse_list(body: bytes) -> ListDatapoints:
    """Raises ``JsonRequest``; fields that are not known are ignored."""
    data = json_object(body)
    limit = data.get("limit")
    name = "limit"
    page_size = data.get("page_size")
    if page_size is not None:
        _U32(page_size, "page_size")
        _warn_of_page_size()
    if limit is None:
        limit, name = page_size, "page_size"
    offset, function_name = data.get("offset"), data.get("function_name")
    key = "filter" if data.get("filter") is not None else "filters"
    given, search = data.get(key), data.get("search_query_experimental")
    return ListDatapoints(
        None if function_name is None else string(function_name, "function_name"),
        DEFAULT_LIMIT if limit is None else _U32(limit, name),
        0 if offset is None else _U32(offset, "offset"),
        None if given is None else parse_filter(given, key, DATAPOINT_NODES),
        parse_order(data.get("order_by"), "order_by", DATAPOINT_ORDERS),
        None if search is None else string(search, "search_query_experimental"),
    )


@cache
def _warn_of_page_size() -> None:
    log.warning("`page_size` of `list_datapoints` is deprecated: it is called `limit`")


def _page(dataset_name: str, request: ListDatapoints, bind: Bindings) -> str:
    conditions = [f"i.dataset_name = {bind.string(dataset_name)}", LIVE]
    if request.function_name is not None:
        conditions.append(f"i.function_name = {bind.string(request.function_name)}")
    if request.filter is not None:
        conditions.append(f"({condition(request.filter, DatapointRows(), bind)})")
    columns = KEY_COLUMNS
    if request.search_query is not None:
        relevance = hits(request.search_query, "i.input", "i.output", bind)
        conditions.append(f"({relevance}) > 0")
        columns += f", {relevance} AS relevance"
    order = ", ".join(
        [
            ("version" if term.by == "timestamp" else "relevance")
            + (" DESC" if term.descending else " ASC")
            for term in request.order_by
        ]
        + ["version DESC", "toUInt128(id) DESC"]
    )
    upto = bind.uint64(request.limit + request.offset)
    tables = " UNION ALL ".join(
        f"(SELECT '{kind}' AS kind, {columns} FROM {table} AS i FINAL "
        f"WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT {upto})"
        for kind, table in TABLES.items()
    )
    return (
        f"SELECT * FROM ({tables}) ORDER BY {order} "
        f"LIMIT {bind.uint64(request.limit)} OFFSET {bind.uint64(request.offset)}"
    )
