"""Reads the rows of inferences whose keys are known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from tensorzero.gateway.database import Reads, Row
from tensorzero.gateway.queries.page import InferenceKey
from tensorzero.gateway.queries.request import OutputSource
from tensorzero.gateway.queries.source import (
    UUID_TIME_BIT,
    WIDE,
    FunctionType,
    latest_value,
)
from tensorzero.gateway.queries.sql import Bindings, all_of
from tensorzero.gateway.stored.inference import (
    CHAT_COLUMNS,
    JSON_COLUMNS,
    StoredInference,
    read_inference,
)

_COLUMNS: dict[FunctionType, tuple[str, ...]] = {"chat": CHAT_COLUMNS, "json": JSON_COLUMNS}
_ROWS_AT_ONCE = 500
"""One query's; what is read from the database at once stays bounded."""
_LAST_SECOND = 2**32 - 1
"""Of the type of the column of times."""
_TURN = 16
"""Rows that are made into answers before other requests get their turn."""


async def read_rows(
    keys: Sequence[InferenceKey], output_source: OutputSource, reads: Reads
) -> AsyncIterator[StoredInference]:
    """The inferences, in the order of ``keys``, without those that are gone, and for
    ``demonstration`` those that have none. Raises ``ClickHouseDeserialization``."""
    for first in range(0, len(keys), _ROWS_AT_ONCE):
        some = keys[first : first + _ROWS_AT_ONCE]
        chat, json, demonstrations = await asyncio.gather(
            _rows("chat", some, reads),
            _rows("json", some, reads),
            _demonstrations(some if output_source == "demonstration" else (), reads),
        )
        for at, key in enumerate(some):
            if at % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            is_chat = key.function_type == "chat"
            row = (chat if is_chat else json).get(key.id)
            demonstration = demonstrations.get(key.id)
            if row is None or (output_source == "demonstration" and demonstration is None):
                continue
            yield read_inference(
                row,
                chat=is_chat,
                demonstration=demonstration,
                with_output=output_source != "none",
            )


async def _rows(kind: FunctionType, keys: Sequence[InferenceKey], reads: Reads) -> dict[str, Row]:
    """By id. The table's own key tells where to look, and only ids are compared there."""
    wanted = [key for key in keys if key.function_type == kind]
    if not wanted:
        return {}
    bind = Bindings()
    place = bind.tuples(
        [(key.function_name, key.variant_name, key.episode_id) for key in wanted],
        "String, String, UUID",
    )
    conditions = [
        f"indexHint((function_name, variant_name, episode_id) IN {place})",
        *_seconds(wanted, bind),
        f"id IN {bind.uuids([key.id for key in wanted])}",
    ]
    sql = f"SELECT {', '.join(_COLUMNS[kind])} FROM {WIDE[kind].table} WHERE {all_of(conditions)}"
    return {row["id"]: row for row in await reads.query(sql, bind.params)}


def _seconds(keys: Sequence[InferenceKey], bind: Bindings) -> list[str]:
    """When they were: the column of times is small, and spares that of ids where all are new."""
    ids = [UUID(key.id) for key in keys]
    first, last = (edge(ids).int // (1000 << UUID_TIME_BIT) for edge in (min, max))
    if last > _LAST_SECOND or any(one.version != 7 for one in ids):
        return []
    return [
        f"timestamp >= toDateTime({bind.uint64(first)})",
        f"timestamp <= toDateTime({bind.uint64(last)})",
    ]


async def _demonstrations(keys: Sequence[InferenceKey], reads: Reads) -> dict[str, str]:
    """The newest of each inference that has one."""
    if not keys:
        return {}
    bind = Bindings()
    sql = (
        f"SELECT inference_id, {latest_value()} AS newest FROM DemonstrationFeedback "
        f"WHERE inference_id IN {bind.uuids([key.id for key in keys])} GROUP BY inference_id"
    )
    return {row["inference_id"]: row["newest"] for row in await reads.query(sql, bind.params)}
