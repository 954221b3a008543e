"""Bringing a database to the schema of the contract at start (data-model 2)."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tensorzero.storage.database.errors import DatabaseError, QueryError
from tensorzero.storage.database.parameters import quote_identifier, quote_string
from tensorzero.storage.database.protocol import Database
from tensorzero.storage.schema.inspection import (
    SchemaState,
    database_exists,
    read_schema,
    recorded_ids,
)
from tensorzero.storage.schema.model import TableSettings
from tensorzero.storage.schema.replication import Replication, check_replication, is_cloud
from tensorzero.storage.schema.steps import STEPS, StepContext, lacking_at_44
from tensorzero.storage.schema.tables import MIGRATION_TABLE, TABLES
from tensorzero.storage.schema.views import UINT_TO_UUID_BODY, VIEWS

logger = logging.getLogger(__name__)

MIGRATION_IDS: Final[tuple[int, ...]] = (
    0,
    *range(2, 7),
    8,
    9,
    11,
    *range(15, 23),
    *range(24, 54),
)
"""The 47 ids; 1, 7, 10, 12 to 14 and 23 are withdrawn and never reused."""

EMBEDDED_SETTINGS: Final = TableSettings(deduplication_window=1000, fsync=True)
SERVER_SETTINGS: Final = TableSettings(deduplication_window=10_000, fsync=False)
"""A server's window is shared by every gateway that writes to it, so it is larger."""
CLOUD_SETTINGS: Final = TableSettings(deduplication_window=0, fsync=False)
"""ClickHouse Cloud replaces the engines by its own, which remember tokens anyway."""

ALREADY_PRESENT: Final = "already present"
_NAMED_AT_MOST: Final = 5


class MigrationError(DatabaseError):
    """The database can't be brought to the needed schema; the text says what to do."""


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What ``migrate`` found and did.

    ``applied``: ids run now · ``already_present``: ids whose effect was there without a row ·
    ``unknown``: recorded ids of a newer version · ``created``: the schema was built from
    nothing · ``tables_without_tokens``: tables that do not remember insert tokens (there, a
    batch in doubt must be compared before it is repaired).
    """

    created: bool = False
    applied: tuple[int, ...] = ()
    already_present: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    tables_without_tokens: tuple[str, ...] = ()
    elapsed_ms: int = 0


def migrate(
    db: Database,
    *,
    version: str,
    cluster: str | None = None,
    manual: bool = False,
    disabled: bool = False,
    embedded: bool = False,
    override_replication: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> MigrationReport:
    """Create or upgrade the schema; does nothing on a complete one.

    ``cluster`` is ``TENSORZERO_CLICKHOUSE_CLUSTER_NAME``; ``manual`` the run by
    ``--run-clickhouse-migrations``; ``disabled`` is
    ``[clickhouse] disable_automatic_migrations``; ``override_replication`` is
    ``TENSORZERO_OVERRIDE_NON_REPLICATED_CLICKHOUSE=1``.
    Raises MigrationError, ReplicationError, QueryError, DatabaseUnavailable.
    """
    started = time.monotonic()
    settings = EMBEDDED_SETTINGS if embedded else SERVER_SETTINGS
    expected = frozenset(MIGRATION_IDS)
    recorded = recorded_ids(db)
    ids = recorded or frozenset()
    unknown = tuple(sorted(ids - expected))
    if unknown:
        logger.warning(
            "The database has migrations that this version does not know (%s): a newer gateway "
            "was here. Going on with the schema as it is",
            ", ".join(map(str, unknown)),
        )
    if expected <= ids:
        missing_tokens = _remember_tokens(db, None, settings, allowed=not disabled)
        return MigrationReport(
            unknown=unknown, tables_without_tokens=missing_tokens, elapsed_ms=_ms(started)
        )
    if disabled and not manual:
        raise MigrationError(
            "Automatic ClickHouse migrations were disabled, but not all migrations were run. "
            "Run `tensorzero gateway --run-clickhouse-migrations` once, or remove "
            "`clickhouse.disable_automatic_migrations` from the configuration. "
            f"Missing: {_abbreviated([str(id_) for id_ in sorted(expected - ids)])}"
        )
    replication = Replication(db.database, cluster)
    cloud = is_cloud(db)
    if cloud:
        settings = CLOUD_SETTINGS
    if recorded is None:
        _create_bookkeeping(db, replication, settings, manual)
    check_replication(db, cluster, override=override_replication, cloud=cloud)
    run = _Run(db, replication, settings, version, manual, sleep)
    schema = read_schema(db)
    created = False
    applied: list[int] = []
    if run.is_final_or_empty(schema):
        created = run.create_missing(schema)
        if created:
            applied = [id_ for id_ in MIGRATION_IDS if id_ not in ids]
            run.record(applied, _ms(started))
    else:
        applied = run.upgrade(schema, ids)
    present = [id_ for id_ in MIGRATION_IDS if id_ not in ids and id_ not in applied]
    run.record(present, 0, ALREADY_PRESENT)
    _ensure_deployment_id(db)
    missing_tokens = _remember_tokens(db, cluster, settings, allowed=True)
    return MigrationReport(
        created=created,
        applied=tuple(applied),
        already_present=tuple(present),
        unknown=unknown,
        tables_without_tokens=missing_tokens,
        elapsed_ms=_ms(started),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    db: Database
    replication: Replication
    settings: TableSettings
    version: str
    manual: bool
    sleep: Callable[[float], None]

    def is_final_or_empty(self, schema: SchemaState) -> bool:
        """Every table that is there has its final columns and indexes: only creating is left.

        True for an empty database, for one that another gateway is just creating, for one
        whose creation was interrupted, and for a complete one without its rows.
        """
        for table in TABLES:
            state = schema.tables.get(table.name)
            if state is None:
                continue
            if schema.lacks_columns(table):
                return False
            if any(index.name not in state.indexes for index in table.indexes):
                return False
        return True

    def create_missing(self, schema: SchemaState) -> bool:
        """Create what is absent; tells whether anything was."""
        names = [*(table.name for table in TABLES), *(view.name for view in VIEWS)]
        if all(name in schema.tables for name in names):
            return False
        self._refuse_cluster()
        for table in TABLES:
            if table.name not in schema.tables:
                self.db.command(table.create(self.replication, self.settings))
        self.db.command(
            f"CREATE FUNCTION IF NOT EXISTS uint_to_uuid{self.replication.on_cluster} "
            f"AS {UINT_TO_UUID_BODY}"
        )
        for view in VIEWS:
            if view.name not in schema.tables:
                self.db.command(view.create(self.replication))
        return True

    def upgrade(self, schema: SchemaState, ids: frozenset[int]) -> list[int]:
        """Run the needed ones of steps 45 to 53 on a database of level 44 or later."""
        lacking = lacking_at_44(schema)
        if lacking:
            raise MigrationError(
                "The ClickHouse database was made by a version of the gateway that is too old to "
                f"upgrade from here (it lacks {_abbreviated(lacking)}). Run "
                "`--run-clickhouse-migrations` of a recent TensorZero gateway (2026.1 or later) "
                "on it once, then start this one again"
            )
        context = StepContext(self.db, self.replication, self.settings, self.sleep)
        applied: list[int] = []
        for step in STEPS:
            # Read anew each time: another gateway may be upgrading at this moment.
            if not step.needed(read_schema(self.db) if applied else schema, ids):
                continue
            self._refuse_cluster()
            started = time.monotonic()
            logger.info("Applying database migration %d", step.id)
            try:
                step.apply(context)
            except QueryError as error:
                raise MigrationError(
                    f"Database migration {step.id} failed: {error.message}. "
                    "It changed nothing that can't be repeated: start again once the cause is gone"
                ) from error
            self.record([step.id], _ms(started))
            applied.append(step.id)
        return applied

    def record(self, ids: list[int], elapsed_ms: int, extra_data: str | None = None) -> None:
        """One row per id in ``TensorZeroMigration``."""
        if not ids:
            return
        extra = "NULL" if extra_data is None else quote_string(extra_data)
        rows = ", ".join(
            f"({id_}, 'Migration{id_:04d}', {quote_string(self.version)}, '', "
            f"{elapsed_ms}, {extra})"
            for id_ in ids
        )
        self.db.command(
            "INSERT INTO TensorZeroMigration (migration_id, migration_name, gateway_version, "
            f"gateway_git_sha, execution_time_ms, extra_data) VALUES {rows}",
            settings={"async_insert": "0"},
        )

    def _refuse_cluster(self) -> None:
        if self.replication.active and not self.manual:
            raise MigrationError(
                "Migrations must be run manually if using a replicated ClickHouse cluster. "
                "Run `tensorzero gateway --run-clickhouse-migrations` once"
            )


def _create_bookkeeping(
    db: Database, replication: Replication, settings: TableSettings, manual: bool
) -> None:
    if replication.active and not manual:
        what = f"Database {db.database} does not exist."
        if database_exists(db):
            what = f"Database {db.database} has no table `TensorZeroMigration`."
        raise MigrationError(
            f"{what} We do not automatically run migrations to create and set it up when "
            "replication is configured. Run `tensorzero gateway --run-clickhouse-migrations` once"
        )
    if not database_exists(db):
        db.command(
            f"CREATE DATABASE IF NOT EXISTS {quote_identifier(db.database)}"
            f"{replication.on_cluster}",
            in_database=False,
        )
    db.command(MIGRATION_TABLE.create(replication, settings))


def _ensure_deployment_id(db: Database) -> None:
    """One id per database for ever; of several inserts the oldest survives merging."""
    if db.command("SELECT count() FROM DeploymentID").strip() == "0":
        db.command(
            "INSERT INTO DeploymentID (deployment_id) VALUES "
            f"({quote_string(secrets.token_hex(32))})",
            settings={"async_insert": "0"},
        )


def _remember_tokens(
    db: Database, cluster: str | None, settings: TableSettings, *, allowed: bool
) -> tuple[str, ...]:
    """Set the token window where a table has none; returns the tables that stay without.

    A database made by the reference lacks the setting. It changes no column and no answer; a
    user without the right to set it only loses the short way of repairing a batch in doubt.
    """
    rows = db.query_json(
        "SELECT name FROM system.tables WHERE database = {db:String} "
        "AND engine LIKE '%MergeTree' AND NOT startsWith(engine, 'Replicated') "
        "AND NOT startsWith(engine, 'Shared') "
        "AND create_table_query NOT LIKE '%non_replicated_deduplication_window%'",
        {"db": db.database},
    )
    without = {row["name"] for row in rows} & {table.name for table in TABLES}
    left: list[str] = []
    on_cluster = Replication(db.database, cluster).on_cluster
    for name in sorted(without):
        if not allowed:
            left.append(name)
            continue
        pairs = ", ".join(f"{key} = {value}" for key, value in settings.items(replicated=False))
        try:
            db.command(f"ALTER TABLE {name}{on_cluster} MODIFY SETTING {pairs}")
        except QueryError as error:
            left.append(name)
            logger.warning(
                "Table %s can't be told to remember insert tokens (%s)", name, error.message
            )
    return tuple(left)


def _abbreviated(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED_AT_MOST])
    rest = len(names) - _NAMED_AT_MOST
    return shown + (f" and {rest} more" if rest > 0 else "")


def _ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
