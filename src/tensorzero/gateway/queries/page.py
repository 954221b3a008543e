"""Finds which inferences a query is about, and in which order; reads none of their texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from tensorzero.config.config import Config
from tensorzero.config.metric import MetricConfig
from tensorzero.gateway.database import Reads, Row
from tensorzero.gateway.queries.conditions import condition
from tensorzero.gateway.queries.filters import reads_tags
from tensorzero.gateway.queries.order import OrderBy
from tensorzero.gateway.queries.request import ListInferences, function_type
from tensorzero.gateway.queries.search import hits
from tensorzero.gateway.queries.source import (
    BY_EPISODE,
    BY_ID,
    WIDE,
    FunctionType,
    InferenceRows,
    Source,
    creation_second,
    latest_value,
)
from tensorzero.gateway.queries.sql import Bindings, all_of

_SETTINGS = {
    # A long list of targets is only a filter; a short one leads to the rows.
    "use_index_for_in_with_subqueries_max_values": "10000",
    # The feedback on a metric may be more than fits.
    "max_bytes_before_external_group_by": str(256 * 1024 * 1024),
}
_ORDER_SETTINGS = {
    # Feedback is stored in the order of its targets: grouped and joined in that order it takes
    # little memory, however much there is.
    "optimize_aggregation_in_order": "1",
    "join_algorithm": "full_sorting_merge",
    "max_bytes_before_external_sort": str(128 * 1024 * 1024),
}
_IDS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class InferenceKey:
    """An inference's id, and the key of the table that has its row."""

    id: str
    function_type: FunctionType
    function_name: str
    variant_name: str
    episode_id: str


async def find_page(request: ListInferences, config: Config, reads: Reads) -> list[InferenceKey]:
    """The inferences of a list, in its order; the request is checked."""
    if request.limit == 0:
        return []
    bind = Bindings()
    sql = _page(request, config, bind)
    by_metric = any(term.by == "metric" for term in request.order_by)
    settings = _SETTINGS | _ORDER_SETTINGS if by_metric else _SETTINGS
    keys = [_key(row) for row in await reads.query(sql, bind.params, settings)]
    if request.after is not None:
        keys.reverse()
    return keys


async def find_ids(
    ids: Sequence[str], only: str | None, config: Config, reads: Reads
) -> list[InferenceKey]:
    """Those of ``ids`` that are there, each once, newest first; ``only`` of this function."""
    found: dict[int, InferenceKey] = {}
    for first in range(0, len(ids), _IDS_AT_ONCE):
        bind = Bindings()
        numbers = [UUID(one).int for one in ids[first : first + _IDS_AT_ONCE]]
        wanted = [f"i.id_uint IN {bind.uint128s(numbers)}"]
        if only is not None:
            wanted += _function(only, BY_ID, config, bind)
        sql = f"SELECT {_columns(BY_ID)} FROM InferenceById AS i WHERE {all_of(wanted)}"
        for row in await reads.query(sql, bind.params):
            found[int(row["id_uint"])] = _key(row)
    return [found[number] for number in sorted(found, reverse=True)]


def _key(row: Row) -> InferenceKey:
    return InferenceKey(
        str(UUID(int=int(row["id_uint"]))),
        row["function_type"],
        row["function_name"],
        row["variant_name"],
        row["episode_id"],
    )


def _columns(source: Source) -> str:
    return (
        f"{source.uint} AS id_uint, toString({source.function_type}) AS function_type, "
        f"i.function_name AS function_name, i.variant_name AS variant_name, "
        f"{source.episode_id} AS episode_id"
    )


def _sources(request: ListInferences, config: Config) -> list[Source]:
    narrow = request.search_query is None and not (
        request.filter is not None and reads_tags(request.filter)
    )
    if narrow:
        return [BY_ID if request.episode_id is None else BY_EPISODE]
    if request.function_name is not None:
        return [WIDE[function_type(request.function_name, config)]]
    return list(WIDE.values())


def _page(request: ListInferences, config: Config, bind: Bindings) -> str:
    """Each table gives as many rows as could be wanted of it; one more step where there are
    two. A row that was recorded twice counts once."""
    offset = request.offset or 0
    sources = _sources(request, config)
    parts = [_select(source, request, config, bind) for source in sources]
    order = _order(request)
    if len(parts) == 1:
        return f"{parts[0]} ORDER BY {order} LIMIT 1 BY id_uint{_limit(request, offset, bind)}"
    most = "" if request.limit is None else f" LIMIT {bind.uint64(request.limit + offset)}"
    union = " UNION ALL ".join(
        f"SELECT * FROM ({part} ORDER BY {order} LIMIT 1 BY id_uint{most})" for part in parts
    )
    return f"SELECT * FROM ({union}) ORDER BY {order}{_limit(request, offset, bind)}"


def _limit(request: ListInferences, offset: int, bind: Bindings) -> str:
    text = "" if request.limit is None else f" LIMIT {bind.uint64(request.limit)}"
    return f"{text} OFFSET {bind.uint64(offset)}" if offset else text


def _select(source: Source, request: ListInferences, config: Config, bind: Bindings) -> str:
    columns, joins = [_columns(source)], []
    for at, term in enumerate(_terms(request)):
        if term.by == "metric":
            joins.append(_metric_join(at, source, config.metrics[term.name], bind))
        columns.append(f"{_term(at, term, source, request, bind)} AS order_{at}")
    joined = "".join(f" {join}" for join in joins)
    wanted = all_of(_wanted(source, request, config, bind))
    return f"SELECT {', '.join(columns)} FROM {source.table} AS i{joined} WHERE {wanted}"


def _wanted(source: Source, request: ListInferences, config: Config, bind: Bindings) -> list[str]:
    wanted = []
    if request.function_name is not None:
        wanted += _function(request.function_name, source, config, bind)
    if request.variant_name is not None:
        wanted.append(f"i.variant_name = {bind.string(request.variant_name)}")
    if request.episode_id is not None:
        episode = source.cast("episode", bind.uuid(request.episode_id))
        wanted.append(f"{source.episode_key} = {episode}")
    if request.before is not None:
        wanted.append(f"{source.uint} < {bind.uint128(UUID(request.before).int)}")
    if request.after is not None:
        wanted.append(f"{source.uint} > {bind.uint128(UUID(request.after).int)}")
    rows = InferenceRows(source, config.metrics)
    if request.output_source == "demonstration":
        wanted.append(rows.demonstration(True))
    if request.filter is not None:
        wanted.append(condition(request.filter, rows, bind))
    if request.search_query is not None:
        wanted.append(f"{hits(request.search_query, 'i.input', 'i.output', bind)} > 0")
    return wanted


def _function(name: str, source: Source, config: Config, bind: Bindings) -> list[str]:
    """Rows of a function that once was of the other type are not its."""
    kind = function_type(name, config)
    conditions = [f"i.function_name = {bind.string(name)}"]
    if source not in WIDE.values():
        conditions.append(f"{source.function_type} = '{kind}'")
    return conditions


def _terms(request: ListInferences) -> tuple[OrderBy, ...]:
    """Without a newest-first by time that ids give anyway."""
    terms = request.order_by
    if terms and terms[-1] == OrderBy("timestamp", True):
        return terms[:-1]
    return terms


def _term(at: int, term: OrderBy, source: Source, request: ListInferences, bind: Bindings) -> str:
    if term.by == "metric":
        return f"metric_{at}.value"
    if term.by == "timestamp":
        return creation_second(source.uint)
    return hits(request.search_query or "", "i.input", "i.output", bind)


def _metric_join(at: int, source: Source, metric: MetricConfig, bind: Bindings) -> str:
    table = "Float" if metric.type == "float" else "Boolean"
    target = source.cast(metric.level, "target_id")
    return (
        # Nullable, or a row without feedback would have 0.
        f"LEFT JOIN (SELECT {target} AS target, toNullable({latest_value()}) AS value "
        f"FROM {table}MetricFeedback WHERE metric_name = {bind.string(metric.name)} "
        f"GROUP BY target_id) AS metric_{at} "
        f"ON {source.key(metric.level)} = metric_{at}.target"
    )


def _order(request: ListInferences) -> str:
    """The page after a cursor is taken the other way round, and turned by its reader."""
    turned = request.after is not None
    terms = [
        f"order_{at} {'DESC' if term.descending != turned else 'ASC'} NULLS LAST"
        for at, term in enumerate(_terms(request))
    ]
    return ", ".join([*terms, f"id_uint {'ASC' if turned else 'DESC'}"])
