"""Where the shipper puts rows: the embedded database or a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tensorzero.storage.database.errors import RowsRejected, SinkUnavailable

__all__ = ["RowSink", "RowsRejected", "SinkUnavailable"]


class RowSink(Protocol):
    """A database that takes rows; calls block until they are acknowledged."""

    def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
        """Insert JSONEachRow lines as one block; the same token twice inserts once.

        Raises ``RowsRejected`` for a definite fault in the rows (nothing was inserted),
        ``SinkUnavailable`` when the database was not reached, anything else when in doubt.
        """

    def command(self, sql: str) -> str:
        """Run one statement. Raises ``DatabaseError``."""

    def query_json(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of one SELECT. Raises ``DatabaseError``."""
