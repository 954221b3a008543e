"""The embedded database: chDB, the ClickHouse engine as a library, in this process.

chDB is imported only when a database is opened: it costs 0.2 s and 300 MB, which a process
that only reads over HTTP must not pay. A process hosts one engine on one folder; connections
to it are cheap (0.2 ms), carry their own settings, and run one statement at a time each.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from uuid import uuid4

from tensorzero.storage.database.connection_file import DATABASE_FOLDER
from tensorzero.storage.database.disk_guard import DiskGuard
from tensorzero.storage.database.errors import (
    DatabaseError,
    DatabaseUnavailable,
    EmbeddedEngineMissing,
    QueryError,
    RowsRejected,
    SinkUnavailable,
)
from tensorzero.storage.database.exception_text import insert_error, parse_exception
from tensorzero.storage.database.lock import DEFAULT_WAIT_S, DirectoryLock
from tensorzero.storage.database.parameters import (
    Parameter,
    encode_parameters,
    quote_identifier,
    quote_string,
)
from tensorzero.storage.database.protocol import DDL_SETTINGS, INSERT_SETTINGS, Row, parse_rows
from tensorzero.storage.database.url import FORCED_SETTINGS

logger = logging.getLogger(__name__)

DEFAULT_MEMORY_LIMIT_BYTES: Final = 1024 * 1024 * 1024
_ENGINE_FOLDER: Final = "clickhouse"
_SETTING_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_UNKNOWN_SETTING: Final = 115

_ENGINE_SETTINGS: Final[Mapping[str, int]] = {
    "background_pool_size": 2,
    "background_common_pool_size": 2,
    "background_move_pool_size": 1,
    "background_fetches_pool_size": 1,
    "background_schedule_pool_size": 4,
    "background_message_broker_schedule_pool_size": 1,
    "background_distributed_schedule_pool_size": 1,
    "tables_loader_foreground_pool_size": 2,
    "tables_loader_background_pool_size": 1,
    # Each table looks for something to do ten times a second after a start or an insert, and
    # ever less often then: all of them together a hundredth of a processor. An insert and the
    # end of a merge make a table look at once, whatever is said here.
    "background_processing_pool_thread_sleep_seconds_if_nothing_to_do": 5,
    "background_streaming_processing_pool_thread_sleep_seconds_if_nothing_to_do": 600,
    # How often it looks at the memory it takes; twenty times a second unless told otherwise.
    "memory_worker_period_ms": 500,
}
"""The engine's own, for a process whose rest counts."""

_SESSION_SETTINGS: Final[Mapping[str, str]] = {
    # The engine as a library starts with its shell's habits; these are a server's.
    "implicit_select": "0",
    "allow_introspection_functions": "0",
    "max_threads": "2",
}


@dataclass(frozen=True, slots=True)
class BrokenPart:
    """A data part the engine set aside because it can't be read (power loss, bad disk)."""

    table: str
    part: str
    reason: str


class Session:
    """One connection with settings of its own; one statement at a time; close when done."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.tag = uuid4().hex
        """Names this session's statements in ``system.processes`` (as ``log_comment``)."""
        self.rows_read = 0
        self.rows_written = 0

    def set(self, settings: Mapping[str, str]) -> None:
        """Apply settings to this session only. Raises QueryError (115) on an unknown one."""
        if not settings:
            return
        pairs = []
        for name, value in settings.items():
            if not _SETTING_NAME.match(name):
                raise QueryError(
                    _UNKNOWN_SETTING,
                    f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)",
                )
            pairs.append(f"{name} = {quote_string(value)}")
        self.query("SET " + ", ".join(pairs))

    def use(self, database: str) -> None:
        self.query(f"USE {quote_identifier(database)}")

    def query(
        self, sql: str, format_name: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> bytes:
        """Run a statement, return its whole result. ``params`` are encoded texts."""
        try:
            result = self._connection.query(sql, format_name, params=dict(params or {}))
            self.rows_read += result.storage_rows_read()
            self.rows_written += result.rows_written()
            data: bytes = result.bytes()
        except RuntimeError as error:
            raise parse_exception(str(error)) from None
        return data

    def stream(
        self, sql: str, format_name: str, params: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """Run a SELECT, yield its result in pieces of about 64,000 rows."""
        try:
            stream = self._connection.send_query(sql, format_name, params=dict(params or {}))
        except RuntimeError as error:
            raise parse_exception(str(error)) from None
        try:
            while True:
                try:
                    piece = stream.fetch()
                except RuntimeError as error:
                    raise parse_exception(str(error)) from None
                if piece is None:
                    return
                self.rows_read += piece.storage_rows_read()
                yield piece.bytes()
        finally:
            with contextlib.suppress(RuntimeError):
                # Ends a stream that nobody reads on; an already finished one has nothing to end.
                stream.cancel()

    def insert(
        self, into: str, format_name: str, data: bytes | memoryview, settings_clause: str = ""
    ) -> None:
        """Run ``INSERT INTO …`` with ``data`` in the given input format.

        The engine reads the data from a file in memory. Its streaming inserter would take the
        bytes themselves, but reports success when writing the part fails (a full disk), and as
        part of the query's text they cost three times the CPU.
        """
        with _as_file(data) as path:
            sql = f"{into} FROM INFILE {quote_string(path)} {settings_clause} FORMAT {format_name}"
            self.query(sql)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class EmbeddedDatabase:
    """The engine on ``<data_dir>/database``, owned by this process until ``close``."""

    def __init__(self, engine: Any, address: str, folder: Path, lock: DirectoryLock) -> None:
        self._engine = engine
        self._address = address
        self._lock = lock
        self._closing = threading.Lock()
        self._closed = False
        self.folder = folder
        # Keeps the engine alive while no other session is open.
        self._keeper = self._connect()
        self._ingest: Session | None = None
        self._ingest_lock = threading.Lock()
        self._guard = DiskGuard(folder, self._allow_merges)
        self.broken_parts: tuple[BrokenPart, ...] = ()

    @classmethod
    def open(
        cls,
        data_dir: Path,
        *,
        memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
        lock_wait_s: float = DEFAULT_WAIT_S,
    ) -> EmbeddedDatabase:
        """Open (or create) the database; waits up to ``lock_wait_s`` for another owner to leave.

        Raises DatabaseLocked, EmbeddedEngineMissing, DatabaseError (an unusable folder).
        """
        folder = data_dir.absolute() / DATABASE_FOLDER
        if "?" in str(folder):
            raise DatabaseError(
                f"The embedded database can't live in {folder}: "
                "choose a data directory without '?' in its path"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise DatabaseError(
                f"Cannot create the database folder {folder}: {error.strerror}"
            ) from error
        lock = DirectoryLock(folder / ".lock")
        lock.acquire(lock_wait_s)
        try:
            engine = _import_engine()
            settings = {"max_server_memory_usage": memory_limit_bytes, **_ENGINE_SETTINGS}
            pairs = "&".join(f"{name}={value}" for name, value in settings.items())
            address = f"{folder / _ENGINE_FOLDER}?{pairs}"
            try:
                database = cls(engine, address, folder, lock)
            except RuntimeError as error:
                raise DatabaseError(
                    f"The embedded database in {folder} can't be opened: "
                    f"{parse_exception(str(error)).message}"
                ) from None
        except BaseException:
            lock.release()
            raise
        try:
            database.broken_parts = database._find_broken_parts()
            with contextlib.suppress(SinkUnavailable):
                # No insert yet; but merges must not begin on a disk that is full already.
                database._guard.check(0)
        except BaseException:
            database.close()
            raise
        for part in database.broken_parts:
            logger.error(
                "Embedded database: part %s of table %s could not be read at start (%s) "
                "and was set aside; rows in it are missing until they are sent again",
                part.part,
                part.table,
                part.reason,
            )
        return database

    @property
    def database(self) -> str:
        return "default"

    def session(self, settings: Mapping[str, str] | None = None) -> Session:
        """A fresh connection with a server's defaults, plus ``settings``."""
        if self._closed:
            raise DatabaseUnavailable("The embedded database is closed")
        try:
            session = Session(self._connect())
        except RuntimeError as error:
            raise DatabaseUnavailable(
                f"The embedded database gives no connection: {parse_exception(str(error)).message}"
            ) from None
        try:
            session.set({**_SESSION_SETTINGS, "log_comment": session.tag, **(settings or {})})
        except BaseException:
            session.close()
            raise
        return session

    def cancel(self, tag: str) -> None:
        """End the running statement of the session with this tag, if it still runs."""
        with self.session() as session:
            session.query(f"KILL QUERY WHERE Settings['log_comment'] = {quote_string(tag)} ASYNC")

    def command(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
        *,
        in_database: bool = True,
    ) -> str:
        """See Database.command; there is one database, so ``in_database`` changes nothing."""
        return self._run(sql, "TabSeparated", params, settings).decode(errors="replace")

    def query_json(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """See Database.query_json."""
        return parse_rows(self._run(sql, "JSONEachRow", params, settings))

    def _run(
        self,
        sql: str,
        format_name: str,
        params: Mapping[str, Parameter] | None,
        settings: Mapping[str, str] | None,
    ) -> bytes:
        with self.session({**FORCED_SETTINGS, **DDL_SETTINGS, **(settings or {})}) as session:
            return session.query(sql, format_name, encode_parameters(params))

    def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
        """See Database.insert. One insert at a time; readers go on meanwhile."""
        if not _TABLE_NAME.match(table):
            raise RowsRejected(f"{table!r} is not a table name")
        with self._ingest_lock:
            self._guard.check(len(rows))
            try:
                if self._ingest is None:
                    self._ingest = self.session({**FORCED_SETTINGS, **INSERT_SETTINGS})
                self._ingest.insert(
                    f"INSERT INTO {table}",
                    "JSONEachRow",
                    rows,
                    f"SETTINGS insert_deduplication_token = {quote_string(token)}",
                )
            except QueryError as error:
                verdict = insert_error(error, table)
                if isinstance(verdict, SinkUnavailable):
                    self._drop_ingest()
                raise verdict from None
            except DatabaseUnavailable as error:
                raise SinkUnavailable(str(error)) from None
            except BaseException:
                self._drop_ingest()
                raise

    def ping(self) -> None:
        """Raise DatabaseUnavailable unless a trivial query succeeds."""
        try:
            with self.session() as session:
                session.query("SELECT 1")
        except QueryError as error:
            raise DatabaseUnavailable(error.message) from None

    def close(self) -> None:
        """Close the engine and give the folder back. Sessions still open keep it alive."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        with self._ingest_lock:
            self._drop_ingest()
        self._keeper.close()
        self._lock.release()

    def _allow_merges(self, allowed: bool) -> None:
        with self.session() as session:
            session.query("SYSTEM START MERGES" if allowed else "SYSTEM STOP MERGES")

    def _connect(self) -> Any:
        return self._engine.connect(self._address)

    def _drop_ingest(self) -> None:
        if self._ingest is not None:
            self._ingest.close()
            self._ingest = None

    def _find_broken_parts(self) -> tuple[BrokenPart, ...]:
        rows = self.query_json(
            "SELECT table, name, reason FROM system.detached_parts "
            "WHERE database = currentDatabase() AND startsWith(reason, 'broken') "
            "ORDER BY table, name"
        )
        return tuple(BrokenPart(row["table"], row["name"], row["reason"]) for row in rows)


@contextlib.contextmanager
def _as_file(data: bytes | memoryview) -> Iterator[str]:
    """A path from which the engine reads ``data``; in memory where the system can."""
    try:
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("rows")
            path = f"/proc/self/fd/{fd}"
        else:
            fd, path = tempfile.mkstemp(prefix="rows-")
    except OSError as error:
        raise DatabaseUnavailable(f"No file for the rows: {error.strerror}") from error
    try:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError as error:
            raise DatabaseUnavailable(f"No room for the rows: {error.strerror}") from error
        yield path
    finally:
        os.close(fd)
        if not path.startswith("/proc/"):
            os.unlink(path)


def _import_engine() -> Any:
    try:
        import chdb
    except ImportError as error:
        if error.name not in (None, "chdb", "chdb._chdb", "_chdb"):
            raise
        raise EmbeddedEngineMissing(
            "The embedded database needs chDB, which is not installed. "
            "Run `pip install 'tensorzero-gateway[embedded]'`, or set TENSORZERO_CLICKHOUSE_URL "
            "to use a ClickHouse server"
        ) from error
    return chdb
