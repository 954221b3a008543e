"""What use cases ask of the analytics database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Parameter = str | int | float | bool | None | Sequence[Any] | Mapping[str, Any]
"""A value of a query parameter; it is bound by the database, never written into the SQL."""
Row = dict[str, Any]
"""One row by column; integers wider than 64 bits are texts."""


class Reads(Protocol):
    """Runs SELECTs."""

    async def query(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """Rows of one SELECT without FORMAT, whose ``{name:Type}`` are bound to ``params``.

        Raises ``ClickHouseConnection`` when the database is off or away, ``ClickHouseQuery`` for
        its refusal.
        """
