"""The journal: which ranges are being sent, written down before they are."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import orjson

from tensorzero.storage.shipper.batch import Range
from tensorzero.storage.spool.directory import write_durably


class Journal:
    """One batch at a time. After a restart the batch in it is sent again, with its tokens."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Range]:
        """The ranges of the batch in flight, empty when there is none."""
        try:
            entries = orjson.loads(self.path.read_bytes())
        except FileNotFoundError:
            return []
        return [Range(**entry) for entry in entries]

    def write(self, ranges: list[Range]) -> None:
        write_durably(self.path, orjson.dumps([asdict(entry) for entry in ranges]))

    def clear(self) -> None:
        """The batch is in the database and its checkpoints are written."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            return
