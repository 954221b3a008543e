"""Applies ``extra_body`` and ``extra_headers``: variant, then provider, then request."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from tensorzero.config.model import ProviderConfig
from tensorzero.types import json_pointer
from tensorzero.types.errors import ExtraBodyReplacement
from tensorzero.types.extra import ExtraBody, ExtraHeader, applies_to_provider
from tensorzero.types.model import Attempt, ModelRequest

log = logging.getLogger(__name__)


def apply_extra_body(
    body: dict[str, Any], request: ModelRequest, config: ProviderConfig, attempt: Attempt
) -> None:
    """Edit ``body`` in place; raises ``ExtraBodyReplacement`` for a pointer that cannot apply."""
    edit_body(body, request.variant_extra_body)
    edit_body(body, config.extra_body)
    for entry in request.extra_body:
        if applies_to_provider(entry, attempt.model_name, attempt.provider_name):
            _apply(body, entry)


def edit_body(body: dict[str, Any], entries: Iterable[ExtraBody]) -> None:
    """Edit ``body`` in place by entries that all apply; raises ``ExtraBodyReplacement``."""
    for entry in entries:
        _apply(body, entry)


def _apply(body: dict[str, Any], entry: ExtraBody) -> None:
    try:
        if entry.delete:
            if not json_pointer.remove(body, entry.pointer):
                log.warning("extra_body: nothing to delete at `%s`", entry.pointer)
        else:
            json_pointer.assign(body, entry.pointer, entry.value)
    except json_pointer.PointerError as error:
        raise ExtraBodyReplacement(str(error), entry.pointer) from None


def has_extra_headers(request: ModelRequest, config: ProviderConfig) -> bool:
    return bool(request.variant_extra_headers or config.extra_headers or request.extra_headers)


def extra_headers(
    request: ModelRequest, config: ProviderConfig, attempt: Attempt
) -> tuple[dict[str, str], list[str]]:
    """Headers to set (lower-case names) and names to remove; later entries win."""
    return edit_headers(
        *request.variant_extra_headers,
        *config.extra_headers,
        *(
            entry
            for entry in request.extra_headers
            if applies_to_provider(entry, attempt.model_name, attempt.provider_name)
        ),
    )


def edit_headers(*entries: ExtraHeader) -> tuple[dict[str, str], list[str]]:
    """What entries that all apply set (lower-case names), and the names that they remove."""
    values: dict[str, str] = {}
    removed: set[str] = set()
    for entry in entries:
        name = entry.name.lower()
        if entry.delete:
            values.pop(name, None)
            removed.add(name)
        elif entry.value is not None:
            values[name] = entry.value
            removed.discard(name)
    return values, sorted(removed)
