"""Tables and views as data, and the DDL made of them.

One description serves three ends: creating the schema, comparing an existing one with it, and
telling what the upgrade steps still have to add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tensorzero.storage.schema.replication import Replication

DefaultKind = Literal["", "DEFAULT", "MATERIALIZED"]


@dataclass(frozen=True, slots=True)
class Column:
    """``name type [kind expression]``; ``type`` is spelled as ``DESCRIBE`` spells it."""

    name: str
    type: str
    kind: DefaultKind = ""
    expression: str = ""

    @property
    def ddl(self) -> str:
        default = f" {self.kind} {self.expression}" if self.kind else ""
        return f"`{self.name}` {self.type}{default}"


@dataclass(frozen=True, slots=True)
class Index:
    """A bloom-filter skipping index over one column."""

    name: str
    column: str
    granularity: int = 1

    @property
    def ddl(self) -> str:
        return f"{self.name} {self.column} TYPE bloom_filter GRANULARITY {self.granularity}"


@dataclass(frozen=True, slots=True)
class TableSettings:
    """Storage settings of ours; they change no column and no query result.

    ``deduplication_window``: how many insert tokens a table remembers (replicated tables have
    their own window; 0 leaves it to the engine). ``fsync``: an acknowledged insert survives a power cut.
    """

    deduplication_window: int
    fsync: bool

    def items(self, replicated: bool) -> list[tuple[str, str]]:
        settings: list[tuple[str, str]] = []
        if not replicated and self.deduplication_window:
            settings.append(("non_replicated_deduplication_window", str(self.deduplication_window)))
        if self.fsync:
            settings += [("fsync_after_insert", "1"), ("fsync_part_directory", "1")]
        return settings


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the contract (data-model 4); columns in physical order."""

    name: str
    columns: tuple[Column, ...]
    order_by: str
    engine: str = "MergeTree"
    engine_arguments: str = ""
    primary_key: str = ""
    partition_by: str = ""
    indexes: tuple[Index, ...] = ()
    index_granularity: int = 8192

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name}.{name}")

    def index(self, name: str) -> Index:
        for index in self.indexes:
            if index.name == name:
                return index
        raise KeyError(f"{self.name}.{name}")

    def create(self, replication: Replication, settings: TableSettings) -> str:
        """``CREATE TABLE IF NOT EXISTS``: repeatable, so several gateways may run it at once."""
        body = [column.ddl for column in self.columns]
        body += [f"INDEX {index.ddl}" for index in self.indexes]
        lines = [
            f"CREATE TABLE IF NOT EXISTS {self.name}{replication.on_cluster}",
            "(\n    " + ",\n    ".join(body) + "\n)",
            f"ENGINE = {replication.engine(self.engine, self.engine_arguments, self.name)}",
        ]
        if self.partition_by:
            lines.append(f"PARTITION BY {self.partition_by}")
        if self.primary_key:
            lines.append(f"PRIMARY KEY {self.primary_key}")
        if self.order_by:
            lines.append(f"ORDER BY {self.order_by}")
        pairs = settings.items(replication.active)
        if self.index_granularity != 8192:
            pairs.insert(0, ("index_granularity", str(self.index_granularity)))
        if pairs:
            lines.append("SETTINGS " + ", ".join(f"{name} = {value}" for name, value in pairs))
        return "\n".join(lines)

    def add_column(self, name: str, replication: Replication) -> str:
        column = self.column(name)
        return (
            f"ALTER TABLE {self.name}{replication.on_cluster} ADD COLUMN IF NOT EXISTS {column.ddl}"
        )

    def without(self, columns: Sequence[str] = (), indexes: Sequence[str] = ()) -> Table:
        """The same table before the steps that added these."""
        return replace(
            self,
            columns=tuple(column for column in self.columns if column.name not in columns),
            indexes=tuple(index for index in self.indexes if index.name not in indexes),
        )


@dataclass(frozen=True, slots=True)
class View:
    """A materialized view: what each insert into ``source`` adds to ``target``."""

    name: str
    source: str
    target: str
    query: str = field(repr=False)

    def create(self, replication: Replication) -> str:
        return (
            f"CREATE MATERIALIZED VIEW IF NOT EXISTS {self.name}{replication.on_cluster}\n"
            f"TO {self.target}\nAS {self.query}"
        )

    def modify(self, query: str, replication: Replication) -> str:
        """Replace the query in place: the view misses no row, as a dropped one would."""
        return f"ALTER TABLE {self.name}{replication.on_cluster} MODIFY QUERY {query}"
