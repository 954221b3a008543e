"""Rows that several gateways may write, each to its own spool, and that are wanted once.

Their frame says so in the place of a table's name: ``TABLE COUNT KEY`` (a name has no space).
Whoever writes under the same key means the same rows, whatever their bytes are; a shipper sends
them as an insert of their own, whose token is the key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(rb"(\w+) ([1-9]\d*) ([\x21-\x7e]+)")


def written_once(rows: Iterable[tuple[bytes, bytes]], key: str) -> list[tuple[bytes, bytes]]:
    """The rows of one frame, each with its table, under a key (visible ASCII, at most 200 bytes)."""
    rows = list(rows)
    counts: dict[bytes, int] = {}
    for table, _ in rows:
        counts[table] = counts.get(table, 0) + 1
    names = {table: b"%b %d %b" % (table, count, key.encode()) for table, count in counts.items()}
    return [(names[table], row) for table, row in rows]


def table_of(name: bytes) -> bytes:
    """The table that a frame's name means."""
    found = _NAME.fullmatch(name)
    return name if found is None else found[1]


def once_of(name: bytes) -> tuple[int, str] | None:
    """How many rows there are under a key, and the key; ``None`` for any other name."""
    found = _NAME.fullmatch(name)
    return None if found is None else (int(found[2]), found[3].decode())
