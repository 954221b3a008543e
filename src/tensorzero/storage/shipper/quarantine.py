"""Rows that the database will not take, and bytes that are no rows: kept, never dropped."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson

from tensorzero.storage.spool.segment import Damage


class Quarantine:
    """A folder beside the database; ``rows.jsonl`` has one rejected row a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def add_row(self, table: str, row: bytes, reason: str, token: str) -> None:
        """Keep a rejected row with its error. A repeated batch does not add it twice."""
        file = self._folder() / "rows.jsonl"
        if file.exists() and token.encode() in file.read_bytes():
            return
        self._append(
            file,
            {
                "time": time.time(),
                "table": table,
                "token": token,
                "error": reason,
                "row": row.decode("utf-8", "replace"),
            },
        )
        self.count += 1

    def add_damage(self, segment: Path, damage: Damage) -> None:
        """Keep bytes of a segment that cannot be read."""
        name = f"{segment.parent.name}-{segment.stem}-{damage.start}.bin"
        file = self._folder() / name
        if not file.exists():
            file.write_bytes(damage.content)
            self.count += 1

    def _folder(self) -> Path:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.path

    def _append(self, file: Path, entry: dict[str, object]) -> None:
        with open(file, "ab") as output:
            output.write(orjson.dumps(entry) + b"\n")
            output.flush()
            os.fsync(output.fileno())
