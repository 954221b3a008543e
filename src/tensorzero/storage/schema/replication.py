"""Clusters: what ``TENSORZERO_CLICKHOUSE_CLUSTER_NAME`` changes in DDL, and when it is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tensorzero.storage.database.errors import DatabaseError, QueryError
from tensorzero.storage.database.protocol import Database

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CLUSTER_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*\Z")
_UNKNOWN_SETTING: Final = 115

OVERRIDE_VARIABLE: Final = "TENSORZERO_OVERRIDE_NON_REPLICATED_CLICKHOUSE"
CLUSTER_VARIABLE: Final = "TENSORZERO_CLICKHOUSE_CLUSTER_NAME"


class ReplicationError(DatabaseError):
    """The cluster configuration does not fit the server."""


@dataclass(frozen=True, slots=True)
class Replication:
    """DDL fragments for one database, with or without a cluster."""

    database: str
    cluster: str | None = None

    def __post_init__(self) -> None:
        if self.cluster is not None and not _CLUSTER_NAME.match(self.cluster):
            raise ReplicationError(
                f"{CLUSTER_VARIABLE} is '{self.cluster}'. A cluster name may have letters, "
                "digits, '_', '-' and '.'"
            )

    @property
    def active(self) -> bool:
        return self.cluster is not None

    @property
    def on_cluster(self) -> str:
        """`` ON CLUSTER <c> `` (goes after the object's name), or nothing."""
        if self.cluster is None:
            return ""
        name = self.cluster if _PLAIN_NAME.match(self.cluster) else f"`{self.cluster}`"
        return f" ON CLUSTER {name} "

    def engine(self, name: str, arguments: str, table: str) -> str:
        """``MergeTree(args)``, or its replicated form with the keeper path of the contract."""
        if self.cluster is None:
            return f"{name}({arguments})" if arguments else f"{name}()"
        path = f"/clickhouse/tables/{{shard}}/{self.database}/{table}"
        parts = [f"'{path}'", "'{replica}'"] + ([arguments] if arguments else [])
        return f"Replicated{name}({', '.join(parts)})"


def is_cloud(db: Database) -> bool:
    """ClickHouse Cloud rewrites plain engines to its own, replicated ones."""
    try:
        answer = db.command("SELECT getSetting('cloud_mode')", in_database=False)
    except QueryError as error:
        if error.code == _UNKNOWN_SETTING:
            return False
        raise
    return answer.strip() in ("true", "1")


def check_replication(db: Database, cluster: str | None, *, override: bool, cloud: bool) -> None:
    """Refuse a cluster name that can't work, and a missing one where data would be split.

    ``override`` is ``TENSORZERO_OVERRIDE_NON_REPLICATED_CLICKHOUSE=1``. Raises ReplicationError.
    """
    if cloud:
        if cluster is not None:
            raise ReplicationError(
                f"{CLUSTER_VARIABLE} is set to '{cluster}', but the database is ClickHouse Cloud, "
                "which replicates by itself. Unset the variable"
            )
        return
    rows = db.query_json(
        "SELECT max(nodes) AS nodes FROM "
        "(SELECT cluster, count() AS nodes FROM system.clusters GROUP BY cluster)"
    )
    largest = int(rows[0]["nodes"] or 0) if rows else 0
    if cluster is not None and largest <= 1:
        raise ReplicationError(
            f"{CLUSTER_VARIABLE} is set to '{cluster}', but no cluster in `system.clusters` "
            "has more than one node. Unset the variable, or define the cluster on the server"
        )
    if cluster is None and largest > 1 and not override:
        raise ReplicationError(
            f"The ClickHouse server defines a cluster of {largest} nodes, but {CLUSTER_VARIABLE} "
            "is not set, so tables would exist on one node only. Set it to the cluster's name, "
            f"or set {OVERRIDE_VARIABLE}=1 to go on without replication"
        )
