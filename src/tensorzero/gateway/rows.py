"""Rows of an inference as ``ChatInference``, ``JsonInference`` and ``ModelInference`` hold them.

Columns and their texts: the contract's data model, sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tensorzero.functions.output import JsonOutput
from tensorzero.types.content import ChatBlock, Input
from tensorzero.types.extra import ExtraBody
from tensorzero.types.model import ModelResult
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import ToolCallConfig

CHAT_INFERENCE = b"ChatInference"
JSON_INFERENCE = b"JsonInference"
MODEL_INFERENCE = b"ModelInference"


def text(value: Any) -> str:
    """Compact JSON text."""
    return orjson.dumps(value).decode()


def _params_json(params: ChatCompletionParams) -> dict[str, Any]:
    return {"chat_completion": params.to_json()}


class InferenceRow:
    """The columns that chat and json inferences share, and what is the type's own."""

    __slots__ = ("columns",)

    def __init__(
        self,
        *,
        inference_id: str,
        function_name: str,
        variant_name: str,
        episode_id: str,
        given: Input,
        params: ChatCompletionParams,
        processing_time_ms: int,
        ttft_ms: int | None,
        tags: Mapping[str, str],
        extra_body: Sequence[ExtraBody],
        snapshot_hash: str,
    ) -> None:
        self.columns: dict[str, Any] = {
            "id": inference_id,
            "function_name": function_name,
            "variant_name": variant_name,
            "episode_id": episode_id,
            "input": text(given.to_json()),
            "inference_params": text(_params_json(params)),
            "processing_time_ms": processing_time_ms,
            "ttft_ms": ttft_ms,
            "tags": tags,
            "extra_body": text([entry.to_json() for entry in extra_body]) if extra_body else "[]",
            "snapshot_hash": snapshot_hash,
        }

    def chat(self, output: Sequence[ChatBlock], tools: ToolCallConfig | None) -> bytes:
        columns = self.columns
        columns["output"] = text([block.to_json() for block in output])
        if tools is None:
            columns["tool_params"] = ""
        else:
            columns.update(_tool_columns(tools))
        return orjson.dumps(columns)

    def json(self, output: JsonOutput, schema: JSONSchema) -> bytes:
        columns = self.columns
        columns["output"] = text(output.to_json())
        columns["output_schema"] = schema.text
        auxiliary = output.auxiliary
        columns["auxiliary_content"] = (
            text([block.to_json() for block in auxiliary]) if auxiliary else "[]"
        )
        return orjson.dumps(columns)


def _tool_columns(tools: ToolCallConfig) -> dict[str, Any]:
    choice = tools.tool_choice
    return {
        "tool_params": text(
            {
                "tools_available": [tool.to_legacy_json() for tool in tools.tools],
                "tool_choice": choice,
                "parallel_tool_calls": tools.parallel_tool_calls,
            }
        ),
        "dynamic_tools": [text(tool.to_json()) for tool in tools.dynamic_tools]
        + [text(tool.to_json()) for tool in tools.custom_tools],
        "dynamic_provider_tools": [text(tool.to_json()) for tool in tools.provider_tools],
        "allowed_tools": text(tools.allowed_tools.to_json()),
        "tool_choice": choice if isinstance(choice, str) else text(choice),
        "parallel_tool_calls": tools.parallel_tool_calls,
    }


def model_row(
    result: ModelResult,
    *,
    inference_id: str,
    function_name: str,
    variant_name: str,
    snapshot_hash: str,
) -> bytes:
    """One ``ModelInference`` row. Zero tokens are stored as NULL, as the reference does."""
    response = result.response
    usage = response.usage
    cost: float | None = None
    if usage.cost is not None:
        cost = float(usage.cost)
    columns: dict[str, Any] = {
        "id": response.id,
        "inference_id": inference_id,
        "function_name": function_name,
        "variant_name": variant_name,
        "raw_request": response.raw_request,
        "raw_response": response.raw_response,
        "model_name": result.model_name,
        "model_provider_name": result.provider_name,
        "input_tokens": usage.input_tokens or None,
        "output_tokens": usage.output_tokens or None,
        "response_time_ms": response.response_time_ms,
        "ttft_ms": response.ttft_ms,
        "system": response.system,
        "input_messages": text([message.to_json() for message in response.messages]),
        "output": text([block.to_json() for block in response.output]),
        "cached": result.cached,
        "finish_reason": response.finish_reason,
        "snapshot_hash": snapshot_hash,
        "cost": cost,
    }
    if usage.provider_cache_read_input_tokens is not None:
        columns["provider_cache_read_input_tokens"] = usage.provider_cache_read_input_tokens
    if usage.provider_cache_write_input_tokens is not None:
        columns["provider_cache_write_input_tokens"] = usage.provider_cache_write_input_tokens
    return orjson.dumps(columns)
