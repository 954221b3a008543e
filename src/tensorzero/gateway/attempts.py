"""``run_variants``: draw a variant, run it, fall back to the next."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from tensorzero.config.config import Config
from tensorzero.config.function import FunctionConfig
from tensorzero.config.variant import ChatCompletionConfig, VariantConfig
from tensorzero.gateway.inference import Inference
from tensorzero.models.deadline import bounded
from tensorzero.types.errors import (
    AllVariantsFailed,
    ConfigError,
    GatewayError,
    InvalidFunctionVariants,
    VariantTimeout,
)
from tensorzero.types.usage import RawResponse
from tensorzero.variants import chat_completion
from tensorzero.variants.chat_completion import VariantResult, VariantStream
from tensorzero.variants.sampling import VariantSampler

log = logging.getLogger(__name__)


def served(config: Config, function: FunctionConfig, name: str) -> bool:
    """Whether this version can run the variant."""
    return (function.name, name) not in config.unserved_variants


def _unserved(name: str, what: str) -> GatewayError:
    return ConfigError(f"Variant `{name}` cannot be run: {what} are not served by this version yet")


def _none_served(config: Config, function: FunctionConfig) -> GatewayError:
    reasons = dict.fromkeys(
        what for (owner, _), what in config.unserved_variants.items() if owner == function.name
    )
    return ConfigError(
        f"Function `{function.name}` has no variant that can be run: {', '.join(reasons)} are not "
        "served by this version yet"
    )


async def run_variants(
    inference: Inference, *, stream: bool
) -> tuple[str, VariantResult | VariantStream, list[RawResponse]]:
    """The first variant that answers: its name, its answer, raw bodies of failed ones."""
    config = inference.services.config
    if inference.pinned is not None:
        name = inference.pinned
        variant = inference.variants[name]
        if not served(config, inference.function, name):
            raise _unserved(name, config.unserved_variants[inference.function.name, name])
        result = await _run(variant, inference, stream)
        inference.sole_variant = name
        return name, result, []
    active = inference.services.drawable.get(inference.function.name)
    if active is None:  # a call by model name: the one variant is the model
        active = tuple(inference.variants)
    if len(active) == 1 and inference.function.experimentation is None:
        return await _run_sole(active[0], inference, stream)  # there is nothing to draw
    sampler = VariantSampler(
        inference.function, active, inference.episode_id, inference.request.namespace
    )
    errors: dict[str, GatewayError] = {}
    while True:
        try:
            name = sampler.next()
        except InvalidFunctionVariants:
            if errors:
                raise AllVariantsFailed(errors) from None
            if inference.variants and not active:
                raise _none_served(config, inference.function) from None
            raise
        try:
            result = await _run(inference.variants[name], inference, stream)
        except GatewayError as error:
            _log_failure(name, error)
            errors[name] = error
            continue
        if not errors:
            inference.sole_variant = name
            return name, result, []
        return name, result, [raw for error in errors.values() for raw in error.raw_responses()]


async def _run_sole(
    name: str, inference: Inference, stream: bool
) -> tuple[str, VariantResult | VariantStream, list[RawResponse]]:
    try:
        result = await _run(inference.variants[name], inference, stream)
    except GatewayError as error:
        _log_failure(name, error)
        raise AllVariantsFailed({name: error}) from None
    inference.sole_variant = name
    return name, result, []


def _log_failure(name: str, error: GatewayError) -> None:
    log.warning("variant `%s` failed: %s", name, error.log_text())


def _run(
    variant: VariantConfig, inference: Inference, stream: bool
) -> Awaitable[VariantResult | VariantStream]:
    if not isinstance(variant, ChatCompletionConfig) or variant.type != "chat_completion":
        raise _unserved(variant.name, f"variants of type `{variant.type}`")
    if stream:
        return bounded(
            chat_completion.open_stream(variant, inference.context),
            variant.timeouts,
            stream=True,
            error=VariantTimeout,
            name=variant.name,
        )
    if variant.timeouts.non_streaming_total_ms is None:
        return chat_completion.infer(variant, inference.context)
    return bounded(
        chat_completion.infer(variant, inference.context),
        variant.timeouts,
        stream=False,
        error=VariantTimeout,
        name=variant.name,
    )
