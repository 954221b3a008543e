"""Reads ``[object_storage]``, ``[clickhouse]``, and sections that are accepted without effect.

Rules: the contract's configuration page, section 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tensorzero.config.gateway import ClickHouseConfig, ObjectStorageConfig
from tensorzero.config.locations import variable
from tensorzero.config.reader import Table
from tensorzero.config.urls import parse_url


def read_object_storage(root: Table, environ: Mapping[str, str]) -> ObjectStorageConfig | None:
    table = root.table("object_storage")
    if table is None:
        return None
    kind = table.tag(("s3_compatible", "filesystem", "disabled"))
    resolved: dict[str, object] = {"type": kind or "disabled"}
    if kind == "filesystem":
        path = table.string("path", required=True)
        if path is not None and not _is_folder(path):
            table.error(
                f"Failed to create filesystem object store: path does not exist: {path}", "path"
            )
        resolved["path"] = path
    elif kind == "s3_compatible":
        resolved["bucket_name"] = table.string("bucket_name")
        resolved["region"] = table.string("region")
        resolved["endpoint"] = _endpoint(table, environ)
        resolved["allow_http"] = table.boolean("allow_http")
        if resolved["allow_http"]:
            table.warn("files and keys are sent without encryption", "allow_http")
        if ("S3_ACCESS_KEY_ID" in environ) != ("S3_SECRET_ACCESS_KEY" in environ):
            table.error("`S3_ACCESS_KEY_ID` and `S3_SECRET_ACCESS_KEY` must be set together")
    table.finish(tolerant=True)
    return ObjectStorageConfig(resolved)


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except ValueError:  # NUL characters
        return False


def _endpoint(table: Table, environ: Mapping[str, str]) -> str | None:
    value = table.string("endpoint")
    if value is None:
        return None
    if value.startswith("env::"):
        name = value.removeprefix("env::")
        found = variable(environ, name)
        if found is None:
            table.error(f"environment variable `{name}` is missing", "endpoint")
            return None
        value = found
    elif value in ("sdk", "none") or value.startswith(("dynamic::", "path::", "path_from_env::")):
        table.fault(
            f"Invalid `[object_storage].endpoint`: `{value}`. Use `env::ENVIRONMENT_VARIABLE` or "
            "a literal endpoint value.",
            "endpoint",
        )
        return None
    try:
        parse_url(value)
    except ValueError as error:
        table.error(f"invalid URL: {error}", "endpoint")
    return value


def read_clickhouse(root: Table, migrations_off: bool) -> ClickHouseConfig:
    """``[clickhouse]``; ``migrations_off`` is the switch at its deprecated place."""
    table = root.table("clickhouse")
    if table is None:
        return ClickHouseConfig(migrations_off)
    own = table.boolean("disable_automatic_migrations") or False
    if own and migrations_off:
        table.error(
            "`disable_automatic_migrations` is set here and in `gateway.observability`; keep the "
            "one in `clickhouse`"
        )
    table.finish()
    return ClickHouseConfig(own or migrations_off)


def read_ignored_sections(root: Table) -> None:
    """``[postgres]`` and ``[autopilot]``: their shape is checked, they have no effect."""
    postgres = root.table("postgres")
    if postgres is not None and postgres.value:
        postgres.boolean("enabled")
        retention = [
            postgres.integer(key)
            for key in (
                "inference_metadata_retention_days",
                "inference_data_retention_days",
                "inference_retention_days",
            )
        ]
        postgres.integer("connection_pool_size")
        postgres.finish(tolerant=True)
        text = "postgres: this section has no effect, everything is kept in ClickHouse"
        if any(days is not None for days in retention):
            text += "; rows are NOT deleted after the retention time"
        root.faults.warn(text)
    autopilot = root.table("autopilot")
    if autopilot is not None:
        autopilot.strings("tool_whitelist")
        autopilot.finish()
