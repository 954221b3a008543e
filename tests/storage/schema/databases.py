"""Databases of older levels, made by undoing the last upgrade steps; and UUIDv7s."""

from __future__ import annotations

import itertools
import time
from uuid import UUID

import orjson

from tensorzero.storage.database.protocol import Database
from tensorzero.storage.schema.replication import Replication
from tensorzero.storage.schema.steps import ADDED_COLUMNS, INDEXED_IN_46
from tensorzero.storage.schema.tables import TABLES
from tensorzero.storage.schema.views import (
    STATISTICS_COLUMNS,
    VIEWS,
    VIEWS_BY_NAME,
    provider_statistics_query,
)

_counter = itertools.count()


def uuid7(at_ms: int | None = None) -> UUID:
    """A UUIDv7, distinct and in order."""
    ms = int(time.time() * 1000) if at_ms is None else at_ms
    number = next(_counter)
    return UUID(int=ms << 80 | 7 << 76 | (number >> 8 & 0xFFF) << 64 | 2 << 62 | number)


def drop_everything(db: Database) -> None:
    """Back to an empty database."""
    for view in VIEWS:
        db.command(f"DROP TABLE IF EXISTS {view.name}")
    for table in TABLES:
        db.command(f"DROP TABLE IF EXISTS {table.name}")
    db.command("DROP FUNCTION IF EXISTS uint_to_uuid")


def reverse_to(db: Database, level: int) -> None:
    """Undo steps above ``level`` (44 or 47) on a complete database."""
    for name in ("Model", "Chat", "Json"):
        db.command(f"DROP TABLE VariantStatistics{name}View")
    db.command("DROP TABLE VariantStatistics")
    db.command("DROP TABLE InferenceEvaluationRuns")
    view = VIEWS_BY_NAME["ModelProviderStatisticsView"]
    gone = ADDED_COLUMNS["ModelProviderStatistics"]
    kept = [name for name in STATISTICS_COLUMNS if name not in gone]
    db.command(view.modify(provider_statistics_query(kept), Replication(db.database)))
    for name in gone:
        db.command(f"ALTER TABLE ModelProviderStatistics DROP COLUMN {name}")
    for name in ADDED_COLUMNS["ModelInference"]:
        if name != "cost" or level < 47:
            db.command(f"ALTER TABLE ModelInference DROP COLUMN {name}")
    if level < 46:
        for name in INDEXED_IN_46:
            db.command(f"ALTER TABLE {name} DROP INDEX id_index")
        db.command("ALTER TABLE ConfigSnapshot DROP COLUMN tags")
    db.command(
        f"ALTER TABLE TensorZeroMigration DELETE WHERE migration_id > {level}",
        settings={"mutations_sync": "2"},
    )


def insert(db: Database, table: str, *rows: dict[str, object]) -> None:
    body = b"\n".join(orjson.dumps(row) for row in rows)
    db.insert(table, body, len(rows), token=str(uuid7()))
