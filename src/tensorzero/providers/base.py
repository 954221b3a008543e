"""What every provider offers, and what it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from tensorzero.types.content import Message
from tensorzero.types.errors import GatewayError
from tensorzero.types.model import Attempt, ModelRequest, ProviderChunk, ProviderResponse
from tzcore.client import Pool

StreamItem = ProviderChunk | GatewayError
"""A chunk, or an error in its place. Reading goes on after an error unless the stream ends."""


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What providers share: the upstream pool, the outbound limit, the debug switch."""

    pool: Pool
    global_timeout_ms: int
    debug: bool = False


@dataclass(slots=True)
class ProviderStream:
    """An opened stream. ``items`` must be closed (``aclose``) when it is given up early."""

    items: AsyncIterator[StreamItem]
    raw_request: str
    messages: list[Message]
    system: str | None


class Provider(Protocol):
    """One configured provider of a model."""

    type: str

    async def infer(self, request: ModelRequest, attempt: Attempt) -> ProviderResponse:
        """One complete answer; raises ``GatewayError``."""

    async def stream(self, request: ModelRequest, attempt: Attempt) -> ProviderStream:
        """Open a stream; raises ``GatewayError`` before the first event."""


def visible_messages(request: ModelRequest, attempt: Attempt, provider_type: str) -> list[Message]:
    """The messages that this attempt may see: blocks scoped to another model, provider or
    provider type are left out."""
    for message in request.messages:
        for block in message.content:
            if not _visible(block, attempt, provider_type):
                break
        else:
            continue
        break
    else:
        return request.messages
    return [
        Message(
            message.role,
            [block for block in message.content if _visible(block, attempt, provider_type)],
        )
        for message in request.messages
    ]


def _visible(block: object, attempt: Attempt, provider_type: str) -> bool:
    name = type(block).__name__
    if name == "Unknown":
        return getattr(block, "model_name", None) in (None, attempt.model_name) and getattr(
            block, "provider_name", None
        ) in (None, attempt.provider_name)
    if name == "Thought":
        return getattr(block, "provider_type", None) in (None, provider_type)
    return True
