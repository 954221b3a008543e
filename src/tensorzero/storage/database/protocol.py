"""What embedded and remote databases have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import orjson

from tensorzero.storage.database.parameters import Parameter

Row = dict[str, Any]
"""One row of ``JSONEachRow``: column → JSON value; 64-bit and wider integers are strings."""

DDL_SETTINGS: Final[Mapping[str, str]] = {
    "mutations_sync": "2",
    "alter_sync": "2",
    "join_algorithm": "auto",
}
"""Sent with every query and DDL statement (not with row inserts)."""

INSERT_SETTINGS: Final[Mapping[str, str]] = {
    # New engines default to 1, and then tokens are not honoured.
    "async_insert": "0",
    "deduplicate_blocks_in_dependent_materialized_views": "1",
    # One block per batch: a token covers a block, and a rejected batch leaves nothing behind.
    "input_format_parallel_parsing": "0",
    "max_insert_block_size": "1000000",
    "min_insert_block_size_rows": "1000000",
    "min_insert_block_size_bytes": "1000000000",
}
"""Sent with every row insert, next to ``insert_deduplication_token``."""

MAX_INSERT_ROWS: Final = 100_000
MAX_INSERT_BYTES: Final = 64 * 1024 * 1024


def parse_rows(body: bytes) -> list[Row]:
    """Rows of a ``JSONEachRow`` answer."""
    return [orjson.loads(line) for line in body.split(b"\n") if line]


class Database(Protocol):
    """A ClickHouse engine, blocking: the shipper and the migrations talk to it in threads."""

    @property
    def database(self) -> str:
        """Name of the database that unqualified table names mean."""
        ...

    def command(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
        *,
        in_database: bool = True,
    ) -> str:
        """Run one statement, return its text (tab-separated).

        ``in_database=False`` runs it outside the database (to create it).
        Raises QueryError, DatabaseUnavailable.
        """
        ...

    def query_json(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """Run one SELECT without FORMAT, return its rows. Raises as ``command`` does."""
        ...

    def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
        """Insert JSONEachRow lines as one block; blocks until acknowledged.

        The same token with the same rows inserts nothing twice, views' targets included.
        Raises RowsRejected (nothing was inserted) or SinkUnavailable (in doubt or not sent).
        """
        ...

    def ping(self) -> None:
        """Raise DatabaseUnavailable unless the engine answers within 2 s."""
        ...

    def close(self) -> None: ...
