"""Answers and chunks of an inference in their wire form."""

from __future__ import annotations

from typing import Any

from tensorzero.functions.output import JsonOutput
from tensorzero.gateway.inference import Inference
from tensorzero.types.content import ChatBlock, Text
from tensorzero.types.model import ModelResult
from tensorzero.types.usage import FinishReason, RawResponse, Usage
from tzcore.answers import AnswerWriter

_WRITER = AnswerWriter(Text)
"""Holds nothing but its scratch buffer."""


def head(inference_id: str, episode_id: str, variant_name: str) -> dict[str, Any]:
    """The ids that every answer and every chunk starts with."""
    return {
        "inference_id": inference_id,
        "episode_id": episode_id,
        "variant_name": variant_name,
    }


def answer_body(
    inference: Inference,
    variant_name: str,
    output: list[ChatBlock] | JsonOutput,
    usage: Usage,
    extra: dict[str, Any] | None,
    finish_reason: FinishReason | None,
) -> bytes:
    """A complete answer; ``extra`` is the raw data that was asked for."""
    if isinstance(output, JsonOutput):
        return _WRITER.json(
            *(inference.id, inference.episode_id, variant_name, output.raw, output.parsed),
            *(usage, extra, finish_reason),
        )
    return _WRITER.chat(
        inference.id, inference.episode_id, variant_name, output, usage, extra, finish_reason
    )


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
