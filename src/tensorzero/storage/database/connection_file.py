"""How other processes find the embedded database: ``<data>/database/connection.json``.

The file holds the loopback address and a random credential; only its owner can read it. It is
written anew at every start, so readers look again when a connection fails.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

import orjson

from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.url import DatabaseURL

DATABASE_FOLDER: Final = "database"
"""Of the embedded database, in the data directory."""
_FILE: Final = "connection.json"
USERNAME: Final = "tensorzero"


def new_password() -> str:
    return secrets.token_urlsafe(32)


def write_connection(data_dir: Path, host: str, port: int, password: str) -> Path:
    """Publish the address; replaces the file at once, never half-written. Raises DatabaseError."""
    path = data_dir / DATABASE_FOLDER / _FILE
    body = orjson.dumps(
        {
            "host": host,
            "port": port,
            "database": "default",
            "username": USERNAME,
            "password": password,
            "pid": os.getpid(),
        }
    )
    temporary = path.with_name(f".{_FILE}.{os.getpid()}")
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(fd)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise DatabaseError(f"Cannot write {path}: {error.strerror}") from error
    return path


def read_connection(data_dir: Path) -> DatabaseURL | None:
    """Address of the running embedded database; None while none is published.

    Raises DatabaseError on a file that others can read or write, or that is damaged.
    """
    path = data_dir / DATABASE_FOLDER / _FILE
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            body = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatabaseError(f"Cannot read {path}: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise DatabaseError(
            f"{path} holds a credential, but its mode is {stat.S_IMODE(mode):04o}. "
            "Make it 0600, or restart the gateway"
        )
    try:
        found = orjson.loads(body)
        return DatabaseURL(
            scheme="http",
            host=str(found["host"]),
            port=int(found["port"]),
            database=str(found["database"]),
            username=str(found["username"]),
            password=str(found["password"]),
        )
    except (ValueError, KeyError, TypeError):
        raise DatabaseError(
            f"{path} is damaged. Restart the gateway: it writes the file anew"
        ) from None


def remove_connection(data_dir: Path) -> None:
    """Withdraw the address at an orderly stop."""
    with contextlib.suppress(FileNotFoundError):
        (data_dir / DATABASE_FOLDER / _FILE).unlink()
