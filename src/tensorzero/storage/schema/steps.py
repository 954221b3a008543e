"""The upgrade steps 45 to 53 of an existing database (data-model 10.2).

Whether a step is needed is read from the schema, not from the bookkeeping; every statement can
be repeated, because several gateways may upgrade at once. Where the reference drops and
re-creates a view, the query is replaced in place here, so that no row slips through meanwhile.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.protocol import Database
from tensorzero.storage.schema.backfill import (
    CORRECT_FUNCTION_TYPES,
    FILL_EVALUATION_RUNS,
    statistics_backfill,
)
from tensorzero.storage.schema.inspection import SchemaState
from tensorzero.storage.schema.model import TableSettings
from tensorzero.storage.schema.replication import Replication
from tensorzero.storage.schema.tables import TABLES, TABLES_BY_NAME
from tensorzero.storage.schema.views import (
    STATISTICS_COLUMNS,
    VIEWS_BY_NAME,
    provider_statistics_query,
)

INDEXED_IN_46: Final = (
    "BooleanMetricFeedback",
    "FloatMetricFeedback",
    "CommentFeedback",
    "DemonstrationFeedback",
    "ModelInference",
)
ADDED_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "ConfigSnapshot": ("tags",),
    "ModelInference": (
        "cost",
        "provider_cache_read_input_tokens",
        "provider_cache_write_input_tokens",
        "function_name",
        "variant_name",
    ),
    "ModelProviderStatistics": (
        "total_cost",
        "total_provider_cache_read_input_tokens",
        "total_provider_cache_write_input_tokens",
        "count_with_cost",
    ),
}
"""Columns that steps 45 to 53 add, per table."""
ADDED_TABLES: Final = ("InferenceEvaluationRuns", "VariantStatistics")
_VARIANT_VIEWS: Final = (
    "VariantStatisticsModelView",
    "VariantStatisticsChatView",
    "VariantStatisticsJsonView",
)
_CACHE_COLUMNS: Final = ("provider_cache_read_input_tokens", "provider_cache_write_input_tokens")
_STATISTICS: Final = "ModelProviderStatistics"
_STATISTICS_VIEW: Final = "ModelProviderStatisticsView"
_MASK: Final = re.compile(r"\bif\(\(?timestamp >= toDateTime\('([0-9: -]+)', 'UTC'\)")
_VIEW_DELAY_S: Final = 5
_TAKEOVER_AFTER_S: Final = 60
_MUTATION_WAIT_S: Final = 300.0
_MUTATION_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step needs to run."""

    db: Database
    replication: Replication
    settings: TableSettings
    sleep: Callable[[float], None] = time.sleep

    def run(self, sql: str) -> None:
        self.db.command(sql)

    def add_columns(self, table: str, *names: str) -> None:
        for name in names:
            self.run(TABLES_BY_NAME[table].add_column(name, self.replication))

    def create_table(self, name: str) -> None:
        self.run(TABLES_BY_NAME[name].create(self.replication, self.settings))

    def create_view(self, name: str) -> None:
        self.run(VIEWS_BY_NAME[name].create(self.replication))


@dataclass(frozen=True, slots=True)
class Step:
    """One migration id. ``needed`` sees the schema and the ids recorded before this run."""

    id: int
    needed: Callable[[SchemaState, frozenset[int]], bool]
    apply: Callable[[StepContext], None]


def _add_config_tags(context: StepContext) -> None:
    context.add_columns("ConfigSnapshot", "tags")


def _add_id_indexes(context: StepContext) -> None:
    on_cluster = context.replication.on_cluster
    for name in INDEXED_IN_46:
        index = TABLES_BY_NAME[name].index("id_index")
        context.run(f"ALTER TABLE {name}{on_cluster} ADD INDEX IF NOT EXISTS {index.ddl}")
    for name in INDEXED_IN_46:
        # Old parts get the index in the background; new rows have it already.
        context.db.command(
            f"ALTER TABLE {name}{on_cluster} MATERIALIZE INDEX id_index",
            settings={"mutations_sync": "0"},
        )
    deadline = time.monotonic() + _MUTATION_WAIT_S
    while _running_index_mutations(context.db):
        if time.monotonic() >= deadline:
            raise DatabaseError(
                f"Building `id_index` took longer than {_MUTATION_WAIT_S:g} s. It goes on in the "
                "background (see `system.mutations`); start again when it is done"
            )
        context.sleep(_MUTATION_POLL_S)


def _running_index_mutations(db: Database) -> bool:
    answer = db.command(
        "SELECT count() FROM system.mutations WHERE database = {db:String} AND NOT is_done "
        "AND table IN {tables:Array(String)} AND command LIKE '%MATERIALIZE INDEX id_index%'",
        {"db": db.database, "tables": INDEXED_IN_46},
    )
    return answer.strip() != "0"


def _add_cost(context: StepContext) -> None:
    context.add_columns("ModelInference", "cost")


def _statistics_columns(db: Database) -> list[str]:
    """Those of STATISTICS_COLUMNS that the table has by now."""
    rows = db.query_json(
        "SELECT name FROM system.columns WHERE database = {db:String} AND table = {table:String}",
        {"db": db.database, "table": _STATISTICS},
    )
    present = {row["name"] for row in rows}
    return [name for name in STATISTICS_COLUMNS if name in present]


def _extend_statistics(context: StepContext, *columns: str) -> None:
    """Add columns to ModelProviderStatistics and teach the view to fill them."""
    context.add_columns(_STATISTICS, *columns)
    query = provider_statistics_query(_statistics_columns(context.db))
    context.run(VIEWS_BY_NAME[_STATISTICS_VIEW].modify(query, context.replication))


def _extend_statistics_with_history(context: StepContext, column: str) -> None:
    """Add a column computed from ``cost``, rows from before this moment included.

    From a moment T on the view counts; the rows before T are filled in once; then the view
    loses T again, or rows that arrive late (from a spool that waited) would be lost.
    A gateway that finds another's T in the view leaves the work to it, unless it seems dead.
    """
    db = context.db
    view = VIEWS_BY_NAME[_STATISTICS_VIEW]
    context.add_columns(_STATISTICS, column)
    moment = _moment(db)
    if moment is not None:
        if _other_finishes(context, moment):
            return
    elif _has_costs(db):
        moment = db.command(
            f"SELECT formatDateTime(now() + {_VIEW_DELAY_S}, '%Y-%m-%d %H:%i:%S', 'UTC')"
        ).strip()
        masked = provider_statistics_query(_statistics_columns(db), column, _since(moment))
        context.run(view.modify(masked, context.replication))
        context.sleep(_VIEW_DELAY_S + 1)
        current = _moment(db)
        if current != moment and (current is None or _other_finishes(context, current)):
            return
        moment = current
    if moment is not None:
        context.run(statistics_backfill(column, STATISTICS_COLUMNS[column], _since(moment)))
    final = provider_statistics_query(_statistics_columns(db))
    context.run(view.modify(final, context.replication))


def _since(moment: str) -> str:
    return f"toDateTime('{moment}', 'UTC')"


def _moment(db: Database) -> str | None:
    """The T in the view's query while an upgrade is under way."""
    found = _MASK.search(db.query_json(f"SHOW CREATE TABLE {_STATISTICS_VIEW}")[0]["statement"])
    return found.group(1) if found else None


def _other_finishes(context: StepContext, moment: str) -> bool:
    """Wait until whoever put ``moment`` into the view has taken it out; False if nobody does."""
    for _ in range(_TAKEOVER_AFTER_S):
        if _moment(context.db) != moment:
            return True
        context.sleep(1)
    while _running_backfills(context.db):
        context.sleep(1)
    return _moment(context.db) != moment


def _running_backfills(db: Database) -> bool:
    sql = (
        "SELECT count() FROM system.processes "
        "WHERE query LIKE concat('INSERT INTO ModelProvider', 'Statistics%')"
    )
    return db.command(sql).strip() != "0"


def _has_costs(db: Database) -> bool:
    return (
        db.command(
            "SELECT count() FROM (SELECT 1 FROM ModelInference WHERE cost IS NOT NULL LIMIT 1)"
        ).strip()
        != "0"
    )


def _add_total_cost(context: StepContext) -> None:
    _extend_statistics_with_history(context, "total_cost")


def _add_evaluation_runs(context: StepContext) -> None:
    context.create_table("InferenceEvaluationRuns")
    context.run(FILL_EVALUATION_RUNS)


def _correct_evaluation_runs(context: StepContext) -> None:
    context.run(CORRECT_FUNCTION_TYPES)


def _add_provider_cache(context: StepContext) -> None:
    context.add_columns("ModelInference", *_CACHE_COLUMNS)
    _extend_statistics(context, *(f"total_{name}" for name in _CACHE_COLUMNS))


def _add_count_with_cost(context: StepContext) -> None:
    _extend_statistics_with_history(context, "count_with_cost")


def _add_variant_statistics(context: StepContext) -> None:
    context.add_columns("ModelInference", "function_name", "variant_name")
    context.create_table("VariantStatistics")
    for name in _VARIANT_VIEWS:
        context.create_view(name)


def _lacks_history(schema: SchemaState, ids: frozenset[int], id_: int, column: str) -> bool:
    """The column is absent, or a gateway that died left it half done."""
    if not schema.has_columns(_STATISTICS, column):
        return True
    view = schema.tables.get(_STATISTICS_VIEW)
    if id_ in ids or view is None:
        return False
    return f"AS {column}" not in view.definition or _MASK.search(view.definition) is not None


STEPS: Final[tuple[Step, ...]] = (
    Step(45, lambda s, ids: not s.has_columns("ConfigSnapshot", "tags"), _add_config_tags),
    Step(
        46,
        lambda s, ids: not all(s.has_index(name, "id_index") for name in INDEXED_IN_46),
        _add_id_indexes,
    ),
    Step(47, lambda s, ids: not s.has_columns("ModelInference", "cost"), _add_cost),
    Step(48, lambda s, ids: _lacks_history(s, ids, 48, "total_cost"), _add_total_cost),
    Step(49, lambda s, ids: "InferenceEvaluationRuns" not in s.tables, _add_evaluation_runs),
    # The schema can't tell whether 50 ran; right after 49 of ours it finds nothing to correct.
    Step(
        50,
        lambda s, ids: 50 not in ids and "InferenceEvaluationRuns" in s.tables,
        _correct_evaluation_runs,
    ),
    Step(
        51,
        lambda s, ids: (
            not s.has_columns("ModelInference", *_CACHE_COLUMNS)
            or not s.has_columns(_STATISTICS, *(f"total_{name}" for name in _CACHE_COLUMNS))
        ),
        _add_provider_cache,
    ),
    Step(52, lambda s, ids: _lacks_history(s, ids, 52, "count_with_cost"), _add_count_with_cost),
    Step(
        53,
        lambda s, ids: (
            not s.has_columns("ModelInference", "function_name", "variant_name")
            or any(name not in s.tables for name in ("VariantStatistics", *_VARIANT_VIEWS))
        ),
        _add_variant_statistics,
    ),
)


def lacking_at_44(schema: SchemaState) -> list[str]:
    """What keeps a database below level 44: ``Table`` or ``Table.column`` names, [] if nothing."""
    lacking: list[str] = []
    for table in TABLES:
        if table.name in ADDED_TABLES or table.name == "TensorZeroMigration":
            continue
        if table.name not in schema.tables:
            lacking.append(table.name)
            continue
        old = table.without(ADDED_COLUMNS.get(table.name, ()))
        lacking += [f"{table.name}.{column}" for column in schema.lacks_columns(old)]
    for view in VIEWS_BY_NAME.values():
        if view.name not in _VARIANT_VIEWS and view.name not in schema.tables:
            lacking.append(view.name)
    return lacking
