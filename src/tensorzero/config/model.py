"""``[models.*]`` and their providers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tensorzero.config.credentials import Credential
from tensorzero.config.timeouts import NO_TIMEOUTS, TimeoutsConfig
from tensorzero.types.extra import ExtraBody, ExtraHeader


@dataclass(frozen=True, slots=True)
class CostEntry:
    """One addend of a price: the number at a pointer of the raw response, times ``rate``.

    ``rate`` is in dollars for one unit (``cost_per_million`` already divided by 10**6).
    """

    pointer_nonstreaming: str
    pointer_streaming: str
    rate: Decimal
    required: bool = False


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """``[models.<m>.providers.<p>]``: what all types share, and the type's own ``options``.

    ``options`` holds the type's keys as parsed (strings, URLs, lists …) without credentials;
    ``credential`` is the resolved ``api_key_location`` / ``credential_location``. Types with
    several secrets (AWS) have them in ``credentials`` by key.
    """

    name: str
    type: str
    options: Mapping[str, Any]
    credential: Credential
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    timeouts: TimeoutsConfig = NO_TIMEOUTS
    extra_body: tuple[ExtraBody, ...] = ()
    extra_headers: tuple[ExtraHeader, ...] = ()
    discard_unknown_chunks: bool = False
    cost: tuple[CostEntry, ...] | None = None
    batch_cost: tuple[CostEntry, ...] | None = None


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """``[models.<name>]``; ``providers`` is in the order of ``routing``."""

    name: str
    providers: tuple[ProviderConfig, ...]
    timeouts: TimeoutsConfig = NO_TIMEOUTS
    skip_relay: bool = False
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingProviderConfig:
    """``[embedding_models.<m>.providers.<p>]``."""

    name: str
    type: str
    options: Mapping[str, Any]
    credential: Credential
    timeout_ms: int | None = None
    extra_body: tuple[ExtraBody, ...] = ()
    extra_headers: tuple[ExtraHeader, ...] = ()
    cost: tuple[CostEntry, ...] | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingModelConfig:
    """``[embedding_models.<name>]``; ``providers`` is in the order of ``routing``."""

    name: str
    providers: tuple[EmbeddingProviderConfig, ...]
    timeout_ms: int | None = None
