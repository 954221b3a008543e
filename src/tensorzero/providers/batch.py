"""What a provider that takes batches offers beside single calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tensorzero.providers.base import Provider
from tensorzero.types.batch import BatchPoll, StartedBatch
from tensorzero.types.model import Attempt, ModelRequest

Items = Sequence[tuple[ModelRequest, Attempt]]
"""The calls of a batch; each request's ``inference_id`` names its result."""


class Batches(Protocol):
    """The batches of one configured provider."""

    async def start(self, items: Items) -> StartedBatch:
        """Hand a batch over; raises ``GatewayError``."""

    async def poll(self, params: Mapping[str, Any]) -> BatchPoll:
        """Ask for a batch by the ``params`` of its start. Raises ``GatewayError`` when nothing
        was learned about it, and ``InvalidBatchParams``."""


def batches_of(provider: Provider) -> Batches | None:
    """``None`` for a provider that takes no batches."""
    batches: Batches | None = getattr(provider, "batches", None)
    return batches
