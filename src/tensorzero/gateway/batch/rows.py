"""Rows of batches: ``BatchModelInference``, ``BatchRequest``, and of their results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from blake3 import blake3

from tensorzero.functions.output import JsonOutput
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.rows import inference_row, model_row, tool_columns
from tensorzero.models.batch import ModelBatch
from tensorzero.types.batch import BatchStatus
from tensorzero.types.content import ChatBlock, Input
from tensorzero.types.model import ModelRequest, ModelResult
from tensorzero.types.params import ChatCompletionParams
from tzcore.uuid7 import uuid7

Row = tuple[bytes, bytes]
_TIMES = ("processing_time_ms", "response_time_ms", "ttft_ms")


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def item_row(
    inference: Inference,
    request: ModelRequest,
    params: ChatCompletionParams,
    batch_id: str,
    variant_name: str,
    batch: ModelBatch,
    raw_request: str,
) -> Row:
    """One input of a batch, with the table that takes it."""
    given, messages = inference.request.input, request.messages
    if inference.files is not None:
        given = Input(inference.files.recorded(given.messages), given.system)
        messages = inference.files.recorded(messages)
    row: dict[str, Any] = {
        "inference_id": inference.id,
        "batch_id": batch_id,
        "function_name": inference.function.name,
        "variant_name": variant_name,
        "episode_id": inference.episode_id,
        "input": _text(given.to_json()),
        "input_messages": _text([message.to_json() for message in messages]),
        "system": request.system,
        "inference_params": params.row_text(),
        "raw_request": raw_request,
        "model_name": batch.model_name,
        "model_provider_name": batch.provider_name,
        "tags": inference.tags,
        "snapshot_hash": inference.services.config.snapshot.hash,
    }
    if inference.function.type == "json":
        row["output_schema"] = inference.answer_schema().text
    if inference.tools is not None:
        row.update(tool_columns(inference.tools))
    return b"BatchModelInference", orjson.dumps(row)


def batch_row(
    batch_id: str,
    *,
    function_name: str,
    variant_name: str,
    model_name: str,
    provider_name: str,
    status: BatchStatus,
    params: dict[str, Any],
    raw_request: str,
    raw_response: str,
    snapshot_hash: str | None,
    errors: Sequence[str] = (),
) -> Row:
    """A status of a batch, with the table that takes it."""
    row: dict[str, Any] = {
        "batch_id": batch_id,
        "id": uuid7(),
        "batch_params": _text(params),
        "model_name": model_name,
        "model_provider_name": provider_name,
        "status": status,
        "function_name": function_name,
        "variant_name": variant_name,
        "raw_request": raw_request,
        "raw_response": raw_response,
        "snapshot_hash": snapshot_hash,
    }
    if errors:
        row["errors"] = list(errors)
    return b"BatchRequest", orjson.dumps(row)


def result_rows(
    inference: Inference,
    variant_name: str,
    output: list[ChatBlock] | JsonOutput,
    params: ChatCompletionParams,
    result: ModelResult,
    item: dict[str, Any],
) -> list[Row]:
    """The rows of an inference that a batch has answered. ``item`` is its row of
    ``BatchModelInference``: what was sent is told by it, word for word."""
    table, row = inference_row(
        inference,
        given=inference.request.input,
        variant_name=variant_name,
        output=output,
        params=params,
        processing_time_ms=0,
        ttft_ms=None,
    )
    model_table, of_model = model_row(inference, variant_name, result)
    sent = {"input_messages": item["input_messages"], "system": item["system"]}
    return [
        (table, _changed(row, {"input": item["input"]})),
        (model_table, _changed(of_model, sent)),
    ]


def _changed(row: bytes, columns: dict[str, Any]) -> bytes:
    """Nobody waited for a batch: its times are unknown."""
    fields = orjson.loads(row)
    fields.update((name, None) for name in _TIMES if name in fields)
    return orjson.dumps({**fields, **columns})


def model_inference_id(inference_id: str, finished_at_ms: int | None) -> str:
    """The id of a result's model row: the same whoever writes it, of the time when it was ready
    (else of the inference)."""
    digest = int.from_bytes(blake3(f"batch result {inference_id}".encode()).digest()[:10], "big")
    milliseconds = UUID(inference_id).int >> 80 if finished_at_ms is None else finished_at_ms
    random = digest & ~(0xF << 76 | 0x3 << 62) | 7 << 76 | 2 << 62
    return str(UUID(int=milliseconds << 80 | random))
