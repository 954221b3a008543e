"""``[gateway]`` and the small sections beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class BatchWritesConfig:
    """``gateway.observability.batch_writes``; ``None`` = not configured."""

    enabled: bool = False
    flush_interval_ms: int | None = None
    max_rows: int | None = None
    write_queue_capacity: int | None = None


@dataclass(frozen=True, slots=True)
class ObservabilityConfig:
    """``enabled``: ``None`` = on if there is a database."""

    enabled: bool | None = None
    async_writes: bool = True
    batch_writes: BatchWritesConfig = BatchWritesConfig()

    @property
    def waits_for_database(self) -> bool:
        """The synchronous mode: an answer waits until its rows can be queried."""
        return not self.async_writes and not self.batch_writes.enabled


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """``[gateway]``. ``bind_address`` is ``None`` when not configured; ``base_path`` has no
    trailing slash (``""`` for none)."""

    bind_address: str | None = None
    base_path: str = ""
    debug: bool = False
    unstable_error_json: bool = False
    unstable_disable_feedback_target_validation: bool = False
    fetch_and_encode_input_files_before_inference: bool = False
    global_outbound_http_timeout_ms: int = 900_000
    auth_enabled: bool = False
    auth_cache_enabled: bool = True
    auth_cache_ttl_ms: int = 1000
    observability: ObservabilityConfig = ObservabilityConfig()
    otlp_traces_enabled: bool = False
    otlp_traces_format: Literal["opentelemetry", "openinference"] = "opentelemetry"
    otlp_traces_extra_headers: Mapping[str, str] = field(default_factory=dict)
    otlp_traces_include_content: bool = False
    latency_overhead_buckets: tuple[float, ...] = (0.001, 0.01, 0.1)
    cache_enabled: bool | None = None
    cache_backend: Literal["auto", "clickhouse", "valkey"] = "auto"
    cache_valkey_ttl_s: int = 86_400
    relay_gateway_url: str | None = None
    template_base_path: Path | None = None


@dataclass(frozen=True, slots=True)
class ObjectStorageConfig:
    """``[object_storage]``. ``kind`` is the resolved form that file references carry."""

    kind: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.kind["type"])


@dataclass(frozen=True, slots=True)
class ClickHouseConfig:
    """``[clickhouse]`` (and its deprecated place under ``gateway.observability``)."""

    disable_automatic_migrations: bool = False
