"""A database that has its schema before it takes a row, however late it comes up."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tensorzero.storage.database.errors import DatabaseError, QueryError, SinkUnavailable
from tensorzero.storage.database.protocol import Database, Row
from tensorzero.storage.shipper.ingest import IngestThread

log = logging.getLogger(__name__)

_GONE = (60, 81)  # UNKNOWN_TABLE, UNKNOWN_DATABASE
RETRY_S = 1.0


class PreparedDatabase:
    """Runs ``prepare`` (migrations, config snapshot) before the first statement, and again when
    the schema turns out to be gone. ``prepare`` returns the tables that remember no tokens."""

    def __init__(self, database: Database, prepare: Callable[[], Collection[str]]) -> None:
        self.database = database
        self.on_prepared: Callable[[Collection[str]], None] | None = None
        self._prepare = prepare
        self._lock = threading.Lock()
        self.prepared = False

    def ensure(self) -> None:
        """Prepare the database unless it is. Raises ``DatabaseError``."""
        with self._lock:
            if self.prepared:
                return
            self.database.ping()
            forgetful = self._prepare()
            self.prepared = True
        if self.on_prepared is not None:
            self.on_prepared(forgetful)

    def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
        """See ``RowSink.insert``."""
        self.ensure()
        try:
            self.database.insert(table, rows, row_count, token=token)
        except SinkUnavailable as error:
            self._check(error.code)
            raise

    def command(self, sql: str) -> str:
        self.ensure()
        return self.database.command(sql)

    def query_json(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        self.ensure()
        try:
            return self.database.query_json(sql, params)
        except QueryError as error:
            self._check(error.code)
            raise

    def _check(self, code: int) -> None:
        if code in _GONE:
            self.prepared = False

    async def prepare_late(self) -> None:
        """Try until the database is there and has its schema."""
        told = ""
        thread = IngestThread()  # a migration that hangs must not keep the process
        while not self.prepared:
            try:
                await thread.run(self.ensure)
            except DatabaseError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("the database is not ready: %s", error)
            else:
                log.info("the database is there")
                return
            await asyncio.sleep(RETRY_S)
