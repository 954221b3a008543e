"""What a call consumed: tokens, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

FinishReason = Literal["stop", "stop_sequence", "length", "tool_call", "content_filter", "unknown"]
ApiType = Literal["chat_completions", "responses", "embeddings", "other"]


class Usage(Struct, gc=False):
    """Tokens and dollars. ``None`` means that the provider did not say, 0 that it said zero.

    ``input_tokens`` includes tokens read from the provider's cache, ``output_tokens`` reasoning
    tokens. ``cost`` is in dollars.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    provider_cache_read_input_tokens: int | None = None
    provider_cache_write_input_tokens: int | None = None
    cost: Decimal | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer's ``usage``: the cache counts only when reported."""
        out: dict[str, Any] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
        }
        if self.provider_cache_read_input_tokens is not None:
            out["provider_cache_read_input_tokens"] = self.provider_cache_read_input_tokens
        if self.provider_cache_write_input_tokens is not None:
            out["provider_cache_write_input_tokens"] = self.provider_cache_write_input_tokens
        out["cost"] = None if self.cost is None else float(self.cost)
        return out

    def raise_to(self, other: Usage) -> list[str]:
        """Take the larger value of each field: how stream chunks add up.

        Returns the fields whose new value is the smaller one: a provider's mistake.
        """
        shrunk = []
        for name in (
            "input_tokens",
            "output_tokens",
            "provider_cache_read_input_tokens",
            "provider_cache_write_input_tokens",
        ):
            new = getattr(other, name)
            old = getattr(self, name)
            if new is None:
                continue
            if old is None or new > old:
                setattr(self, name, new)
            elif new < old:
                shrunk.append(name)
        return shrunk


ZERO_USAGE = Usage(0, 0, None, None, Decimal(0))
"""What a call that was served from the inference cache counts."""


def total_usage(parts: list[Usage]) -> Usage:
    """Sum over the model inferences of a request: one unknown token count or cost makes the sum
    unknown; cache counts skip unknowns."""
    if len(parts) == 1:
        return parts[0]

    def strict(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == len(values) else None

    def lenient(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    costs = [part.cost for part in parts if part.cost is not None]
    return Usage(
        input_tokens=strict([part.input_tokens for part in parts]),
        output_tokens=strict([part.output_tokens for part in parts]),
        provider_cache_read_input_tokens=lenient(
            [part.provider_cache_read_input_tokens for part in parts]
        ),
        provider_cache_write_input_tokens=lenient(
            [part.provider_cache_write_input_tokens for part in parts]
        ),
        cost=sum(costs, Decimal(0)) if len(costs) == len(parts) else None,
    )


class RawUsage(Struct):
    """A provider's own usage object, verbatim."""

    model_inference_id: str
    provider_type: str
    api_type: ApiType
    data: Any

    def to_json(self) -> dict[str, Any]:
        return {
            "model_inference_id": self.model_inference_id,
            "provider_type": self.provider_type,
            "api_type": self.api_type,
            "data": self.data,
        }


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A provider's own response text; without id for failed attempts."""

    provider_type: str
    api_type: ApiType
    data: str
    model_inference_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if self.model_inference_id is not None:
            out["model_inference_id"] = self.model_inference_id
        out["provider_type"] = self.provider_type
        out["api_type"] = self.api_type
        out["data"] = self.data
        return out
