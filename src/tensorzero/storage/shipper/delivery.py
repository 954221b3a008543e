"""Sends one batch: the same blocks while in doubt, split when a row is bad."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from uuid import uuid4

from tensorzero.storage.shipper.batch import (
    LARGE_ROW_BYTES,
    Batch,
    blocks,
    key_token,
    token_of,
)
from tensorzero.storage.shipper.compare import (
    complete_targets,
    id_of,
    insert_beside_views,
    known_to_targets,
    missing_rows,
)
from tensorzero.storage.shipper.quarantine import Quarantine
from tensorzero.storage.shipper.sink import RowSink, RowsRejected, SinkUnavailable

log = logging.getLogger(__name__)

LARGE_ROW_TRIES = 8
MEMORY_LIMIT_EXCEEDED = 241


class Delivery:
    """Puts rows into the sink; a bad row never costs the others.

    ``forgetful`` names tables that do not remember tokens: what may be there already is
    compared by its ids before it is sent again.
    """

    def __init__(
        self, sink: RowSink, quarantine: Quarantine, *, forgetful: Collection[str] = ()
    ) -> None:
        self.sink = sink
        self.quarantine = quarantine
        self.forgetful = frozenset(forgetful)
        self.inserted: dict[str, int] = {}
        self._acknowledged: set[str] = set()
        self._tries: dict[str, int] = {}

    def send(self, batch: Batch, *, in_doubt: bool) -> None:
        """Insert everything, table by table. Raises when the sink is in doubt; the caller then
        calls again with the same batch and ``in_doubt``. Blocks that were acknowledged before
        are not sent twice."""
        for entry in batch.in_order():
            for number, block in enumerate(blocks(entry.rows)):
                token = None if entry.key is None else key_token(entry.table, entry.key, number)
                self._send_block(entry.table, block, in_doubt, token)
        self._acknowledged.clear()
        self._tries.clear()

    def send_missing(self, batch: Batch) -> None:
        """Insert what a comparison shows to be missing, with fresh tokens. Repeatable."""
        for entry in batch.in_order():
            for block in blocks(entry.rows):
                self._repair(entry.table, block)

    def _send_block(
        self, table: str, rows: Sequence[bytes], in_doubt: bool, token: str | None
    ) -> None:
        """``token`` is given for rows that other gateways may send too. Such rows that are there
        before they were sent from here have been written by another one, perhaps so long ago
        that the token is forgotten."""
        if in_doubt and table in self.forgetful:
            self._repair(table, rows)
            return
        if token is not None and not in_doubt:
            missing = missing_rows(self.sink, table, rows)
            if len(missing) < len(rows):
                rows, token = missing, None
        if rows:
            self._insert(table, rows, token=token)

    def _repair(self, table: str, rows: Sequence[bytes]) -> None:
        """The table first, then each view's target by itself."""
        missing = missing_rows(self.sink, table, rows)
        if missing:
            known = known_to_targets(self.sink, table, missing)
            beside = [row for row in missing if id_of(row) in known]
            whole = [row for row in missing if id_of(row) not in known]
            if beside:
                insert_beside_views(self.sink, table, beside)
            if whole:
                self._insert(table, whole, fresh=True)
        complete_targets(self.sink, table, rows)

    def _insert(
        self, table: str, rows: Sequence[bytes], *, fresh: bool = False, token: str | None = None
    ) -> None:
        """``token`` is that of the rows' bytes unless it is given."""
        body = b"\n".join(rows) + b"\n"
        given, token = token, token or token_of(table, body)
        if token in self._acknowledged:
            return
        try:
            self.sink.insert(
                table, body, len(rows), token=f"{token}-{uuid4().hex}" if fresh else token
            )
        except RowsRejected as error:
            del body
            if len(rows) == 1:
                self._give_up(table, rows[0], str(error), token)
                return
            middle = len(rows) // 2
            for half, part in enumerate((rows[:middle], rows[middle:])):
                self._insert(table, part, fresh=fresh, token=given and f"{given}.{half}")
            return
        except SinkUnavailable as error:
            # A row that is too large for the database's memory fails every time.
            if not _is_large(rows) or error.code != MEMORY_LIMIT_EXCEEDED:
                raise
            self._tries[token] = self._tries.get(token, 0) + 1
            if self._tries[token] < LARGE_ROW_TRIES:
                raise
            self._give_up(table, rows[0], str(error), token)
            return
        if not fresh:
            self._acknowledged.add(token)
        self.inserted[table] = self.inserted.get(table, 0) + len(rows)

    def _give_up(self, table: str, row: bytes, reason: str, token: str) -> None:
        log.error("a row of %s is quarantined: %s", table, reason)
        self.quarantine.add_row(table, row, reason, token)
        self._acknowledged.add(token)


def _is_large(rows: Sequence[bytes]) -> bool:
    return len(rows) == 1 and len(rows[0]) >= LARGE_ROW_BYTES
