"""What a worker asks the database: its health, and what use cases read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tensorzero.gateway.database import Parameter, Row
from tensorzero.server.recording import SpoolRecorder
from tensorzero.server.settings import Settings
from tensorzero.storage.database.errors import DatabaseError, QueryError
from tensorzero.storage.database.reads import ReadClient
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.types.errors import ClickHouseConnection, ClickHouseQuery


class DatabaseReads:
    """Reads through ``client`` (``None``: recording is off), errors in the gateway's own words."""

    def __init__(self, client: ReadClient | None, recorder: SpoolRecorder | None) -> None:
        self.client = client
        self.recorder = recorder

    async def database_ok(self) -> bool:
        if self.recorder is not None and not self.recorder.has_room():
            return False
        return self.client is None or await self.client.ping()

    async def query(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[Row]:
        if self.client is None:
            raise ClickHouseConnection(
                "This needs the database, and `gateway.observability.enabled` is false"
            )
        try:
            return await self.client.query(sql, params, settings)
        except QueryError as error:
            raise ClickHouseQuery(f"The database refused a query: {error}") from None
        except DatabaseError as error:
            raise ClickHouseConnection(f"The database cannot be asked: {error}") from None


def open_reads(settings: Settings) -> ReadClient | None:
    """The worker's client, ``None`` when nothing is recorded."""
    if not settings.records:
        return None
    if settings.embedded:
        return ReadClient.for_data_dir(Path(settings.data_dir))
    return ReadClient(DatabaseURL.parse(os.environ["TENSORZERO_CLICKHOUSE_URL"]))
