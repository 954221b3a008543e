"""Sampling parameters of a chat completion."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, Literal

import orjson

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
    _row_text: str | None = field(default=None, init=False, repr=False, compare=False)
    _recorded: ChatCompletionParams | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def row_text(self) -> str:
        """The ``inference_params`` column; kept, because a variant's own set is used again."""
        text = self._row_text
        if text is None:
            text = orjson.dumps({"chat_completion": self.to_json()}).decode()
            object.__setattr__(self, "_row_text", text)
        return text

    def to_json(self) -> dict[str, Any]:
        """Set fields only."""
        return {name: value for name in PARAM_NAMES if (value := getattr(self, name)) is not None}

    def merged_over(self, variant: ChatCompletionParams) -> ChatCompletionParams:
        """The request's values filled up from the variant's, except ``json_mode``, which is
        recorded only where the request gave it (the contract's variants page, 3.4)."""
        if self is NO_PARAMS:
            return variant.without_json_mode()
        values = {
            name: own if (own := getattr(self, name)) is not None else getattr(variant, name)
            for name in PARAM_NAMES
            if name != "json_mode"
        }
        return ChatCompletionParams(**values, json_mode=self.json_mode)

    def without_json_mode(self) -> ChatCompletionParams:
        """These without ``json_mode``; made once for each set."""
        if self.json_mode is None:
            return self
        recorded = self._recorded
        if recorded is None:
            recorded = replace(self, json_mode=None)
            object.__setattr__(self, "_recorded", recorded)
        return recorded


PARAM_NAMES = tuple(entry.name for entry in fields(ChatCompletionParams) if entry.init)
NO_PARAMS = ChatCompletionParams()
