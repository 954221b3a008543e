"""What an existing database looks like, compared with the schema of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tensorzero.storage.database.errors import QueryError
from tensorzero.storage.database.protocol import Database
from tensorzero.storage.schema.model import Table

_UNKNOWN: Final = (60, 81)  # UNKNOWN_TABLE, UNKNOWN_DATABASE

_DEDUPLICATION: Final = "non_replicated_deduplication_window"


@dataclass(frozen=True, slots=True)
class TableState:
    """A table as it is: column → (type, default kind), its engine, its skipping indexes."""

    columns: dict[str, tuple[str, str]]
    engine: str
    definition: str
    indexes: frozenset[str]

    @property
    def is_replicated(self) -> bool:
        """Replicated (or Cloud's shared) tables remember tokens by themselves."""
        return self.engine.startswith(("Replicated", "Shared"))

    @property
    def remembers_tokens(self) -> bool:
        return self.is_replicated or _DEDUPLICATION in self.definition


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Everything in the database, read once."""

    tables: dict[str, TableState]

    def lacks_columns(self, table: Table) -> list[str]:
        """Columns of ``table`` that are absent here or have another type or default kind."""
        state = self.tables.get(table.name)
        if state is None:
            return [column.name for column in table.columns]
        return [
            column.name
            for column in table.columns
            if state.columns.get(column.name) != (column.type, column.kind)
        ]

    def has_columns(self, table: str, *names: str) -> bool:
        state = self.tables.get(table)
        return state is not None and all(name in state.columns for name in names)

    def has_index(self, table: str, name: str) -> bool:
        state = self.tables.get(table)
        return state is not None and name in state.indexes


def recorded_ids(db: Database) -> frozenset[int] | None:
    """Ids in ``TensorZeroMigration``; None if the database or the table does not exist."""
    try:
        rows = db.query_json("SELECT DISTINCT migration_id FROM TensorZeroMigration")
    except QueryError as error:
        if error.code in _UNKNOWN:
            return None
        raise
    return frozenset(int(row["migration_id"]) for row in rows)


def database_exists(db: Database) -> bool:
    answer = db.command(
        "SELECT count() FROM system.databases WHERE name = {name:String}",
        {"name": db.database},
        in_database=False,
    )
    return answer.strip() != "0"


def read_schema(db: Database) -> SchemaState:
    """Read tables, columns and indexes of the database in three queries.

    Tables first: another gateway may be creating them, and whatever the first query shows is
    complete by the time of the others.
    """
    name = {"db": db.database}
    found = db.query_json(
        "SELECT name, engine, create_table_query FROM system.tables WHERE database = {db:String}",
        name,
    )
    columns: dict[str, dict[str, tuple[str, str]]] = {}
    for row in db.query_json(
        "SELECT table, name, type, default_kind FROM system.columns "
        "WHERE database = {db:String} ORDER BY table, position",
        name,
    ):
        columns.setdefault(row["table"], {})[row["name"]] = (row["type"], row["default_kind"])
    indexes: dict[str, set[str]] = {}
    for row in db.query_json(
        "SELECT table, name FROM system.data_skipping_indices WHERE database = {db:String}", name
    ):
        indexes.setdefault(row["table"], set()).add(row["name"])
    tables = {
        row["name"]: TableState(
            columns=columns.get(row["name"], {}),
            engine=row["engine"],
            definition=row["create_table_query"],
            indexes=frozenset(indexes.get(row["name"], ())),
        )
        for row in found
    }
    return SchemaState(tables)
