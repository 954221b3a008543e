"""Environment variables of the command line."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping

from tensorzero.storage.database.url import DatabaseURL

BIND_ADDRESS = "TENSORZERO_GATEWAY_BIND_ADDRESS"
CLICKHOUSE_URL = "TENSORZERO_CLICKHOUSE_URL"
CLICKHOUSE_CLUSTER = "TENSORZERO_CLICKHOUSE_CLUSTER_NAME"
DATA_DIR = "TENSORZERO_DATA_DIR"

_UNUSED = {
    "TENSORZERO_POSTGRES_URL": "has no effect: everything is kept in ClickHouse",
    "TENSORZERO_VALKEY_URL": "has no effect: nothing of this version needs Valkey",
    "TENSORZERO_VALKEY_CACHE_URL": "has no effect: the cache is not provided by this version yet",
}


def clickhouse_url() -> DatabaseURL | None:
    """The server to record into, ``None`` for the embedded database. Raises ``DatabaseURLError``."""
    text = os.environ.get(CLICKHOUSE_URL)
    return DatabaseURL.parse(text) if text else None


def embedded_engine_missing() -> bool:
    """chDB is not installed; it is looked for without being imported."""
    return importlib.util.find_spec("chdb") is None


def unused_variables(environ: Mapping[str, str]) -> list[str]:
    """One line for each variable that is set and does nothing."""
    return [f"{name} {why}" for name, why in _UNUSED.items() if environ.get(name)]
