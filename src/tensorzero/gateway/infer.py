"""``infer``: one inference from request to a complete answer and rows.

An inference belongs to no connection: it runs to its end and is recorded whether or not its
caller is still there.
"""

from __future__ import annotations

from tensorzero.gateway.answer import Answer, raw_response_entries, raw_usage_entries
from tensorzero.gateway.attempts import run_variants
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.record import function_output, record
from tensorzero.types.usage import total_usage
from tensorzero.variants.chat_completion import VariantResult


async def infer(inference: Inference) -> Answer:
    """Run to a complete answer and record it; raises ``GatewayError``."""
    name, result, failed_variants = await run_variants(inference, stream=False)
    if not isinstance(result, VariantResult):
        raise TypeError("a variant streamed where it should not")
    results = result.results
    last = results[-1].response
    output = function_output(inference, last)
    usage = total_usage([entry.response.usage for entry in results])
    await record(inference, name, output, results, result.params, None)
    answer = Answer(inference, name, output, usage, last.finish_reason)
    request = inference.request
    if request.wants_raw_data:
        if request.include_raw_usage:
            answer.raw_usage = raw_usage_entries(results)
        if request.include_original_response:
            answer.original_response = last.raw_response
        if request.include_raw_response:
            answer.raw_response = raw_response_entries(results, failed_variants + result.failed_raw)
    return answer
