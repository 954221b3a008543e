"""Sampling parameters of a chat completion."""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal

JsonMode = Literal["off", "on", "strict", "tool"]
ServiceTier = Literal["auto", "default", "priority", "flex"]


@lru_cache(maxsize=1024)
def single_precision(value: float) -> float:
    """The shortest decimal that stands for the same 32-bit float: what is stored and sent.

    Raises ``OverflowError`` beyond its range.
    """
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    for digits in range(6, 9):
        shortest = float(f"{rounded:.{digits}g}")
        if struct.unpack("<f", struct.pack("<f", shortest))[0] == rounded:
            return shortest
    return float(f"{rounded:.9g}")


@dataclass(frozen=True, slots=True)
class ChatCompletionParams:
    """``params.chat_completion`` of a request, or a variant's own values; ``None`` = unset.

    Field order is the order of keys in the ``inference_params`` column.
    """

    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    json_mode: JsonMode | None = None
    stop_sequences: tuple[str, ...] | None = None
    reasoning_effort: str | None = None
    service_tier: ServiceTier | None = None
    thinking_budget_tokens: int | None = None
    verbosity: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Set fields only."""
        return {name: value for name in PARAM_NAMES if (value := getattr(self, name)) is not None}

    def merged_over(self, variant: ChatCompletionParams) -> ChatCompletionParams:
        """The request's values filled up from the variant's, except ``json_mode``, which is
        recorded only where the request gave it (the contract's variants page, 3.4)."""
        if self is NO_PARAMS:
            return variant if variant.json_mode is None else variant.without_json_mode()
        values = {
            name: own if (own := getattr(self, name)) is not None else getattr(variant, name)
            for name in PARAM_NAMES
            if name != "json_mode"
        }
        return ChatCompletionParams(**values, json_mode=self.json_mode)

    def without_json_mode(self) -> ChatCompletionParams:
        values = {name: getattr(self, name) for name in PARAM_NAMES if name != "json_mode"}
        return ChatCompletionParams(**values)


PARAM_NAMES = tuple(field.name for field in fields(ChatCompletionParams))
NO_PARAMS = ChatCompletionParams()
