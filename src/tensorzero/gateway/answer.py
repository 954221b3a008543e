"""Answers and chunks of an inference in their wire form."""

from __future__ import annotations

from typing import Any

from tensorzero.functions.output import JsonOutput
from tensorzero.types.content import ChatBlock
from tensorzero.types.model import ModelResult
from tensorzero.types.usage import FinishReason, RawResponse, Usage


def head(inference_id: str, episode_id: str, variant_name: str) -> dict[str, Any]:
    """The ids that every answer and every chunk starts with."""
    return {
        "inference_id": inference_id,
        "episode_id": episode_id,
        "variant_name": variant_name,
    }


def output_fields(output: list[ChatBlock] | JsonOutput) -> dict[str, Any]:
    if isinstance(output, JsonOutput):
        return {"output": output.to_json()}
    return {"content": [block.to_json() for block in output]}


def raw_usage_entries(results: list[ModelResult]) -> list[dict[str, Any]]:
    return [
        result.response.raw_usage.to_json()
        for result in results
        if not result.cached and result.response.raw_usage is not None
    ]


def raw_response_entries(
    results: list[ModelResult], failed: list[RawResponse]
) -> list[dict[str, Any]]:
    """Failed attempts first, then the successful calls."""
    entries = [raw.to_json() for raw in failed]
    for result in results:
        if not result.cached:
            entries.append(
                RawResponse(
                    result.provider_type,
                    "chat_completions",
                    result.response.raw_response,
                    result.response.id,
                ).to_json()
            )
    return entries


def final_fields(usage: Usage, finish_reason: FinishReason | None) -> dict[str, Any]:
    out: dict[str, Any] = {"usage": usage.to_json()}
    if finish_reason is not None:
        out["finish_reason"] = finish_reason
    return out
