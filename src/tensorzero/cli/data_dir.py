"""Where spool, embedded database and files lie."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tensorzero.cli.environment import DATA_DIR

DEFAULT = "./data"


def data_dir_path(given: str | None) -> Path:
    """The flag, else ``TENSORZERO_DATA_DIR``, else ``./data``, as an absolute path."""
    return Path(given or os.environ.get(DATA_DIR) or DEFAULT).resolve()


def data_dir(given: str | None) -> Path:
    """The same, made if absent. Raises ``OSError`` (with the path in its text) when it cannot be
    written."""
    path = data_dir_path(given)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OSError(f"the data directory {path} cannot be written: {error.strerror}") from None
    return path
