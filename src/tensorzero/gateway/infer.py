"""``infer``: one inference from request to a complete answer and rows.

An inference belongs to no connection: it runs to its end and is recorded whether or not its
caller is still there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorzero.gateway import answer
from tensorzero.gateway.attempts import run_variants
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.record import function_output, record
from tensorzero.types.usage import total_usage
from tensorzero.variants.chat_completion import VariantResult


@dataclass(slots=True)
class Answer:
    """A complete answer, and where its rows are."""

    body: dict[str, Any]
    position: object | None


async def infer(inference: Inference) -> Answer:
    """Run to a complete answer and record it; raises ``GatewayError``."""
    name, result, failed_variants = await run_variants(inference, stream=False)
    if not isinstance(result, VariantResult):
        raise TypeError("a variant streamed where it should not")
    request = inference.request
    results = result.results
    last = results[-1].response
    output = function_output(inference, last)
    body = answer.head(inference.id, inference.episode_id, name)
    body.update(answer.output_fields(output))
    usage = total_usage([entry.response.usage for entry in results])
    body["usage"] = usage.to_json()
    if request.include_raw_usage:
        body["raw_usage"] = answer.raw_usage_entries(results)
    if request.include_original_response:
        body["original_response"] = last.raw_response
    if request.include_raw_response:
        body["raw_response"] = answer.raw_response_entries(
            results, failed_variants + result.failed_raw
        )
    if last.finish_reason is not None:
        body["finish_reason"] = last.finish_reason
    position = await record(inference, name, output, results, result.params, None)
    return Answer(body, position)
