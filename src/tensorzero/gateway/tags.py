"""Checks tags that a client gives."""

from __future__ import annotations

from collections.abc import Iterable

from tensorzero.types.errors import InvalidRequest

RESERVED = "tensorzero::"


def check_tags(tags: Iterable[str]) -> None:
    """Raises ``InvalidRequest`` for a name that is ours."""
    for key in tags:
        if key.startswith(RESERVED):
            raise InvalidRequest(f"Tag name cannot start with 'tensorzero::': {key}")
