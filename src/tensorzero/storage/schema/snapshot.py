"""``ConfigSnapshot``: the configuration that rows refer to by their ``snapshot_hash``."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

import orjson

from tensorzero.storage.database.protocol import Database

_KNOWN = (
    "SELECT count() AS versions, toString(min(created_at)) AS created_at, "
    "argMax(tags, last_used) AS tags, toString(now64(6)) AS now "
    "FROM ConfigSnapshot WHERE hash = toUInt256({hash:String})"
)


def write_config_snapshot(
    db: Database,
    *,
    config_toml: str,
    extra_templates: Mapping[str, str],
    hash_decimal: str,
    version: str,
    tags: Mapping[str, str],
) -> None:
    """Store the running configuration, or renew its ``last_used``.

    ``hash_decimal`` is the config hash as a decimal number. The row keeps the first
    ``created_at``; ``tags`` overlay the stored ones. It goes in as row data, because query
    parameters are limited in size (128 KiB each on a server) and a configuration with its
    templates is not. Raises QueryError, DatabaseUnavailable, SinkUnavailable, RowsRejected.
    """
    if not hash_decimal.isascii() or not hash_decimal.isdigit():
        raise ValueError(f"a config hash is a decimal number, not {hash_decimal!r}")
    known = db.query_json(_KNOWN, {"hash": hash_decimal})[0]
    row = {
        "config": config_toml,
        "extra_templates": dict(extra_templates),
        "hash": hash_decimal,
        "tensorzero_version": version,
        "created_at": known["now"] if known["versions"] == "0" else known["created_at"],
        "last_used": known["now"],
        "tags": {**known["tags"], **tags},
    }
    db.insert("ConfigSnapshot", orjson.dumps(row), 1, token=f"config-snapshot-{uuid4().hex}")
