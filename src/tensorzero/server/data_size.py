"""The size of what was recorded, in the log: soon after the start, then once a day."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.parameters import Parameter
from tensorzero.storage.database.protocol import Row
from tensorzero.types.sizes import bytes_text

log = logging.getLogger(__name__)

FIRST_S = 5.0
EVERY_S = 24 * 3600.0

_SIZES = (
    "SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS size FROM system.parts "
    "WHERE active AND database = {db:String} GROUP BY table"
)
_FREE = "SELECT free_space AS free FROM system.disks WHERE name = 'default'"


class Queries(Protocol):
    """What of a database this needs."""

    def query_json(self, sql: str, params: Mapping[str, Parameter] | None = None) -> list[Row]: ...


async def log_data_size(database: Queries, name: str) -> None:
    """Log a line about database ``name`` now and then, until cancelled."""
    pause = FIRST_S
    while True:
        await asyncio.sleep(pause)
        pause = EVERY_S
        try:
            log.info("%s", await asyncio.to_thread(data_size, database, name))
        except DatabaseError as error:
            # A user of the server who may not see its system tables.
            log.info("the size of the recorded data is not known: %s", error)


def data_size(database: Queries, name: str) -> str:
    """``recorded data: inferences 3 rows 4.2 KiB, …``. Raises DatabaseError."""
    sizes: dict[str, list[int]] = {
        "inferences": [0, 0],
        "model inferences": [0, 0],
        "feedback": [0, 0],
        "datasets": [0, 0],
        "indexes and others": [0, 0],
    }
    rows = database.query_json(_SIZES, {"db": name})
    for row in rows:
        size = sizes[_group(row["table"])]
        size[0] += int(row["rows"])
        size[1] += int(row["size"])
    parts = [f"{group} {count:,} rows {bytes_text(size)}" for group, (count, size) in sizes.items()]
    whole = bytes_text(sum(size for _, size in sizes.values()))
    return f"recorded data: {', '.join(parts)}; {whole} on disk{_free(database.query_json(_FREE))}"


def _group(table: str) -> str:
    if table in ("ChatInference", "JsonInference"):
        return "inferences"
    if table == "ModelInference":
        return "model inferences"
    if table.endswith("Datapoint"):
        return "datasets"
    return "feedback" if "Feedback" in table else "indexes and others"


def _free(rows: Iterable[dict[str, Any]]) -> str:
    for row in rows:
        return f", {bytes_text(int(row['free']))} free"
    return ""
