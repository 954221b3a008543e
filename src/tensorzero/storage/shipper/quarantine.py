"""Rows that the database will not take, and bytes that are no rows: kept, never dropped."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson

from tensorzero.storage.spool.directory import sync_directory
from tensorzero.storage.spool.segment import Damage


class Quarantine:
    """A folder beside the database; ``rows.jsonl`` has one rejected row a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._known: set[str] | None = None

    def add_row(self, table: str, row: bytes, reason: str, token: str) -> None:
        """Keep a rejected row with its error, on the disk. A repeated batch does not add it
        twice. Raises ``OSError``."""
        file = self._folder() / "rows.jsonl"
        if self._known is None:
            self._known = _tokens(file)
        if token in self._known:
            return
        entry = {
            "time": time.time(),
            "table": table,
            "token": token,
            "error": reason,
            "row": row.decode("utf-8", "replace"),
        }
        with open(file, "ab") as output:
            # A line that a power loss cut off must not swallow this one.
            start = b"\n" if output.tell() and not _ends_a_line(file) else b""
            output.write(start + orjson.dumps(entry) + b"\n")
            output.flush()
            os.fsync(output.fileno())
        self._known.add(token)
        self.count += 1

    def add_damage(self, segment: Path, damage: Damage) -> bool:
        """Keep bytes of a segment that cannot be read; tells whether they are new. Raises
        ``OSError``."""
        name = f"{segment.parent.name}-{segment.stem}-{damage.start}.bin"
        file = self._folder() / name
        if file.exists() and file.stat().st_size == len(damage.content):
            return False
        with open(file, "wb") as output:
            output.write(damage.content)
            output.flush()
            os.fsync(output.fileno())
        self.count += 1
        return True

    def _folder(self) -> Path:
        if not self.path.exists():
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_directory(self.path.parent)
        return self.path


def _ends_a_line(file: Path) -> bool:
    with open(file, "rb") as data:
        data.seek(-1, os.SEEK_END)
        return data.read(1) == b"\n"


def _tokens(file: Path) -> set[str]:
    """Tokens of the rows that are there already."""
    found: set[str] = set()
    if not file.exists():
        return found
    with open(file, "rb") as lines:
        for line in lines:
            try:
                found.add(str(orjson.loads(line)["token"]))
            except (orjson.JSONDecodeError, KeyError, TypeError):
                continue
    return found
