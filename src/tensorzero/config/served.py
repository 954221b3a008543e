"""What was read and cannot be run yet: it loads with a warning, and is never sampled."""

from __future__ import annotations

from collections.abc import Mapping

from tensorzero.config.function import FunctionConfig
from tensorzero.config.reader import Faults
from tensorzero.config.variant import VariantConfig

SERVED_VARIANTS = frozenset({"chat_completion"})
"""The variant types that this version runs."""


def unserved_variants(
    functions: Mapping[str, FunctionConfig], faults: Faults
) -> dict[tuple[str, str], str]:
    """What is not served, by (function, variant), with one warning each."""
    found: dict[tuple[str, str], str] = {}
    for function in functions.values():
        for variant in function.variants.values():
            what = _unserved_variant(variant)
            if what is not None:
                found[function.name, variant.name] = what
                faults.warn(
                    f"functions.{function.name}.variants.{variant.name}: {what} are not served by "
                    "this version yet: it is never sampled"
                )
    return found


def _unserved_variant(variant: VariantConfig) -> str | None:
    return None if variant.type in SERVED_VARIANTS else f"variants of type `{variant.type}`"
