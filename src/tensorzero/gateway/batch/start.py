"""``POST /batch_inference``: checks, one variant for all inputs, the provider, the rows."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from tensorzero.config.function import FunctionConfig
from tensorzero.config.variant import ChatCompletionConfig
from tensorzero.functions.input import validate_input
from tensorzero.functions.tools import prepare_tools
from tensorzero.gateway.batch.request import BatchRequest, entry, parse_batch_request
from tensorzero.gateway.batch.rows import batch_row, item_row
from tensorzero.gateway.episode import check_episode_id
from tensorzero.gateway.files import RequestFiles, file_blocks
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.prepare import MAX_FILE_BYTES
from tensorzero.gateway.recorder import Rows
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.services import Services
from tensorzero.gateway.tags import check_tags
from tensorzero.models.batch import ModelBatch, start_batch
from tensorzero.models.model import Model
from tensorzero.types.errors import (
    AllVariantsFailed,
    ClickHouseConnection,
    GatewayError,
    InvalidFunctionVariants,
    InvalidRequest,
    InvalidTensorzeroUuid,
    UnknownFunction,
    UnknownVariant,
)
from tensorzero.types.errors.batch import (
    BatchInputValidation,
    UnsupportedVariantForBatchInference,
)
from tensorzero.types.model import ModelRequest
from tensorzero.types.params import NO_PARAMS, ChatCompletionParams
from tensorzero.types.schema import request_schema
from tensorzero.variants.chat_completion import prepare_call
from tensorzero.variants.context import VariantContext
from tensorzero.variants.sampling import VariantSampler
from tzcore.uuid7 import uuid7

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 500
"""Rows of one frame of the spool."""
WAIT_S = 60.0
_ITEMS_AT_ONCE = 100


@dataclass(slots=True)
class Item:
    """One input, rendered for the variant of the batch."""

    inference: Inference
    request: ModelRequest
    params: ChatCompletionParams


async def start(body: bytes, services: Services) -> dict[str, Any]:
    """Start a batch and record it; answers its id and those of its inferences."""
    request = parse_batch_request(body)
    require_recording(services)
    # Without room for its rows, a provider would work for nobody.
    services.recorder.check(always=True)
    inferences = await _prepare(request, services)
    variant_name, batch, items = await _start(request, inferences, services)
    batch_id = uuid7()
    await _record(batch_id, variant_name, batch, items, services)
    return {
        "batch_id": batch_id,
        "inference_ids": [inference.id for inference in inferences],
        "episode_ids": [inference.episode_id for inference in inferences],
    }


def require_recording(services: Services) -> None:
    """Batches live in the database. Raises ``InvalidRequest``."""
    if not services.records:
        raise InvalidRequest(
            "Batch inference requires observability to be enabled "
            "(`gateway.observability.enabled` must not be `false`)."
        )


async def _prepare(request: BatchRequest, services: Services) -> list[Inference]:
    """All that can refuse a batch before a provider is asked, in the contract's order."""
    function = services.config.functions.get(request.function_name)
    if function is None:
        raise UnknownFunction(request.function_name)
    if not request.inputs:
        raise InvalidRequest("No inputs provided")
    request.check_lengths()
    for tags in request.tags or ():
        check_tags(tags or {})
    inferences = []  # in the order of their inputs, and of their ids
    for index in range(len(request.inputs)):
        await _others_first(index)
        inferences.append(_inference(request, index, function, services))
    if not function.variants:
        raise InvalidFunctionVariants(f"Function `{function.name}` has no variants")
    debug = services.config.gateway.debug
    for index, given in enumerate(request.inputs):
        await _others_first(index)
        try:
            validate_input(function, given, debug=debug)
        except GatewayError as error:
            raise BatchInputValidation(index, str(error)) from None
    if request.variant_name is not None and request.variant_name not in function.variants:
        raise UnknownVariant(request.variant_name)
    _check_episodes(request)
    for index, inference in enumerate(inferences):
        inference.episode_id = entry(request.episode_ids, index) or uuid7()
    services.metrics.batch(function.name, len(inferences))
    request.check_params()
    for inference in inferences:
        _prepare_files(inference)
    return inferences


async def _others_first(index: int) -> None:
    """Now and then, other requests have their turn."""
    if index % _ITEMS_AT_ONCE == 0:
        await asyncio.sleep(0)


def _inference(
    request: BatchRequest, index: int, function: FunctionConfig, services: Services
) -> Inference:
    schema = entry(request.output_schemas, index)
    single = InferenceRequest(request.inputs[index], function.name, output_schema=schema)
    inference = Inference(single, services, 0.0, uuid7())
    inference.function = function
    inference.variants = function.variants
    inference.tags = dict(entry(request.tags, index) or {})
    inference.tools = prepare_tools(
        function,
        services.config.tools,
        allowed=entry(request.allowed_tools, index),
        additional=entry(request.additional_tools, index),
        tool_choice=entry(request.tool_choice, index),
        parallel_tool_calls=entry(request.parallel_tool_calls, index),
        provider_tools=entry(request.provider_tools, index) or (),
    )
    if schema is not None:
        inference.schema = request_schema(schema)
    return inference


def _check_episodes(request: BatchRequest) -> None:
    given = request.episode_ids
    if given is None:
        return
    if len(given) != len(request.inputs):
        raise InvalidRequest(
            f"Number of episode_ids ({len(given)}) does not match number of inputs "
            f"({len(request.inputs)})"
        )
    for index, episode_id in enumerate(given):
        if episode_id is None:
            continue
        try:
            # Workflow evaluations run their inferences one by one.
            if check_episode_id(episode_id):
                raise InvalidTensorzeroUuid("Episode", "Timestamp is in the future")
        except GatewayError as error:
            raise BatchInputValidation(index, str(error)) from None


def _prepare_files(inference: Inference) -> None:
    services, given = inference.services, inference.request.input
    if file_blocks(given):
        inference.files = RequestFiles(services.models.context.pool, services.store, MAX_FILE_BYTES)
        inference.files.prepare(given, decided=services.store_decided, records=True)


async def _start(
    request: BatchRequest, inferences: list[Inference], services: Services
) -> tuple[str, ModelBatch, list[Item]]:
    """The variant that was started, its batch, and what was sent."""
    function = inferences[0].function
    names = tuple(sorted(function.variants, key=str.encode))
    alone = request.variant_name or (names[0] if len(names) == 1 else None)
    if alone is not None:
        return alone, *await _start_variant(alone, request, inferences)
    sampler = VariantSampler(function, names, inferences[0].episode_id, None)
    errors: dict[str, GatewayError] = {}
    while True:
        try:
            name = sampler.next()
        except InvalidFunctionVariants:
            if errors:
                raise AllVariantsFailed(errors) from None
            raise
        try:
            return name, *await _start_variant(name, request, inferences)
        except GatewayError as error:
            log.warning("variant `%s` failed to start a batch: %s", name, error.log_text())
            errors[name] = error


async def _start_variant(
    name: str, request: BatchRequest, inferences: list[Inference]
) -> tuple[ModelBatch, list[Item]]:
    services = inferences[0].services
    variant = inferences[0].variants[name]
    if not isinstance(variant, ChatCompletionConfig) or variant.type != "chat_completion":
        raise UnsupportedVariantForBatchInference(name)
    items: list[Item] = []
    model: Model | None = None
    for index, inference in enumerate(inferences):
        await _others_first(index)
        inference.context = VariantContext(
            inference.function,
            inference.request.input,
            inference.id,
            inference.episode_id,
            services.models,
            services.config.templates,
            _params(request, index),
            inference.tools,
            inference.schema,
            credentials=request.credentials,
            files=inference.files,
            fetch_files=services.config.gateway.fetch_and_encode_input_files_before_inference,
        )
        model, call, params = prepare_call(variant, inference.context)
        items.append(Item(inference, call, params))
    assert model is not None
    batch = await start_batch(model, [item.request for item in items], request.credentials)
    return batch, items


def _params(request: BatchRequest, index: int) -> ChatCompletionParams:
    values = {
        name: value
        for name, entries in request.params.items()
        if (value := entry(entries, index)) is not None
    }
    return ChatCompletionParams(**values) if values else NO_PARAMS


async def _record(
    batch_id: str, variant_name: str, batch: ModelBatch, items: list[Item], services: Services
) -> None:
    """The inputs first: a batch that can be found is complete."""
    rows: Rows = []
    for item, raw_request in zip(items, batch.started.raw_requests, strict=True):
        inference = item.inference
        if inference.files is not None:
            await inference.files.store_all(inference.request.input)
        rows.append(
            item_row(
                inference, item.request, item.params, batch_id, variant_name, batch, raw_request
            )
        )
    position: object = None
    for at in range(0, len(rows), ROWS_AT_ONCE):
        position = append(rows[at : at + ROWS_AT_ONCE], services)
        await asyncio.sleep(0)
    await confirmed(position, services)
    started = batch.started
    row = batch_row(
        batch_id,
        function_name=items[0].inference.function.name,
        variant_name=variant_name,
        model_name=batch.model_name,
        provider_name=batch.provider_name,
        status="pending",
        params=started.params,
        raw_request=started.raw_request,
        raw_response=started.raw_response,
        snapshot_hash=services.config.snapshot.hash,
        errors=started.errors,
    )
    await confirmed(append([row], services), services)


def append(rows: Rows, services: Services) -> object:
    """Write rows that the answer speaks of; returns their position, for ``confirmed``. Raises
    ``ClickHouseConnection`` when they cannot be kept."""
    position = services.recorder.append(rows)
    if position is None:
        raise ClickHouseConnection("There is no room to record it; see the log")
    return position


async def confirmed(position: object, services: Services) -> None:
    """Wait until all rows up to ``position`` can be queried. Raises ``ClickHouseConnection``; then
    they come later."""
    ends = time.monotonic() + WAIT_S
    while not await services.recorder.flushed(position):
        if time.monotonic() > ends:
            raise ClickHouseConnection("The database does not take the batch's rows; see the log")
