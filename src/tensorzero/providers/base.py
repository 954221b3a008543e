"""What every provider offers, and what it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from tensorzero.providers.items import ItemStream
from tensorzero.types.content import Message, ModelBlock, Thought, Unknown
from tensorzero.types.embedding import EmbeddingRequest, EmbeddingResponse
from tensorzero.types.model import Attempt, ModelRequest, ProviderResponse
from tensorzero.types.usage import ApiType
from tzcore.client import Pool

UPSTREAM_HOSTS = "TENSORZERO_UPSTREAM_HOSTS"
"""Where vendors' hosts are looked for instead of themselves; for tests."""


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What providers share: the upstream pool, the outbound limit, the debug switch.

    ``hosts`` sends what is for a vendor's host (or one ending in ``-`` and it: a region's) to
    another origin, ``http://127.0.0.1:9``; for tests. ``tokens`` keeps what signs requests of
    several providers, by what it was made of.
    """

    pool: Pool
    global_timeout_ms: int
    debug: bool = False
    hosts: Mapping[str, str] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)

    def redirected(self, url: str) -> str:
        """``url``, at the origin that ``hosts`` names for it."""
        parts = urlsplit(url)
        for host, origin in self.hosts.items():
            if parts.netloc == host or parts.netloc.endswith(f"-{host}"):
                return origin + url[len(parts.scheme) + 3 + len(parts.netloc) :]
        return url


def upstream_hosts(environ: Mapping[str, str]) -> dict[str, str]:
    """``ProviderContext.hosts`` of ``TENSORZERO_UPSTREAM_HOSTS``: ``HOST=ORIGIN``, by commas."""
    pairs = (one.partition("=") for one in environ.get(UPSTREAM_HOSTS, "").split(","))
    return {host.strip(): origin.strip() for host, _, origin in pairs if origin}


class ProviderStream(Struct):
    """An opened stream. ``items`` must be closed when it is given up early.

    ``started`` is ``time.monotonic()`` just before the request was sent: files that had to be
    fetched first are not the provider's time.
    """

    items: ItemStream
    started: float
    raw_request: str
    messages: list[Message]
    system: str | None


class Splitter(Protocol):
    """Cuts the bytes of a stream into events (``SSEParser``)."""

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The events that ``data`` completes; raises ``ValueError`` where the stream is broken."""

    def close(self) -> Iterable[bytes]:
        """The events that the end of the stream completes; raises like ``feed``."""


class Provider(Protocol):
    """One configured provider of a model."""

    type: str
    api_type: ApiType

    async def infer(self, request: ModelRequest, attempt: Attempt) -> ProviderResponse:
        """One complete answer; raises ``GatewayError``."""

    async def stream(self, request: ModelRequest, attempt: Attempt) -> ProviderStream:
        """Open a stream; raises ``GatewayError`` before the first event."""


class EmbeddingProvider(Protocol):
    """One configured provider of an embedding model."""

    type: str

    async def embed(self, request: EmbeddingRequest, attempt: Attempt) -> EmbeddingResponse:
        """The vectors of all inputs; raises ``GatewayError``."""


def visible_messages(request: ModelRequest, attempt: Attempt, provider_type: str) -> list[Message]:
    """The messages that this attempt may see: blocks scoped to another model, provider or
    provider type are left out, silently."""
    for message in request.messages:
        for block in message.content:
            if not _visible(block, attempt, provider_type):
                return [
                    Message(
                        message.role,
                        [one for one in message.content if _visible(one, attempt, provider_type)],
                    )
                    for message in request.messages
                ]
    return request.messages


def _visible(block: ModelBlock, attempt: Attempt, provider_type: str) -> bool:
    if isinstance(block, Unknown):
        return block.model_name in (None, attempt.model_name) and block.provider_name in (
            None,
            attempt.provider_name,
        )
    if isinstance(block, Thought):
        return block.provider_type in (None, provider_type)
    return True
