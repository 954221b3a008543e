"""Usage and finish reasons of Chat Completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorzero.types.usage import FinishReason, Usage

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
}


def finish_reasons(**own: FinishReason) -> dict[str, FinishReason]:
    """The common words, and a vendor's own."""
    return {**FINISH_REASONS, **own}


def read_finish_reason(
    value: Any, reasons: Mapping[str, FinishReason] = FINISH_REASONS
) -> FinishReason | None:
    """What a vendor's word means in ours; unknown words are ``unknown``, none is ``None``."""
    if not isinstance(value, str) or value == "":
        return None
    return reasons.get(value, "unknown")


def read_usage(value: Any) -> Usage:
    """``usage`` of an answer; missing figures stay unknown."""
    if not isinstance(value, dict):
        return Usage()
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        count(value.get("prompt_tokens")),
        count(value.get("completion_tokens")),
        count(cached),
    )


def count(value: Any) -> int | None:
    """A number of tokens, ``None`` for anything else."""
    return value if type(value) is int and 0 <= value < 2**32 else None
