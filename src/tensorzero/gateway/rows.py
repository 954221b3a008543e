"""Rows of an inference as ``ChatInference``, ``JsonInference`` and ``ModelInference`` hold them.

Columns and their texts: the contract's data model, sections 6 and 7.
"""

from __future__ import annotations

from typing import Any

import orjson

from tensorzero.functions.output import JsonOutput
from tensorzero.gateway.inference import Inference
from tensorzero.types.content import ChatBlock, Input, Text
from tensorzero.types.model import ModelResult
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.tools import ToolCallConfig
from tzcore.rows import RowWriter

CHAT_INFERENCE = b"ChatInference"
JSON_INFERENCE = b"JsonInference"
MODEL_INFERENCE = b"ModelInference"

_WRITER = RowWriter(Text)
"""Holds nothing but its scratch buffers."""


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def inference_row(
    inference: Inference,
    *,
    given: Input,
    variant_name: str,
    output: list[ChatBlock] | JsonOutput,
    params: ChatCompletionParams,
    processing_time_ms: int,
    ttft_ms: int | None,
) -> tuple[bytes, bytes]:
    """The row of the inference itself, with the table that takes it."""
    request = inference.request
    extra_body = "[]"
    if request.extra_body:
        extra_body = _text([entry.to_json() for entry in request.extra_body])
    shared = (
        inference.id,
        inference.function.name,
        variant_name,
        inference.episode_id,
        given,
        params.row_text(),
        processing_time_ms,
        ttft_ms,
        inference.tags,
        extra_body,
        inference.services.config.snapshot.hash,
    )
    if isinstance(output, JsonOutput):
        return JSON_INFERENCE, _WRITER.json(
            *shared, _text(output.to_json()), inference.answer_schema().text, output.auxiliary
        )
    tools = None if inference.tools is None else tool_columns(inference.tools)
    return CHAT_INFERENCE, _WRITER.chat(*shared, output, tools)


def model_row(inference: Inference, variant_name: str, result: ModelResult) -> tuple[bytes, bytes]:
    """One ``ModelInference`` row. Zero tokens are stored as NULL, as the reference does."""
    response = result.response
    cost = response.usage.cost
    return MODEL_INFERENCE, _WRITER.model(
        inference.id,
        inference.function.name,
        variant_name,
        inference.services.config.snapshot.hash,
        result.model_name,
        result.provider_name,
        result.cached,
        response,
        None if cost is None else float(cost),
    )


def tool_columns(tools: ToolCallConfig) -> dict[str, Any]:
    """The columns of a chat row that say what a call offers."""
    choice = tools.tool_choice
    return {
        "tool_params": _text(
            {
                "tools_available": [tool.to_legacy_json() for tool in tools.tools],
                "tool_choice": choice,
                "parallel_tool_calls": tools.parallel_tool_calls,
            }
        ),
        "dynamic_tools": [_text(tool.to_json()) for tool in tools.dynamic_tools]
        + [_text(tool.to_json()) for tool in tools.custom_tools],
        "dynamic_provider_tools": [_text(tool.to_json()) for tool in tools.provider_tools],
        "allowed_tools": _text(tools.allowed_tools.to_json()),
        "tool_choice": choice if isinstance(choice, str) else _text(choice),
        "parallel_tool_calls": tools.parallel_tool_calls,
    }
