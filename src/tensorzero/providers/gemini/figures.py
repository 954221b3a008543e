"""Usage and finish reasons as Gemini states them."""

from __future__ import annotations

from typing import Any

from tensorzero.types.usage import FinishReason, Usage

FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "RECITATION": "tool_call",
    "MALFORMED_FUNCTION_CALL": "tool_call",
}


def read_finish_reason(value: Any) -> FinishReason | None:
    return FINISH_REASONS.get(value, "unknown") if isinstance(value, str) else None


def read_usage(value: Any) -> Usage:
    """``usageMetadata``; thoughts count as output, figures that are missing stay unknown."""
    if not isinstance(value, dict):
        return Usage()
    candidates = _count(value, "candidatesTokenCount")
    thoughts = _count(value, "thoughtsTokenCount")
    output = (
        None if candidates is None and thoughts is None else (candidates or 0) + (thoughts or 0)
    )
    return Usage(
        _count(value, "promptTokenCount"), output, _count(value, "cachedContentTokenCount")
    )


def _count(value: dict[str, Any], name: str) -> int | None:
    count = value.get(name)
    return count if type(count) is int and 0 <= count < 2**31 else None
