"""One request run on the embedded engine, under limits, piece by piece on worker threads."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Generator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Final

import orjson

from tensorzero.storage.database.embedded import EmbeddedDatabase, Session
from tensorzero.storage.database.errors import QueryError
from tensorzero.storage.database.http_request import QueryRequest
from tensorzero.storage.database.parameters import quote_identifier
from tensorzero.storage.database.statement import STREAMABLE_FORMATS

_SPOOL_MEMORY_BYTES: Final = 8 * 1024 * 1024
_SPOOL_PIECE_BYTES: Final = 1024 * 1024
_TOO_LARGE_RESULT: Final = 396
_NO_SPACE: Final = 243


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and all of them together, may take."""

    max_body_bytes: int = 256 * 1024 * 1024
    max_result_bytes: int = 256 * 1024 * 1024
    """For results that can't be streamed (formats with head and tail)."""
    max_spooled_bytes: int = 2 * 1024 * 1024 * 1024
    """For results that a client wants whole before the first byte (``wait_end_of_query``)."""
    max_execution_s: int = 120
    max_memory_bytes: int = 512 * 1024 * 1024
    max_running: int = 6
    max_waiting: int = 64
    send_timeout_s: float = 60.0
    """How long a reader may take to accept one piece of a result."""


class Execution:
    """Runs one request step by step on worker threads: each step gives a piece of the result."""

    def __init__(self, db: EmbeddedDatabase, request: QueryRequest, limits: Limits) -> None:
        self._db = db
        self._request = request
        self._limits = limits
        self._pieces: Generator[bytes] | None = None
        self._spool: SpooledTemporaryFile[bytes] | None = None
        statement = request.statement
        self.is_whole = not (
            statement.verb in ("SELECT", "WITH") and request.format.lower() in STREAMABLE_FORMATS
        )
        """The result comes as one piece."""

    def next(self, session: Session) -> bytes | None:
        if self._pieces is None:
            self._prepare(session)
            self._pieces = self._whole(session) if self.is_whole else self._stream(session)
            if self._request.wait_end and not self.is_whole:
                self._pieces = self._after_its_end(self._pieces)
        return next(self._pieces, None)

    def close(self) -> None:
        if self._pieces is not None:
            self._pieces.close()
        if self._spool is not None:
            self._spool.close()

    def _prepare(self, session: Session) -> None:
        request = self._request
        settings = dict(request.settings)
        settings["max_execution_time"] = _clamped(
            settings.get("max_execution_time"), self._limits.max_execution_s
        )
        settings["max_memory_usage"] = _clamped(
            settings.get("max_memory_usage"), self._limits.max_memory_bytes
        )
        # It names the session for cancelling.
        settings.pop("log_comment", None)
        readonly = settings.pop("readonly", None)
        if self.is_whole and request.statement.is_read:
            settings.setdefault("max_result_bytes", str(self._limits.max_result_bytes))
        if request.database:
            session.use(request.database)
        for table in request.external:
            name = quote_identifier(table.name)
            session.query(f"CREATE TEMPORARY TABLE {name} ({table.structure})")
            session.insert(f"INSERT INTO {name}", table.format, table.data)
        session.set(settings)
        if readonly not in (None, "0"):
            session.set({"readonly": str(readonly)})

    def _whole(self, session: Session) -> Generator[bytes]:
        statement = self._request.statement
        if statement.data is not None and statement.format is not None:
            session.insert(
                statement.sql, statement.format, statement.data, statement.settings_clause
            )
            yield b""
            return
        data = session.query(statement.sql, self._request.format, self._request.params)
        yield data or self._empty_block(session)

    def _stream(self, session: Session) -> Generator[bytes]:
        empty = True
        request = self._request
        for piece in session.stream(request.statement.sql, request.format, request.params):
            if piece:
                empty = False
                yield piece
        if empty:
            yield self._empty_block(session)

    def _after_its_end(self, pieces: Generator[bytes]) -> Generator[bytes]:
        """Hold the result back until it is complete, as ``wait_end_of_query`` asks."""
        spool = self._spool = SpooledTemporaryFile(  # noqa: SIM115 - closed by close()
            _SPOOL_MEMORY_BYTES, dir=str(self._db.folder)
        )
        size = 0
        with contextlib.closing(pieces):
            for piece in pieces:
                size += len(piece)
                if size > self._limits.max_spooled_bytes:
                    raise QueryError(
                        _TOO_LARGE_RESULT,
                        "Code: 396. DB::Exception: The result is larger than "
                        f"{self._limits.max_spooled_bytes} bytes. Ask for less, or leave "
                        "`wait_end_of_query` out. (TOO_MANY_ROWS_OR_BYTES)",
                    )
                try:
                    spool.write(piece)
                except OSError as error:
                    raise QueryError(
                        _NO_SPACE,
                        f"Code: 243. DB::Exception: The result can't be buffered: "
                        f"{error.strerror}. (NOT_ENOUGH_SPACE)",
                    ) from error
        spool.seek(0)
        while piece := spool.read(_SPOOL_PIECE_BYTES):
            yield piece

    def _empty_block(self, session: Session) -> bytes:
        """In Native, a result without rows still names its columns; the library sends nothing."""
        statement = self._request.statement
        if self._request.format.lower() != "native" or statement.verb not in ("SELECT", "WITH"):
            return b""
        sql = statement.sql.rstrip().rstrip(";")
        if statement.format is not None:
            sql = sql[: sql.upper().rindex("FORMAT")]
        described = session.query(
            f"DESCRIBE TABLE (\n{sql}\n)", "JSONCompactEachRow", self._request.params
        )
        columns = [orjson.loads(line)[:2] for line in described.splitlines()]
        block = bytearray(_varint(len(columns)) + _varint(0))
        for name, type_ in columns:
            for text in (name.encode(), type_.encode()):
                block += _varint(len(text)) + text
        return bytes(block)


def _clamped(value: str | None, limit: int) -> str:
    """A limit the caller may lower, never lift (0 means none)."""
    try:
        wanted = float(value) if value is not None else 0.0
    except ValueError:
        return str(value)
    return str(value) if value is not None and 0 < wanted <= limit else str(limit)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out += struct.pack("B", number & 0x7F | 0x80)
        number >>= 7
    out += struct.pack("B", number)
    return bytes(out)
