"""Sends one batch: retried while in doubt, split when a row is bad."""

from __future__ import annotations

import logging

from tensorzero.storage.shipper.batch import MAX_ROWS, token_of
from tensorzero.storage.shipper.quarantine import Quarantine
from tensorzero.storage.shipper.sink import RowSink, RowsRejected

log = logging.getLogger(__name__)


class Delivery:
    """Puts rows into the sink; a bad row never costs the others."""

    def __init__(self, sink: RowSink, quarantine: Quarantine) -> None:
        self.sink = sink
        self.quarantine = quarantine
        self.inserted: dict[str, int] = {}

    def send(self, table: str, rows: list[bytes]) -> None:
        """Insert all rows in blocks. Raises what the sink raises when it is in doubt; the caller
        then sends everything again, byte for byte."""
        for start in range(0, len(rows), MAX_ROWS):
            self._send_block(table, rows[start : start + MAX_ROWS])

    def _send_block(self, table: str, rows: list[bytes]) -> None:
        token = token_of(table, rows)
        try:
            self.sink.insert(table, b"\n".join(rows) + b"\n", len(rows), token=token)
        except RowsRejected as error:
            if len(rows) == 1:
                log.error("a row of %s is quarantined: %s", table, error)
                self.quarantine.add_row(table, rows[0], str(error), token)
                return
            middle = len(rows) // 2
            self._send_block(table, rows[:middle])
            self._send_block(table, rows[middle:])
            return
        self.inserted[table] = self.inserted.get(table, 0) + len(rows)
