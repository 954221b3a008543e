"""What an inference leaves behind: its output in the function's form, and its rows."""

from __future__ import annotations

from time import monotonic

from tensorzero.functions.output import JsonOutput, chat_output, json_output
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.rows import inference_row, model_row
from tensorzero.types.content import ChatBlock, Input
from tensorzero.types.model import ModelResult, ProviderResponse
from tensorzero.types.params import ChatCompletionParams


def function_output(
    inference: Inference, response: ProviderResponse
) -> list[ChatBlock] | JsonOutput:
    if inference.function.type == "json":
        return json_output(response.output, inference.answer_schema())
    return chat_output(response.output, inference.tools, implicit_tool=inference.implicit_tool)


async def record(
    inference: Inference,
    variant_name: str,
    output: list[ChatBlock] | JsonOutput,
    results: list[ModelResult],
    params: ChatCompletionParams,
    ttft_ms: int | None,
) -> object | None:
    """Count it, and append its rows; returns where they are."""
    services = inference.services
    given = inference.request.input
    if inference.files is not None and services.records and not inference.request.dryrun:
        await inference.files.store_all(given)
        given = Input(inference.files.recorded(given.messages), given.system)
        for result in results:
            result.response.messages = inference.files.recorded(result.response.messages)
    position = append(inference, given, variant_name, output, results, params, ttft_ms)
    if services.waits_for_database:
        await services.recorder.flushed(position)
    return position


def append(
    inference: Inference,
    given: Input,
    variant_name: str,
    output: list[ChatBlock] | JsonOutput,
    results: list[ModelResult],
    params: ChatCompletionParams,
    ttft_ms: int | None,
) -> object | None:
    """``record`` where nothing has to be waited for. ``given``: the input as it is stored."""
    services = inference.services
    for result in results:
        if not result.cached:
            services.metrics.tokens(result.response.usage)
    if not services.records or inference.request.dryrun:
        return None
    row = inference_row(
        inference,
        given=given,
        variant_name=variant_name,
        output=output,
        params=params,
        processing_time_ms=int((monotonic() - inference.received_at) * 1000),
        ttft_ms=ttft_ms,
    )
    rows = [row, *(model_row(inference, variant_name, result) for result in results)]
    position = services.recorder.append(rows)
    if position is not None:
        services.recorder.remember(inference.id, inference.episode_id)
    return position
