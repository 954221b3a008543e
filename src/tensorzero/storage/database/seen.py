"""Which databases this data directory has seen fully migrated.

A gateway whose database is unreachable at start may go on if the schema is known to be there:
rows wait in the spool until it is back.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final

from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.url import DatabaseURL

_FOLDER: Final = "seen-migrated"


def _marker(data_dir: Path, url: DatabaseURL) -> Path:
    # By a hash, because host and database names are not file names. No credentials in it.
    name = hashlib.sha256(str(url).encode()).hexdigest()[:32]
    return data_dir / _FOLDER / name


def mark_migrated(data_dir: Path, url: DatabaseURL) -> None:
    """Remember that the schema of this database is complete. Raises DatabaseError."""
    path = _marker(data_dir, url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(f"{url}\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise DatabaseError(f"Cannot write {path}: {error.strerror}") from error


def seen_migrated(data_dir: Path, url: DatabaseURL) -> bool:
    """This data directory has seen that database fully migrated."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return _marker(data_dir, url).read_text(encoding="utf-8").strip() == str(url)
    return False
