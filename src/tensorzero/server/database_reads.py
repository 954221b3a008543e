"""What a worker asks the database: its health, and what use cases read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tensorzero.gateway.database import Parameter, Row
from tensorzero.server.recording import SpoolRecorder
from tensorzero.server.settings import Settings
from tensorzero.storage.database.errors import DatabaseError, QueryError
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.types.errors import ClickHouseConnection, ClickHouseQuery

if TYPE_CHECKING:
    from tensorzero.storage.database.reads import ReadClient


class DatabaseReads:
    """Reads of a worker, errors in the gateway's own words."""

    def __init__(self, settings: Settings, recorder: SpoolRecorder | None) -> None:
        self.settings = settings
        self.recorder = recorder
        self._client: ReadClient | None = None

    @property
    def client(self) -> ReadClient | None:
        """Opened when it is first asked for; ``None`` when nothing is recorded."""
        if self._client is None:
            self._client = open_reads(self.settings)
        return self._client

    async def database_ok(self) -> bool:
        if self.recorder is not None and not self.recorder.has_room():
            return False
        client = self.client
        return client is None or await client.ping()

    async def query(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[Row]:
        client = self.client
        if client is None:
            raise ClickHouseConnection(
                "This needs the database, and `gateway.observability.enabled` is false"
            )
        try:
            return await client.query(sql, params, settings)
        except QueryError as error:
            raise ClickHouseQuery(f"The database refused a query: {error}") from None
        except DatabaseError as error:
            raise ClickHouseConnection(f"The database cannot be asked: {error}") from None


def open_reads(settings: Settings) -> ReadClient | None:
    """The worker's client, ``None`` when nothing is recorded."""
    if not settings.records:
        return None
    # Not at the top: its HTTP client takes a while to load, and a start need not wait for it.
    from tensorzero.storage.database.reads import ReadClient

    if settings.embedded:
        return ReadClient.for_data_dir(Path(settings.data_dir))
    return ReadClient(DatabaseURL.parse(os.environ["TENSORZERO_CLICKHOUSE_URL"]))
