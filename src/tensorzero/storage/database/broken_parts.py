"""Which broken parts a start has dealt with, so that the next start need not do it again."""

from __future__ import annotations

import contextlib
import os

import orjson

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseError

_FILE = "broken-parts.json"


def newly_broken(database: EmbeddedDatabase) -> bool:
    """Whether the engine set parts aside that no start before this one has dealt with."""
    return not _names(database) <= _known(database)


def remember_broken(database: EmbeddedDatabase) -> None:
    """These broken parts are dealt with. Raises DatabaseError."""
    path = database.folder / _FILE
    names = sorted(_names(database) | _known(database))
    temporary = path.with_suffix(".new")
    try:
        with open(temporary, "wb") as file:
            file.write(orjson.dumps(names))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DatabaseError(f"Cannot write {path}: {error.strerror}") from error


def _names(database: EmbeddedDatabase) -> set[str]:
    return {f"{part.table}/{part.part}" for part in database.broken_parts}


def _known(database: EmbeddedDatabase) -> set[str]:
    with contextlib.suppress(FileNotFoundError, orjson.JSONDecodeError, TypeError):
        return set(orjson.loads((database.folder / _FILE).read_bytes()))
    return set()
