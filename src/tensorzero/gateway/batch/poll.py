"""``GET /batch_inference/{batch_id}``: ask the provider, record what it answers, once.

Several gateways may find a batch completed in the same moment, and a poll may die at any: each
writes all results and then the batch's last status, in frames of the spool whose keys the batch
alone decides (``storage/spool/once.py``), so that the database takes each of them once. The
workers of one gateway ask one at a time, to spare the provider.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tensorzero.functions.tools import prepare_tools
from tensorzero.gateway.batch.locks import file_lock
from tensorzero.gateway.batch.results import StoredBatch, completed_answer, find_batch, find_items
from tensorzero.gateway.batch.rows import Row, batch_row, model_inference_id, result_rows
from tensorzero.gateway.batch.start import append, confirmed, require_recording
from tensorzero.gateway.fields import uuid
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.record import function_output
from tensorzero.gateway.recorder import Rows
from tensorzero.gateway.request import InferenceRequest, parse_params
from tensorzero.gateway.services import Services
from tensorzero.gateway.stored.input import read_input
from tensorzero.gateway.stored.text import parsed, stored_json
from tensorzero.gateway.stored.tools import read_tools
from tensorzero.gateway.tools_parser import parse_additional_tools
from tensorzero.models.batch import route_of
from tensorzero.models.cost import response_cost
from tensorzero.models.model import Route
from tensorzero.storage.spool.once import written_once
from tensorzero.types.batch import BatchPoll, BatchResult, BatchStatus
from tensorzero.types.errors import GatewayError, UnknownFunction
from tensorzero.types.errors.batch import InvalidModel, MissingBatchInferenceResponse
from tensorzero.types.model import ModelResult, ProviderResponse
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.schema import request_schema

log = logging.getLogger(__name__)

RESULTS_AT_ONCE = 500
"""Inferences of one frame of the spool."""
_FRAME_CHARACTERS = 8 * 1024 * 1024
_ITEMS_AT_ONCE = 50


async def poll(batch_id: str, inference_id: str | None, services: Services) -> dict[str, Any]:
    """The answer to a poll, of the whole batch or of one of its inferences."""
    require_recording(services)
    batch_id = uuid(batch_id, "batch_id")
    if inference_id is not None:
        inference_id = uuid(inference_id, "inference_id")
    batch = await find_batch(batch_id, inference_id, services)
    if batch.status == "pending":
        async with file_lock(services.lock_dir, batch_id):
            batch = await find_batch(batch_id, inference_id, services)
            if batch.status == "pending":
                services.recorder.check(always=True)
                batch.status = await _ask(batch, services)
    if batch.status != "completed":
        return {"status": batch.status}
    return await completed_answer(batch, inference_id, services)


async def _ask(batch: StoredBatch, services: Services) -> BatchStatus:
    """Ask the provider and record what it says; returns the batch's status from here on."""
    model = services.models.get(batch.model_name)
    if model is None:
        raise InvalidModel(batch.model_name)
    route, batches = route_of(model, batch.provider_name)
    answer = await batches.poll(batch.params)
    if answer.status == "completed":
        if not answer.results:
            answer.status, answer.error = "failed", MissingBatchInferenceResponse()
        elif not await _record(batch, route, answer, services):
            return "pending"
    status: Rows = [_status_row(batch, answer)]
    if answer.status != "pending":
        status = written_once(status, f"{batch.id}:{answer.status}")
    await confirmed(append(status, services), services)
    if answer.error is not None:
        raise answer.error
    return answer.status


def _status_row(batch: StoredBatch, answer: BatchPoll) -> Row:
    return batch_row(
        batch.id,
        function_name=batch.function_name,
        variant_name=batch.variant_name,
        model_name=batch.model_name,
        provider_name=batch.provider_name,
        status=answer.status,
        params=batch.params if answer.params is None else answer.params,
        raw_request=answer.raw_request,
        raw_response=answer.raw_response,
        snapshot_hash=batch.snapshot_hash,
    )


async def _record(batch: StoredBatch, route: Route, answer: BatchPoll, services: Services) -> bool:
    """Write the results; ``False``: the batch's inputs cannot be seen yet. Raises
    ``GatewayError``."""
    function = services.config.functions.get(batch.function_name)
    if function is None:
        raise UnknownFunction(batch.function_name)
    items = await find_items(batch.id, services)
    results = {result.inference_id: result for result in answer.results}
    ids = {item["inference_id"] for item in items}
    if not results.keys() <= ids:
        # On a replica that lags behind. Without them the batch would be completed for good.
        log.warning("batch %s has results for inputs that cannot be seen yet", batch.id)
        return False
    for id_ in sorted(ids - results.keys()):
        log.warning("batch %s has no result for %s", batch.id, id_)
    position: object = None
    for frame in _frames(items, results):
        rows: list[Row] = []
        for number, (item, result) in enumerate(frame):
            if number % _ITEMS_AT_ONCE == 0:
                await asyncio.sleep(0)
            rows += _rows(batch, route, item, result, answer.finished_at_ms, services)
        if rows:
            key = f"{batch.id}:{frame[0][1].inference_id}:{len(frame)}"
            position = append(written_once(rows, key), services)
            for item, result in frame:
                services.recorder.remember(item["inference_id"], item["episode_id"])
                services.metrics.tokens(result.usage)
    # A batch that is seen to be completed is complete.
    await confirmed(position, services)
    return True


def _frames(
    items: Sequence[dict[str, Any]], results: Mapping[str, BatchResult]
) -> Iterator[list[tuple[dict[str, Any], BatchResult]]]:
    """The results with their inputs, in frames. Only what everybody sees alike decides where one
    ends, and each is small enough to be one block of an insert."""
    frame: list[tuple[dict[str, Any], BatchResult]] = []
    size = 0
    for item in items:
        result = results.get(item["inference_id"])
        if result is None:
            continue
        texts = (item["input"], item["input_messages"], item["raw_request"], result.raw_response)
        more = sum(map(len, texts))
        if frame and (len(frame) >= RESULTS_AT_ONCE or size + more > _FRAME_CHARACTERS):
            yield frame
            frame, size = [], 0
        frame.append((item, result))
        size += more
    if frame:
        yield frame


def _rows(
    batch: StoredBatch,
    route: Route,
    item: dict[str, Any],
    result: BatchResult,
    finished_at_ms: int | None,
    services: Services,
) -> list[Row]:
    """The rows of one result, as of a live inference; none when what was recorded of its tools or
    schema makes no sense any more."""
    try:
        inference, params = _inference(item, services)
    except GatewayError as error:
        log.error("batch %s: the result of %s is lost: %s", batch.id, item["inference_id"], error)
        return []
    config = route.config
    result.usage.cost = response_cost(config.batch_cost or config.cost, result.raw_response)
    response = ProviderResponse(
        model_inference_id(inference.id, finished_at_ms),
        result.output,
        item["raw_request"],
        result.raw_response,
        result.usage,
        None,
        result.finish_reason,
        0,
        [],
        None,
    )
    output = function_output(inference, response)
    answered = ModelResult(response, batch.model_name, batch.provider_name, route.provider.type)
    return result_rows(inference, batch.variant_name, output, params, answered, item)


def _inference(item: dict[str, Any], services: Services) -> tuple[Inference, ChatCompletionParams]:
    """The inference that an input was, with the tools and the schema that it was given."""
    config = services.config
    function = config.functions[item["function_name"]]
    request = InferenceRequest(read_input(item["input"]), function.name)
    inference = Inference(request, services, 0.0, item["inference_id"], item["episode_id"])
    inference.function = function
    inference.variants = function.variants
    inference.tags = item["tags"]
    if item["output_schema"]:
        inference.schema = request_schema(stored_json(item["output_schema"], "output_schema"))
    stored = read_tools({**item, "tool_params": item["tool_params"] or ""})
    if function.type == "chat":
        inference.tools = prepare_tools(
            function,
            config.tools,
            allowed=stored.explicitly_allowed,
            additional=parse_additional_tools(list(stored.additional_tools), "dynamic_tools"),
            tool_choice=stored.tool_choice,
            parallel_tool_calls=stored.parallel_tool_calls,
            provider_tools=stored.provider_tools,
        )
    value = stored_json(item["inference_params"], "inference_params") or {}
    return inference, ChatCompletionParams(**parsed(parse_params, value, "inference_params"))
