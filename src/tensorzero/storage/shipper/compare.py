"""Finds out by their ids which rows a database has, where tokens cannot tell.

That is so where a table does not remember tokens (a server's user may not set it), where the
engine set broken parts aside at its start (the tokens of lost rows are still remembered), and
where the shipper's state is lost. Each target of a view is compared by itself: a batch can be
in the source table and not in them. Statistics (``VariantStatistics``,
``ModelProviderStatistics``, ``CumulativeUsage``, ``FeedbackByVariantStatistics``) hold no ids:
what is missing there cannot be told and is not repaired.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from uuid import UUID, uuid4

import orjson

from tensorzero.storage.schema.views import VIEWS
from tensorzero.storage.shipper.sink import RowSink

_KEYS = {
    "InferenceById": "id_uint",
    "InferenceByEpisodeId": "id_uint",
    "InferenceTag": "inference_id",
    "TagInference": "inference_id",
    "BooleanMetricFeedbackByTargetId": "id",
    "FloatMetricFeedbackByTargetId": "id",
    "CommentFeedbackByTargetId": "id",
    "DemonstrationFeedbackByInferenceId": "id",
    "FeedbackTag": "feedback_id",
    "BooleanMetricFeedbackByVariant": "id_uint",
    "FloatMetricFeedbackByVariant": "id_uint",
}
"""Targets of views whose rows name the source row's id, and the column that does."""
COMPARED = (
    "ChatInference",
    "JsonInference",
    "ModelInference",
    "BooleanMetricFeedback",
    "FloatMetricFeedback",
    "CommentFeedback",
    "DemonstrationFeedback",
    "StaticEvaluationHumanFeedback",
)
"""Tables whose rows have an id of their own."""
_HUMAN = "StaticEvaluationHumanFeedback"
_HUMAN_ID = "feedback_id"
VERSIONED = ("ChatInferenceDatapoint", "JsonInferenceDatapoint")
"""Tables whose rows replace those of the same ``_VERSION_KEY`` and an earlier ``updated_at``."""
_VERSION_KEY = ("dataset_name", "function_name", "id")
_IDS_AT_ONCE = 1000


def id_of(row: bytes) -> str | None:
    """The row's id; ``None`` when it has none (it is no row that could be compared)."""
    try:
        columns = orjson.loads(row)
        return str(UUID(columns["id"] if "id" in columns else columns[_HUMAN_ID]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def missing_rows(sink: RowSink, table: str, rows: Sequence[bytes]) -> list[bytes]:
    """Those of ``rows`` whose id the table does not have; of a versioned table, those of which it
    has neither this nor a later version. Raises ``DatabaseError``."""
    if table in VERSIONED:
        return _missing_versions(sink, table, rows)
    if table not in COMPARED:
        return list(rows)
    ids = [id_of(row) for row in rows]
    there: set[str] = set()
    key = _HUMAN_ID if table == _HUMAN else "id"
    for some in _pieces([id_ for id_ in ids if id_ is not None]):
        found = sink.query_json(
            f"SELECT toString({key}) AS id FROM {table} WHERE {key} IN ({some})"
        )
        there.update(row["id"] for row in found)
    return [row for row, id_ in zip(rows, ids, strict=True) if id_ not in there]


def _missing_versions(sink: RowSink, table: str, rows: Sequence[bytes]) -> list[bytes]:
    """An earlier version may be merged away, so only the latest of a key tells."""
    ids = [id_ for id_ in map(id_of, rows) if id_ is not None]
    latest: dict[tuple[str, ...], str] = {}
    for some in _pieces(ids):
        found = sink.query_json(
            f"SELECT dataset_name, function_name, id, toString(max(updated_at)) AS version "
            f"FROM {table} WHERE id IN ({some}) GROUP BY {', '.join(_VERSION_KEY)}"
        )
        for row in found:
            latest[tuple(row[name] for name in _VERSION_KEY)] = row["version"]
    return [row for row in rows if not _is_there(row, latest)]


def _is_there(row: bytes, latest: dict[tuple[str, ...], str]) -> bool:
    try:
        columns = orjson.loads(row)
        version = latest.get(tuple(columns[name] for name in _VERSION_KEY))
        return version is not None and version >= columns["updated_at"]
    except (ValueError, KeyError, TypeError):
        return False  # no row that could be compared


def known_to_targets(sink: RowSink, table: str, rows: Sequence[bytes]) -> set[str]:
    """Ids that some view's target has a row for. Raises ``DatabaseError``."""
    found: set[str] = set()
    ids = [id_ for id_ in map(id_of, rows) if id_ is not None]
    for view in VIEWS:
        key = _KEYS.get(view.target)
        if view.source == table and key is not None:
            for some in _pieces(ids):
                found.update(_there(sink, view.target, key, some))
    return found


def insert_beside_views(sink: RowSink, table: str, rows: Sequence[bytes]) -> None:
    """Insert rows into the table alone, its views see nothing of them.

    They go into a table of the same shape, whose part is then attached. Raises
    ``DatabaseError``.
    """
    beside = f"tensorzero_repair_{uuid4().hex}"
    sink.command(f"CREATE TABLE {beside} AS {table}")
    try:
        sink.insert(beside, b"\n".join(rows) + b"\n", len(rows), token=beside)
        sink.command(f"ALTER TABLE {table} ATTACH PARTITION tuple() FROM {beside}")
    finally:
        sink.command(f"DROP TABLE {beside}")


def complete_targets(sink: RowSink, table: str, rows: Sequence[bytes]) -> None:
    """Give each view's target the rows that it lacks of what the source table has.

    Raises ``DatabaseError``.
    """
    if table not in COMPARED:
        return
    ids = [id_ for id_ in map(id_of, rows) if id_ is not None]
    for view in VIEWS:
        if view.source != table:
            continue
        key = _KEYS.get(view.target)
        if key is None and view.target != "EpisodeById":
            continue
        for some in _pieces(ids):
            lacking = _lacking(sink, view.target, key, some)
            if lacking:
                query = _restricted(view.query, table, lacking)
                columns = sink.query_json(f"DESCRIBE TABLE ({query})")
                names = ", ".join(str(column["name"]) for column in columns)
                # Without it a block that was there once and is lost would be taken for a repeat.
                sink.command(
                    f"INSERT INTO {view.target} ({names}) SETTINGS insert_deduplicate = 0 {query}"
                )


def _restricted(query: str, table: str, ids: Sequence[str]) -> str:
    """A view's query over some of its source table's rows."""
    rows = f"(SELECT * FROM {table} WHERE id IN ({', '.join(map(_quoted, ids))}))"

    def replaced(found: re.Match[str]) -> str:
        return f"FROM {rows}{found[1] or f' AS {table}'}"

    return re.sub(rf"FROM {table}\b( AS)?", replaced, query)


def _lacking(sink: RowSink, target: str, key: str | None, some: str) -> list[str]:
    """Which of some ids the target has no row for (that need not have one either)."""
    there = _there(sink, target, key, some)
    return [id_ for id_ in (text.strip("'") for text in some.split(", ")) if id_ not in there]


def _there(sink: RowSink, target: str, key: str | None, some: str) -> set[str]:
    """Which of some ids the target has a row for."""
    if key is None:
        sql = (
            "SELECT DISTINCT toString(arrayJoin(groupArrayMerge(inference_ids))) AS id "
            f"FROM {target} WHERE episode_id_uint IN (SELECT episode_id_uint FROM "
            f"InferenceByEpisodeId WHERE id_uint IN ({_uints(some)})) GROUP BY episode_id_uint"
        )
    elif key.endswith("_uint"):
        sql = (
            f"SELECT DISTINCT toString(uint_to_uuid({key})) AS id FROM {target} "
            f"WHERE {key} IN ({_uints(some)})"
        )
    else:
        sql = f"SELECT DISTINCT toString({key}) AS id FROM {target} WHERE {key} IN ({some})"
    return {row["id"] for row in sink.query_json(sql)}


def _uints(some: str) -> str:
    return ", ".join(f"toUInt128(toUUID({text}))" for text in some.split(", "))


def _quoted(id_: str) -> str:
    return f"'{id_}'"


def _pieces(ids: Sequence[str]) -> Iterator[str]:
    """Lists for ``IN (…)``, within what a server takes as one query."""
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ", ".join(map(_quoted, ids[start : start + _IDS_AT_ONCE]))
