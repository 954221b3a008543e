"""Escape hatches: entries that edit a provider's request body or headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ExtraBody:
    """One edit of the body: set ``value`` at ``pointer`` (RFC 6901, ``-`` appends), or delete it.

    At most one filter: a variant, or a model with or without one of its providers.
    """

    pointer: str
    value: Any = None
    delete: bool = False
    variant_name: str | None = None
    model_name: str | None = None
    provider_name: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The element of the ``extra_body`` column."""
        return {**_filter_json(self), "pointer": self.pointer, **_edit_json(self)}


@dataclass(frozen=True, slots=True)
class ExtraHeader:
    """One edit of the headers: set ``value`` under ``name``, or delete it."""

    name: str
    value: str | None = None
    delete: bool = False
    variant_name: str | None = None
    model_name: str | None = None
    provider_name: str | None = None


def _filter_json(entry: ExtraBody) -> dict[str, Any]:
    if entry.variant_name is not None:
        return {"variant_name": entry.variant_name}
    if entry.model_name is not None:
        return {"model_name": entry.model_name, "provider_name": entry.provider_name}
    return {}


def _edit_json(entry: ExtraBody) -> dict[str, Any]:
    return {"delete": True} if entry.delete else {"value": entry.value}


def applies_to_variant(entry: ExtraBody | ExtraHeader, variant_name: str) -> bool:
    """Unscoped, model-scoped, or scoped to this variant."""
    return entry.variant_name is None or entry.variant_name == variant_name


def applies_to_provider(
    entry: ExtraBody | ExtraHeader, model_name: str, provider_name: str
) -> bool:
    """Unscoped (or variant-scoped, filtered before), or scoped to this model and provider."""
    if entry.model_name is None:
        return True
    return entry.model_name == model_name and entry.provider_name in (None, provider_name)
