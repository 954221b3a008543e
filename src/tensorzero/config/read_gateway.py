"""Reads ``[gateway]``.

Rules: the contract's configuration page, section 5.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any, Literal, cast

from tensorzero.config.credentials import CredentialLocation
from tensorzero.config.gateway import (
    BatchWritesConfig,
    GatewayConfig,
    ObservabilityConfig,
)
from tensorzero.config.locations import LocationError, parse_location
from tensorzero.config.reader import Table
from tensorzero.config.urls import parse_url

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


def read_gateway(root: Table, template_base_path: Path | None) -> tuple[GatewayConfig, bool]:
    """The section, and whether its deprecated migrations switch is set.

    ``template_base_path`` has been resolved and taken out of the table.
    """
    table = root.table("gateway")
    if table is None:
        return GatewayConfig(), False
    address = table.string("bind_address")
    if address is not None:
        try:
            parse_socket_address(address)
        except ValueError as error:
            table.error(f"{error}, expected `ip:port` or `[ipv6]:port`", "bind_address")
    base_path = table.string("base_path")
    if base_path is not None and not base_path.startswith("/"):
        table.error(f"must start with `/`, found `{base_path}`", "base_path")
    base_path = base_path or ""
    _template_access(table)
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
        template_base_path=template_base_path,
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
    if inner.choice("backend", ("auto", "clickhouse", "postgres")) == "postgres":
        inner.error('"postgres" is not supported, use "clickhouse" or "auto"', "backend")
    async_writes = inner.boolean("async_writes")
    batch = BatchWritesConfig()
    batch_table = inner.table("batch_writes")
    if batch_table is not None:
        numbers = {}
        for key in ("flush_interval_ms", "max_rows", "max_rows_postgres", "write_queue_capacity"):
            numbers[key] = batch_table.integer(key)
            if numbers[key] == 0:
                batch_table.error("must be at least 1", key)
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
        inner.error(
            "Batch writes and async writes cannot be enabled at the same time. To use batch "
            "writes, set `gateway.observability.async_writes = false`."
        )
    switch = inner.boolean("disable_automatic_migrations")
    migrations_off = switch or False
    if switch is not None:
        table.faults.warn(
            "Deprecation Warning: `gateway.observability.disable_automatic_migrations` is now "
            "`clickhouse.disable_automatic_migrations`"
        )
    config = ObservabilityConfig(inner.boolean("enabled"), writes_async, batch)
    inner.finish()
    return config, migrations_off


def _protections(table: Table) -> None:
    """What protects something and is not there yet stops the start."""
    auth = table.table("auth")
    if auth is not None:
        if auth.boolean("enabled", required=True):
            auth.error(f"authentication {NOT_YET}", "enabled")
        cache = auth.table("cache")
        if cache is not None:
            cache.boolean("enabled")
            cache.integer("ttl_ms")
            cache.finish()
        auth.finish()
    cache = table.table("cache")
    if cache is not None:
        if cache.boolean("enabled"):
            cache.error(f"the inference cache {NOT_YET}", "enabled")
        cache.choice("backend", ("auto", "clickhouse", "valkey"))
        valkey = cache.table("valkey")
        if valkey is not None:
            valkey.integer("ttl_s")
            valkey.finish()
        cache.finish()
    relay = table.table("relay")
    if relay is not None:
        _relay(relay)


def _relay(relay: Table) -> None:
    url = relay.string("gateway_url")
    if url is not None:
        try:
            parse_url(url)
        except ValueError as error:
            relay.error(f"invalid URL: {error}", "gateway_url")
        relay.error(f"relaying {NOT_YET}", "gateway_url")
    value = relay.raw("api_key_location")
    if value is not None:
        try:
            location = parse_location(value)
        except LocationError as error:
            relay.error(str(error), "api_key_location")
        else:
            parts = [location] if isinstance(location, CredentialLocation) else location.halves
            if any(part.kind not in ("env", "dynamic", "none") for part in parts):
                relay.error("expected `env::`, `dynamic::` or `none`", "api_key_location")
    relay.finish()


def _traces(table: Table) -> dict[str, Any]:
    export = table.table("export")
    otlp = export.table("otlp") if export is not None else None
    traces = otlp.table("traces") if otlp is not None else None
    for outer in (export, otlp):
        if outer is not None:
            outer.finish()
    if traces is None:
        return {}
    if traces.boolean("enabled"):
        traces.error(f"the export of traces {NOT_YET}", "enabled")
    form = traces.choice("format", ("opentelemetry", "openinference"))
    headers = traces.texts("extra_headers")
    content = traces.boolean("include_content") or False
    traces.finish()
    return {
        "otlp_traces_format": cast(
            Literal["opentelemetry", "openinference"], form or "opentelemetry"
        ),
        "otlp_traces_extra_headers": headers,
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
    if not isinstance(value, list):
        metrics.wrong(key, "a sequence of numbers")
        return default
    previous = -1.0
    for index, bucket in enumerate(value):
        number = isinstance(bucket, int | float) and not isinstance(bucket, bool)
        if not number or not 0 <= bucket < float("inf") or bucket <= previous:
            metrics.error(
                f"entry {index}: expected finite numbers of at least 0, each greater than the one "
                "before",
                key,
            )
            return default
        previous = bucket
    return tuple(float(bucket) for bucket in value)


def _template_access(table: Table) -> None:
    access = table.table("template_filesystem_access")
    if access is None:
        return
    access.known.append("base_path")
    if access.boolean("enabled") is not None:
        table.faults.warn(
            "Deprecation Warning: `gateway.template_filesystem_access.enabled` has no effect; "
            "access is given by `base_path` alone"
        )
    access.finish()
