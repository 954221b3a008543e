"""``GET /batch_inference/{batch_id}``: ask the provider, record what it answers, once.

Results are recorded in frames of the spool, each of which comes into the database whole and
once. One poll of a batch at a time looks which of them were written before (by whoever, however
it ended), and writes the others; the batch is completed last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from tensorzero.functions.tools import prepare_tools
from tensorzero.gateway.batch.locks import file_lock
from tensorzero.gateway.batch.results import StoredBatch, completed_answer, find_batch, find_items
from tensorzero.gateway.batch.rows import Row, batch_row, model_inference_id, result_rows
from tensorzero.gateway.batch.start import append, confirmed, require_recording
from tensorzero.gateway.fields import uuid
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.record import function_output
from tensorzero.gateway.request import InferenceRequest, parse_params
from tensorzero.gateway.services import Services
from tensorzero.gateway.stored.input import read_input
from tensorzero.gateway.stored.text import parsed, stored_json
from tensorzero.gateway.stored.tools import read_tools
from tensorzero.gateway.tools_parser import parse_additional_tools
from tensorzero.models.batch import route_of
from tensorzero.models.cost import response_cost
from tensorzero.models.model import Route
from tensorzero.types.batch import BatchPoll, BatchResult, BatchStatus
from tensorzero.types.batch_errors import InvalidModel, MissingBatchInferenceResponse
from tensorzero.types.errors import ClickHouseConnection, GatewayError, UnknownFunction
from tensorzero.types.model import ModelResult, ProviderResponse
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.schema import request_schema

log = logging.getLogger(__name__)

RESULTS_AT_ONCE = 250
"""Inferences of one frame of the spool."""
_SEARCH_S = 10.0
_SEARCH_AGAIN_S = 0.2


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
    await confirmed(append([_status_row(batch, answer)], services), services)
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
    """Write the results that are not written yet; ``False``: the batch's inputs cannot be seen
    yet. Raises ``GatewayError``."""
    function = services.config.functions.get(batch.function_name)
    if function is None:
        raise UnknownFunction(batch.function_name)
    items = await find_items(batch.id, services)
    results = {result.inference_id: result for result in answer.results}
    found = [item for item in items if item["inference_id"] in results]
    if not found:
        return False
    for item in items:
        if item["inference_id"] not in results:
            log.warning("batch %s has no result for %s", batch.id, item["inference_id"])
    frames = [found[at : at + RESULTS_AT_ONCE] for at in range(0, len(found), RESULTS_AT_ONCE)]
    table = "JsonInference" if function.type == "json" else "ChatInference"
    position: object = None
    for frame in frames:
        rows: list[Row] = []
        for item in frame:
            result = results[item["inference_id"]]
            rows += _rows(batch, route, item, result, answer.finished_at_ms, services)
        if rows and not await _written(table, frame, services):
            position = append(rows, services)
            for item in frame:
                services.recorder.remember(item["inference_id"], item["episode_id"])
                services.metrics.tokens(results[item["inference_id"]].usage)
        await asyncio.sleep(0)
    # A batch that is seen to be completed is complete.
    await confirmed(position, services)
    return True


async def _written(table: str, frame: list[dict[str, Any]], services: Services) -> bool:
    """Whether a frame is on its way to the database, or there. It is asked in this order: rows
    go from the one to the other."""
    ids = [item["inference_id"] for item in frame]
    if await _on_its_way(ids, services):
        return True
    rows = await services.reads.query(
        f"SELECT count() AS found FROM {table} WHERE function_name = {{function:String}} "
        "AND variant_name = {variant:String} AND id IN {ids:Array(UUID)}",
        {
            "function": frame[0]["function_name"],
            "variant": frame[0]["variant_name"],
            "ids": ids,
        },
    )
    return int(rows[0]["found"]) > 0


async def _on_its_way(ids: list[str], services: Services) -> bool:
    """Whether any of these waits in a spool. Raises ``ClickHouseConnection`` when that cannot be
    told: a shipper that has just been started, or a spool that is too full to be searched."""
    ends = time.monotonic() + _SEARCH_S
    while True:
        waiting, complete = await services.recorder.find_waiting("inference", ids)
        if waiting or complete:
            return bool(waiting)
        if time.monotonic() > ends:
            raise ClickHouseConnection(
                "What of the batch is on its way to the database cannot be told; poll again"
            )
        await asyncio.sleep(_SEARCH_AGAIN_S)


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
