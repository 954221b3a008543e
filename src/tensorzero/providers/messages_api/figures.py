"""Usage, stop reasons and output limits of the Messages API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorzero.providers.chat_completions.figures import count
from tensorzero.types.usage import FinishReason, Usage

STOP_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_call",
}


def read_stop_reason(value: Any) -> FinishReason | None:
    """What a ``stop_reason`` means; words that nobody foresaw are ``unknown``, none is ``None``."""
    return STOP_REASONS.get(value, "unknown") if isinstance(value, str) else None


def read_usage(value: Any) -> Usage:
    """A ``usage`` object: the vendor counts what its cache read and wrote beside the input."""
    if not isinstance(value, dict):
        return Usage()
    given = count(value.get("input_tokens"))
    written = count(value.get("cache_creation_input_tokens"))
    read = count(value.get("cache_read_input_tokens"))
    total = None
    if given is not None or written is not None or read is not None:
        total = (given or 0) + (written or 0) + (read or 0)
    return Usage(total, count(value.get("output_tokens")), read, written)


def output_limit(model: str, limits: Mapping[str, int]) -> int | None:
    """How many tokens a model can write. A name in ``limits`` that ends in ``*`` stands for all
    that begin so."""
    for name, limit in limits.items():
        if model == name or (name.endswith("*") and model.startswith(name[:-1])):
            return limit
    return None
