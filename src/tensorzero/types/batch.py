"""What passes between a batch and its provider: what was started, what a poll found."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from tensorzero.types.content import OutputBlock
from tensorzero.types.errors import GatewayError
from tensorzero.types.usage import FinishReason, Usage

BatchStatus = Literal["pending", "completed", "failed"]


class StartedBatch(Struct):
    """A batch that a provider has taken. ``params`` are what polling it needs; ``raw_requests``
    are its items as they were sent, in order; ``errors`` are JSON texts."""

    params: dict[str, Any]
    raw_requests: list[str]
    raw_request: str
    raw_response: str
    errors: list[str] = field(default_factory=list)


class BatchResult(Struct):
    """The answer to one item of a batch."""

    inference_id: str
    output: list[OutputBlock]
    usage: Usage
    finish_reason: FinishReason | None
    raw_response: str


class BatchPoll(Struct):
    """What a provider says about a batch.

    ``params`` replace those of the batch when they are given. ``results`` are those of a completed
    one; ``error`` is why there are none although it was completed. ``finished_at_ms`` is Unix time.
    """

    status: BatchStatus
    raw_request: str
    raw_response: str
    params: dict[str, Any] | None = None
    results: list[BatchResult] = field(default_factory=list)
    error: GatewayError | None = None
    finished_at_ms: int | None = None
