"""Batches as they are recorded: their newest status, their inputs, their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import orjson

from tensorzero.gateway.database import Row
from tensorzero.gateway.services import Services
from tensorzero.types.batch import BatchStatus
from tensorzero.types.errors import UnknownFunction
from tensorzero.types.errors.batch import (
    BatchInferenceNotFound,
    BatchNotFound,
    InvalidBatchParams,
)

_BATCH = (
    "SELECT batch_params, model_name, model_provider_name, status, function_name, variant_name, "
    "toString(snapshot_hash) AS hash FROM BatchRequest WHERE batch_id = {batch:UUID} "
    # A status that is final stays.
    "ORDER BY status = 'pending', toUInt128(id) DESC LIMIT 1"
)
_OF_BATCH = (
    "SELECT count() AS found FROM BatchIdByInferenceId "
    "WHERE inference_id = {inference:UUID} AND batch_id = {batch:UUID}"
)
_ITEMS = (
    "SELECT toString(inference_id) AS inference_id, function_name, variant_name, "
    "toString(episode_id) AS episode_id, input, input_messages, system, tool_params, "
    "inference_params, raw_request, output_schema, tags, dynamic_tools, dynamic_provider_tools, "
    "allowed_tools, tool_choice, parallel_tool_calls FROM BatchModelInference "
    "WHERE batch_id = {batch:UUID} ORDER BY toUInt128(BatchModelInference.inference_id) "
    "LIMIT 1 BY BatchModelInference.inference_id"
)
_CHOSEN = (
    "SELECT inference_id FROM BatchModelInference WHERE batch_id = {batch:UUID} "
    "AND ({inference:Nullable(UUID)} IS NULL OR inference_id = {inference:Nullable(UUID)})"
)
_ANSWERS = (
    "SELECT toString(i.id) AS inference_id, toString(i.episode_id) AS episode_id, "
    "i.variant_name AS variant_name, i.output AS output, m.input_tokens AS input_tokens, "
    "m.output_tokens AS output_tokens, m.cache_read AS cache_read, m.cache_write AS cache_write, "
    "toFloat64(m.cost) AS cost, m.finish_reason AS finish_reason "
    "FROM (SELECT id, episode_id, variant_name, output FROM {table} "
    "WHERE function_name = {{function:String}} AND variant_name = {{variant:String}} "
    "AND id IN ({chosen}) LIMIT 1 BY id) AS i LEFT JOIN ("
    "SELECT inference_id, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, "
    "sum(provider_cache_read_input_tokens) AS cache_read, "
    "sum(provider_cache_write_input_tokens) AS cache_write, sum(cost) AS cost, "
    "argMax(toString(finish_reason), toUInt128(id)) AS finish_reason FROM ("
    # A result that two hosts have written is one result.
    "SELECT * FROM ModelInference WHERE inference_id IN ({chosen}) LIMIT 1 BY id) "
    "GROUP BY inference_id) AS m ON m.inference_id = i.id ORDER BY toUInt128(i.id)"
)


@dataclass(slots=True)
class StoredBatch:
    """The newest row of a batch."""

    id: str
    status: BatchStatus
    params: dict[str, Any]
    model_name: str
    provider_name: str
    function_name: str
    variant_name: str
    snapshot_hash: str | None


async def find_batch(batch_id: str, inference_id: str | None, services: Services) -> StoredBatch:
    """Raises ``BatchNotFound``, also when ``inference_id`` is none of the batch's."""
    if inference_id is not None:
        ids = {"inference": inference_id, "batch": batch_id}
        rows = await services.reads.query(_OF_BATCH, ids)
        if int(rows[0]["found"]) == 0:
            raise BatchNotFound(inference_id)
    rows = await services.reads.query(_BATCH, {"batch": batch_id})
    if not rows:
        raise BatchNotFound(inference_id or batch_id)
    row = rows[0]
    try:
        params = orjson.loads(row["batch_params"])
    except ValueError as error:
        raise InvalidBatchParams(str(error)) from None
    if type(params) is not dict:
        raise InvalidBatchParams("they are no object")
    return StoredBatch(
        batch_id,
        cast(BatchStatus, row["status"]),
        params,
        row["model_name"],
        row["model_provider_name"],
        row["function_name"],
        row["variant_name"],
        row["hash"],
    )


async def find_items(batch_id: str, services: Services) -> list[Row]:
    """The inputs of a batch, in their order."""
    return await services.reads.query(_ITEMS, {"batch": batch_id})


async def completed_answer(
    batch: StoredBatch, inference_id: str | None, services: Services
) -> dict[str, Any]:
    """The answer of a completed batch, from what is recorded. Raises ``UnknownFunction``,
    ``BatchInferenceNotFound``."""
    function = services.config.functions.get(batch.function_name)
    if function is None:
        raise UnknownFunction(batch.function_name)
    is_json = function.type == "json"
    table = "JsonInference" if is_json else "ChatInference"
    rows = await services.reads.query(
        _ANSWERS.format(table=table, chosen=_CHOSEN),
        {
            "function": batch.function_name,
            "variant": batch.variant_name,
            "batch": batch.id,
            "inference": inference_id,
        },
        {"join_use_nulls": "1"},
    )
    if inference_id is not None and not rows:
        raise BatchInferenceNotFound(inference_id)
    content = "output" if is_json else "content"
    return {
        "status": "completed",
        "batch_id": batch.id,
        "inferences": [_answer(row, content) for row in rows],
    }


def _answer(row: Row, content: str) -> dict[str, Any]:
    """An item, as ``POST /inference`` answers."""
    usage = {
        "input_tokens": _number(row["input_tokens"]),
        "output_tokens": _number(row["output_tokens"]),
    }
    for name, column in (("read", "cache_read"), ("write", "cache_write")):
        if row[column] is not None:
            usage[f"provider_cache_{name}_input_tokens"] = _number(row[column])
    usage["cost"] = row["cost"]
    return {
        "inference_id": row["inference_id"],
        "episode_id": row["episode_id"],
        "variant_name": row["variant_name"],
        content: orjson.Fragment(row["output"]),
        "usage": usage,
        "finish_reason": row["finish_reason"],
    }


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
