"""What was read and cannot be run yet: it loads with a warning, and is never sampled."""

from __future__ import annotations

from collections.abc import Mapping

from tensorzero.config.function import FunctionConfig
from tensorzero.config.model import ModelConfig
from tensorzero.config.provider_types import SERVED_PROVIDERS, SERVED_VARIANTS
from tensorzero.config.reader import Faults
from tensorzero.config.shorthand import is_shorthand
from tensorzero.config.variant import VariantConfig


def unserved_provider(type_name: str) -> str | None:
    """What of a provider is not served, or ``None``."""
    if type_name not in SERVED_PROVIDERS:
        return f"providers of type `{type_name}`"
    return None


def unserved_providers(
    models: Mapping[str, ModelConfig], faults: Faults
) -> frozenset[tuple[str, str]]:
    """(model, provider) pairs, with one warning each."""
    found: set[tuple[str, str]] = set()
    for model in models.values():
        for provider in model.providers:
            what = unserved_provider(provider.type)
            if what is not None:
                found.add((model.name, provider.name))
                faults.warn(
                    f"models.{model.name}.providers.{provider.name}: {what} are not served by "
                    "this version yet: attempts on it fail"
                )
    return frozenset(found)


def unserved_variants(
    functions: Mapping[str, FunctionConfig], models: Mapping[str, ModelConfig], faults: Faults
) -> dict[tuple[str, str], str]:
    """What is not served, by (function, variant), with one warning each: the variant's type, or
    every provider of its model."""
    found: dict[tuple[str, str], str] = {}
    for function in functions.values():
        for variant in function.variants.values():
            what = _unserved_variant(variant, models)
            if what is not None:
                found[function.name, variant.name] = what
                faults.warn(
                    f"functions.{function.name}.variants.{variant.name}: {what} are not served by "
                    "this version yet: it is never sampled"
                )
    return found


def _unserved_variant(variant: VariantConfig, models: Mapping[str, ModelConfig]) -> str | None:
    if variant.type not in SERVED_VARIANTS:
        return f"variants of type `{variant.type}`"
    name = str(getattr(variant, "model", ""))
    if name in models:
        reasons = [unserved_provider(one.type) for one in models[name].providers]
        return reasons[0] if reasons and all(reasons) else None
    if is_shorthand(name):
        return unserved_provider(name.partition("::")[0])
    return None
