"""Reads ``[gateway]`` and the small sections beside it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from tensorzero.config.gateway import (
    BatchWritesConfig,
    ClickHouseConfig,
    GatewayConfig,
    ObjectStorageConfig,
    ObservabilityConfig,
)
from tensorzero.config.reader import Table

NOT_YET = "is not provided by this version yet; remove it to start without"


def parse_socket_address(text: str) -> tuple[str, int]:
    """``ip:port`` or ``[v6]:port``; raises ``ValueError``."""
    match = re.fullmatch(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:]+)):(?P<port>\d{1,5})", text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("invalid socket address syntax")
    host = match["v6"] or match["v4"]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError("invalid socket address syntax") from None
    if (address.version == 6) != (match["v6"] is not None):
        raise ValueError("invalid socket address syntax")
    return host, int(match["port"])


def read_gateway(root: Table) -> tuple[GatewayConfig, bool]:
    """The section, and whether its deprecated migrations switch is set."""
    table = root.table("gateway")
    if table is None:
        return GatewayConfig(), False
    faults = table.faults
    address = table.string("bind_address")
    if address is not None:
        try:
            parse_socket_address(address)
        except ValueError as error:
            faults.error(f"gateway.bind_address: {error}, expected `ip:port`")
    base_path = table.string("base_path") or ""
    if base_path and not base_path.startswith("/"):
        faults.error(f"gateway.base_path: must start with `/`, found `{base_path}`")
    observability, migrations_off = _observability(table)
    _protections(table)
    traces = _traces(table)
    config = GatewayConfig(
        bind_address=address,
        base_path=base_path.rstrip("/"),
        debug=table.boolean("debug") or False,
        unstable_error_json=table.boolean("unstable_error_json") or False,
        unstable_disable_feedback_target_validation=table.boolean(
            "unstable_disable_feedback_target_validation"
        )
        or False,
        fetch_and_encode_input_files_before_inference=table.boolean(
            "fetch_and_encode_input_files_before_inference"
        )
        or False,
        global_outbound_http_timeout_ms=_default(
            table.integer("global_outbound_http_timeout_ms"), 900_000
        ),
        observability=observability,
        latency_overhead_buckets=_buckets(table),
        template_base_path=_template_access(table),
        **traces,
    )
    table.boolean("disable_pseudonymous_usage_analytics")
    table.finish()
    return config, migrations_off


def _default(value: int | None, default: int) -> int:
    return default if value is None else value


def _observability(table: Table) -> tuple[ObservabilityConfig, bool]:
    inner = table.table("observability")
    if inner is None:
        return ObservabilityConfig(), False
    faults = table.faults
    if inner.choice("backend", ("auto", "clickhouse", "postgres")) == "postgres":
        faults.error(
            'gateway.observability.backend: "postgres" is not supported, use "clickhouse" or "auto"'
        )
    async_writes = inner.boolean("async_writes")
    batch = BatchWritesConfig()
    batch_table = inner.table("batch_writes")
    if batch_table is not None:
        numbers = {}
        for key in ("flush_interval_ms", "max_rows", "max_rows_postgres", "write_queue_capacity"):
            numbers[key] = batch_table.integer(key)
            if numbers[key] == 0:
                faults.error(f"{batch_table.at(key)}: must be at least 1")
        batch_table.boolean("__force_allow_embedded_batch_writes")
        batch = BatchWritesConfig(
            batch_table.boolean("enabled", required=True) or False,
            numbers["flush_interval_ms"],
            numbers["max_rows"],
            numbers["write_queue_capacity"],
        )
        batch_table.finish()
    writes_async = True if async_writes is None else async_writes
    if batch.enabled and writes_async:
        faults.error(
            "gateway.observability: Batch writes and async writes cannot be enabled at the same "
            "time. To use batch writes, set `gateway.observability.async_writes = false`."
        )
    migrations_off = inner.boolean("disable_automatic_migrations") or False
    if migrations_off:
        faults.warn(
            "Deprecation Warning: `gateway.observability.disable_automatic_migrations` is now "
            "`clickhouse.disable_automatic_migrations`"
        )
    config = ObservabilityConfig(inner.boolean("enabled"), writes_async, batch)
    inner.finish()
    return config, migrations_off


def _protections(table: Table) -> None:
    """What protects something and is not there yet stops the start."""
    faults = table.faults
    auth = table.table("auth")
    if auth is not None:
        if auth.boolean("enabled", required=True):
            faults.error(f"gateway.auth.enabled: authentication {NOT_YET}")
        cache = auth.table("cache")
        if cache is not None:
            cache.boolean("enabled")
            cache.integer("ttl_ms")
            cache.finish()
        auth.finish()
    cache = table.table("cache")
    if cache is not None:
        if cache.boolean("enabled"):
            faults.error(f"gateway.cache.enabled: the inference cache {NOT_YET}")
        cache.choice("backend", ("auto", "clickhouse", "valkey"))
        valkey = cache.table("valkey")
        if valkey is not None:
            valkey.integer("ttl_s")
            valkey.finish()
        cache.finish()
    relay = table.table("relay")
    if relay is not None:
        if relay.string("gateway_url") is not None:
            faults.error(f"gateway.relay.gateway_url: relaying {NOT_YET}")
        relay.raw("api_key_location")
        relay.finish()


def _traces(table: Table) -> dict[str, Any]:
    export = table.table("export")
    otlp = export.table("otlp") if export is not None else None
    traces = otlp.table("traces") if otlp is not None else None
    if traces is None:
        return {}
    if traces.boolean("enabled"):
        table.faults.error(f"gateway.export.otlp.traces.enabled: the export of traces {NOT_YET}")
    form = traces.choice("format", ("opentelemetry", "openinference"))
    headers = traces.table("extra_headers")
    content = traces.boolean("include_content") or False
    traces.finish()
    return {
        "otlp_traces_format": cast(
            Literal["opentelemetry", "openinference"], form or "opentelemetry"
        ),
        "otlp_traces_extra_headers": {} if headers is None else dict(headers.value),
        "otlp_traces_include_content": content,
    }


def _buckets(table: Table) -> tuple[float, ...]:
    metrics = table.table("metrics")
    default = (0.001, 0.01, 0.1)
    if metrics is None:
        return default
    key = "tensorzero_inference_latency_overhead_seconds_buckets"
    value = metrics.raw(key)
    metrics.finish()
    if value is None:
        return default
    where = metrics.at(key)
    if not isinstance(value, list):
        metrics.wrong(key, "a sequence of numbers")
        return default
    previous = -1.0
    for index, bucket in enumerate(value):
        number = isinstance(bucket, int | float) and not isinstance(bucket, bool)
        if not number or not 0 <= bucket < float("inf") or bucket <= previous:
            metrics.faults.error(
                f"{where}[{index}]: expected finite numbers of at least 0 in ascending order"
            )
            return default
        previous = bucket
    return tuple(float(bucket) for bucket in value)


def _template_access(table: Table) -> Path | None:
    access = table.table("template_filesystem_access")
    if access is None:
        return None
    base = access.string("base_path")
    enabled = access.boolean("enabled")
    access.finish()
    if enabled is not None:
        table.faults.warn(
            "Deprecation Warning: `gateway.template_filesystem_access.enabled` has no effect; "
            "access is given by `base_path` alone"
        )
    return None if base is None else Path(base)


def read_object_storage(root: Table, environ: Mapping[str, str]) -> ObjectStorageConfig | None:
    table = root.table("object_storage")
    if table is None:
        return None
    kind = table.choice("type", ("s3_compatible", "filesystem", "disabled"), required=True)
    if kind == "filesystem":
        path = table.string("path", required=True)
        if path is not None and not Path(path).is_dir():
            root.faults.error(
                "object_storage.path: Failed to create filesystem object store: path does not "
                f"exist: {path}"
            )
        table.finish(tolerant=True)
        return ObjectStorageConfig({"type": "filesystem", "path": path})
    if kind == "s3_compatible":
        config = {
            "type": "s3_compatible",
            "bucket_name": table.string("bucket_name"),
            "region": table.string("region"),
            "endpoint": _endpoint(table, environ),
            "allow_http": table.boolean("allow_http"),
        }
        if ("S3_ACCESS_KEY_ID" in environ) != ("S3_SECRET_ACCESS_KEY" in environ):
            root.faults.error(
                "object_storage: `S3_ACCESS_KEY_ID` and `S3_SECRET_ACCESS_KEY` must be set together"
            )
        table.finish(tolerant=True)
        return ObjectStorageConfig(config)
    table.finish(tolerant=True)
    return ObjectStorageConfig({"type": "disabled"})


def _endpoint(table: Table, environ: Mapping[str, str]) -> str | None:
    value = table.string("endpoint")
    if value is None:
        return None
    if value.startswith("env::"):
        name = value.removeprefix("env::")
        if name not in environ:
            table.faults.error(f"object_storage.endpoint: environment variable `{name}` is missing")
        return environ.get(name)
    if value in ("sdk", "none") or value.startswith(("dynamic::", "path::", "path_from_env::")):
        shown = value.partition("::")[0]
        table.faults.error(
            f"Invalid `[object_storage].endpoint`: `{shown}`. Use `env::ENVIRONMENT_VARIABLE` or a "
            "literal endpoint value."
        )
    return value


def read_small_sections(root: Table, migrations_off: bool) -> ClickHouseConfig:
    """``[clickhouse]``, and those that are accepted without effect."""
    faults = root.faults
    clickhouse = root.table("clickhouse")
    disabled = migrations_off
    if clickhouse is not None:
        own = clickhouse.boolean("disable_automatic_migrations") or False
        if own and migrations_off:
            faults.error(
                "`disable_automatic_migrations` is set in both `clickhouse` and "
                "`gateway.observability`; keep the one in `clickhouse`"
            )
        disabled = disabled or own
        clickhouse.finish()
    postgres = root.table("postgres")
    if postgres is not None and postgres.value:
        faults.warn("postgres: this section has no effect, everything is kept in ClickHouse")
    autopilot = root.table("autopilot")
    if autopilot is not None:
        autopilot.strings("tool_whitelist")
        autopilot.finish()
    limits = root.table("rate_limiting")
    if limits is not None and limits.value.get("enabled", True) and limits.value.get("rules"):
        faults.error(f"rate_limiting.rules: rate limits {NOT_YET}")
    return ClickHouseConfig(disabled)
