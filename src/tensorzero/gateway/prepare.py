"""``prepare``: everything that can refuse an inference before a provider is called.

Order of steps: the contract's native inference API, section 6.
"""

from __future__ import annotations

import logging

from tensorzero.config.dynamic import load_dynamic_variant
from tensorzero.config.function import FunctionConfig
from tensorzero.config.variant import ChatCompletionConfig
from tensorzero.functions.input import validate_input
from tensorzero.functions.tools import prepare_tools
from tensorzero.gateway.episode import check_episode_id
from tensorzero.gateway.files import RequestFiles, file_blocks
from tensorzero.gateway.inference import Begun, Inference
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.services import Services
from tensorzero.gateway.tags import check_tags
from tensorzero.gateway.workflow_runs import find_episode
from tensorzero.types.errors import (
    InvalidFunctionVariants,
    InvalidInferenceTarget,
    InvalidRequest,
    UnknownFunction,
    UnknownVariant,
)
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.schema import UncompilableSchema, request_schema
from tensorzero.variants.context import VariantContext
from tzcore.uuid7 import uuid7

log = logging.getLogger(__name__)

DEFAULT_FUNCTION = "tensorzero::default"
DYNAMIC_VARIANT = "tensorzero::dynamic_variant"
MAX_FILE_BYTES = 104_857_600


async def prepare(
    request: InferenceRequest,
    services: Services,
    received_at: float,
    begun: Begun | None = None,
) -> Inference:
    """Steps that can refuse a request before any provider is called or anything is recorded.

    ``begun``: it was prepared before, counted, and its first attempt sent.
    """
    inference = Inference(request, services, received_at)
    tags = dict(request.tags)
    if request.internal:
        tags["tensorzero::internal"] = "true"
    else:
        check_tags(tags)
    inference.tags = tags
    inference.id = uuid7() if begun is None else begun.inference_id
    pinned = request.variant_name
    if begun is not None:
        inference.episode_id = begun.episode_id
    elif request.episode_id is None:
        inference.episode_id = uuid7()
    else:
        inference.episode_id = request.episode_id
        if check_episode_id(request.episode_id):
            pinned = await _join_workflow_run(inference, pinned)
    if request.namespace is not None:
        tags["tensorzero::namespace"] = request.namespace
    inference.pinned = pinned
    _resolve_target(inference)
    _check_json_mode(inference)
    validate_input(inference.function, request.input, debug=services.config.gateway.debug)
    _check_filters(inference)
    dynamic = request.dynamic_variant
    if dynamic is not None and not request.dryrun:
        raise InvalidRequest("`internal_dynamic_variant_config` is only available with `dryrun`")
    if dynamic is not None and request.variant_name is not None:
        raise InvalidRequest(
            "`variant_name` and `internal_dynamic_variant_config` exclude each other"
        )
    inference.tools = prepare_tools(
        inference.function,
        services.config.tools,
        allowed=request.allowed_tools,
        additional=request.additional_tools,
        tool_choice=request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls,
        provider_tools=request.provider_tools,
    )
    templates = services.config.templates
    if dynamic is not None:
        config, templates = load_dynamic_variant(services.config, inference.function, dynamic)
        inference.variants = {DYNAMIC_VARIANT: config}
        inference.pinned = DYNAMIC_VARIANT
    elif inference.pinned is not None:
        if inference.pinned not in inference.variants:
            raise UnknownVariant(inference.pinned)
        tags["tensorzero::variant_pinned"] = inference.pinned
    _check_namespaces(inference)
    if not request.dryrun and begun is None:
        services.metrics.inference(inference.function.name, request.model_name)
    if request.include_aggregated_response and not request.stream:
        raise InvalidRequest("`include_aggregated_response` needs `stream: true`")
    if not request.dryrun:
        services.recorder.check()
    if file_blocks(request.input):
        inference.files = RequestFiles(services.models.context.pool, services.store, MAX_FILE_BYTES)
        inference.files.prepare(
            request.input,
            decided=services.store_decided,
            records=services.records and not request.dryrun,
        )
    inference.context = VariantContext(
        inference.function,
        request.input,
        inference.id,
        inference.episode_id,
        services.models,
        templates,
        request.params,
        inference.tools,
        inference.schema,
        request.extra_body,
        request.extra_headers,
        request.credentials,
        inference.files,
        services.config.gateway.fetch_and_encode_input_files_before_inference,
        request.stream,
        early=None if begun is None else begun.early,
    )
    return inference


async def _join_workflow_run(inference: Inference, pinned: str | None) -> str | None:
    episode = await find_episode(inference.services, inference.episode_id)
    for key, value in episode.tags.items():
        inference.tags.setdefault(key, value)
    inference.tags["tensorzero::dynamic_evaluation_run_id"] = episode.run_id
    inference.tags["tensorzero::workflow_evaluation_run_id"] = episode.run_id
    wanted = episode.variant_pins.get(inference.request.function_name or "")
    if wanted is not None and pinned is not None:
        log.warning("the request pins a variant that the workflow run pins too; the request wins")
    return pinned or wanted


def _resolve_target(inference: Inference) -> None:
    request, services = inference.request, inference.services
    config = services.config
    name, model = request.function_name, request.model_name
    if name is None and model is None:
        raise InvalidInferenceTarget("Either `function_name` or `model_name` must be given")
    if name is not None and model is not None:
        raise InvalidInferenceTarget("Only one of `function_name` and `model_name` can be given")
    if model is not None:
        if request.variant_name is not None:
            raise InvalidInferenceTarget("`variant_name` cannot be given with `model_name`")
        if request.dynamic_variant is not None:
            raise InvalidInferenceTarget(
                "`internal_dynamic_variant_config` cannot be given with `model_name`"
            )
        if not services.models.exists(model):
            raise InvalidInferenceTarget(
                f"Invalid model name: Model name '{model}' not found in model table"
            )
        inference.variants = {model: ChatCompletionConfig(model, model)}
        inference.function = FunctionConfig(DEFAULT_FUNCTION, "chat", inference.variants)
    elif name == DEFAULT_FUNCTION:
        inference.function = FunctionConfig(DEFAULT_FUNCTION, "chat", {})
    else:
        function = config.functions.get(name or "")
        if function is None:
            raise UnknownFunction(name or "")
        inference.function = function
        inference.variants = function.variants
    if not inference.variants and request.dynamic_variant is None:
        raise InvalidFunctionVariants(f"Function `{inference.function.name}` has no variants")
    if request.output_schema is not None:
        inference.schema = request_schema(request.output_schema)
        if isinstance(inference.schema, UncompilableSchema):
            log.warning("the request's `output_schema` does not compile: no answer will fit it")


def _check_json_mode(inference: Inference) -> None:
    """What ``json_mode = "tool"`` asks of a chat function."""
    request, function = inference.request, inference.function
    if request.params.json_mode != "tool" or function.type != "chat":
        return
    if function.tools or function.tool_choice != "auto" or function.parallel_tool_calls is not None:
        raise InvalidRequest(
            '`json_mode = "tool"` is not available in a chat function with tool settings'
        )
    if request.output_schema is None:
        raise InvalidRequest('`json_mode = "tool"` in a chat function needs an `output_schema`')
    given = (
        request.allowed_tools,
        request.additional_tools,
        request.tool_choice,
        request.parallel_tool_calls,
        request.provider_tools or None,
    )
    if any(value is not None for value in given):
        raise InvalidRequest('`json_mode = "tool"` cannot be combined with tool fields')


def _check_filters(inference: Inference) -> None:
    request, models = inference.request, inference.services.models
    entries: list[ExtraBody | ExtraHeader] = [*request.extra_body, *request.extra_headers]
    for entry in entries:
        if entry.variant_name is not None and entry.variant_name not in inference.variants:
            raise UnknownVariant(entry.variant_name)
        if entry.model_name is None:
            continue
        if not models.exists(entry.model_name):
            raise InvalidInferenceTarget(
                f"Invalid model name in a filter: Model name '{entry.model_name}' not found in "
                "model table"
            )
        provider = entry.provider_name
        if provider is not None and provider not in models.provider_names(entry.model_name):
            raise InvalidInferenceTarget(
                f"Invalid filter: model `{entry.model_name}` has no provider `{provider}`"
            )


def _check_namespaces(inference: Inference) -> None:
    """A namespaced model is for requests of that namespace (pinned and direct calls)."""
    if inference.pinned is None and inference.request.model_name is None:
        return
    names = [inference.pinned] if inference.pinned is not None else list(inference.variants)
    given = inference.request.namespace
    for name in names:
        variant = inference.variants[name]
        if variant.namespace is not None and variant.namespace != given:
            raise _namespace_mismatch("Variant", name, variant.namespace, given)
        model_name = getattr(variant, "model", None)
        model = inference.services.config.models.get(model_name or "")
        if model is not None and model.namespace is not None and model.namespace != given:
            raise _namespace_mismatch("Model", model.name, model.namespace, given)


def _namespace_mismatch(kind: str, name: str, own: str, given: str | None) -> InvalidRequest:
    return InvalidRequest(
        f"{kind} `{name}` has namespace `{own}`, but the request namespace is `{given}`. "
        f"Namespaced {kind.lower()}s can only be used with a matching namespace."
    )
