"""Reads ``[models.*]`` and ``[embedding_models.*]``.

Rules and texts: the contract's page on models and providers, sections 1, 8 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorzero.config.credential_defaults import CredentialReader
from tensorzero.config.model import EmbeddingModelConfig, ModelConfig
from tensorzero.config.provider_types import RESERVED_PREFIXES
from tensorzero.config.read_parts import read_namespace, read_timeouts
from tensorzero.config.read_providers import read_embedding_provider, read_provider
from tensorzero.config.reader import Table


def read_models(
    root: Table, credentials: CredentialReader, global_ms: int
) -> dict[str, ModelConfig]:
    out: dict[str, ModelConfig] = {}
    for name, table in root.tables("models").items():
        if name.startswith(RESERVED_PREFIXES):
            table.fault(f"Failed to load models: Model name '{name}' contains a reserved prefix")
        tables = table.tables("providers", required=True)
        routing = _routing(table, tables, strict=True)
        providers = {
            key: read_provider(key, inner, credentials, global_ms) for key, inner in tables.items()
        }
        out[name] = ModelConfig(
            name,
            tuple(config for key in routing if (config := providers.get(key)) is not None),
            read_timeouts(table, global_ms),
            table.boolean("skip_relay") or False,
            read_namespace(table),
        )
        table.finish()
    return out


def read_embedding_models(
    root: Table, credentials: CredentialReader, global_ms: int
) -> dict[str, EmbeddingModelConfig]:
    out: dict[str, EmbeddingModelConfig] = {}
    for name, table in root.tables("embedding_models").items():
        if name.startswith(RESERVED_PREFIXES):
            table.fault(
                f"Failed to load embedding models: Embedding model name '{name}' contains a "
                "reserved prefix"
            )
        tables = table.tables("providers", required=True)
        routing = _routing(table, tables, strict=False)
        providers = {
            key: read_embedding_provider(key, inner, credentials, global_ms)
            for key, inner in tables.items()
        }
        timeout_ms = table.integer("timeout_ms")
        if timeout_ms is not None and timeout_ms > global_ms:
            table.warn("`timeout_ms` is above `gateway.global_outbound_http_timeout_ms`")
        table.finish()
        out[name] = EmbeddingModelConfig(
            name,
            tuple(config for key in routing if (config := providers.get(key)) is not None),
            timeout_ms,
        )
    return out


def _routing(table: Table, providers: Mapping[str, Any], *, strict: bool) -> tuple[str, ...]:
    """The routing list, checked against the providers; each name once.

    ``strict`` refuses duplicates and providers that are not listed; else they are warned about.
    """
    routing = table.strings("routing", required=True)
    where = table.path
    if routing is None:
        return ()
    if not routing:
        table.fault(f"`{where}`: `routing` must not be empty")

    def doubtful(text: str) -> None:
        if strict:
            table.fault(text)
        else:
            table.faults.warn(text)

    seen: list[str] = []
    for name in routing:
        if name.startswith("tensorzero::"):
            table.fault(
                f"`{where}.routing`: Provider name cannot start with 'tensorzero::': {name}"
            )
        if name in seen:
            doubtful(f"`{where}.routing`: duplicate entry `{name}`")
            continue
        seen.append(name)
        if name not in providers and isinstance(table.value.get("providers"), dict):
            table.fault(
                f"`{where}`: `routing` contains entry `{name}` that does not exist in `providers`"
            )
    for name in providers:
        if name not in routing:
            doubtful(f"`{where}`: Provider `{name}` is not listed in `routing`")
    return tuple(seen)
