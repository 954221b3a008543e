"""Which HTTP status an engine exception gets: ClickHouse's own mapping."""

from __future__ import annotations

from typing import Final

AUTHENTICATION_FAILED: Final = 516
TOO_MANY_QUERIES: Final = 202
QUERY_WAS_CANCELLED: Final = 394

_BAD_REQUEST: Final = frozenset(
    {6, 25, 26, 27, 36, 38, 41, 42, 43, 44, 53, 62, 72, 115, 131, 321, 376, 427, 441, 442, 456, 457}
)
_NOT_FOUND: Final = frozenset({46, 47, 50, 56, 60, 63, 73, 75, 81, 511})


def status_of(code: int) -> int:
    """HTTP status for an exception code; 500 where none fits better."""
    if code in _BAD_REQUEST:
        return 400
    if code in _NOT_FOUND:
        return 404
    if code in (192, 193, AUTHENTICATION_FAILED):
        return 403
    return {159: 408, 223: 413, 48: 501, TOO_MANY_QUERIES: 503}.get(code, 500)
