"""Complete answers of an inference."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tensorzero.functions.output import JsonOutput
from tensorzero.gateway.inference import Inference
from tensorzero.types.content import ChatBlock, Text
from tensorzero.types.model import ModelResult
from tensorzero.types.usage import FinishReason, RawResponse, Usage
from tzcore.answers import AnswerWriter

_WRITER = AnswerWriter(Text)
"""Holds nothing but its scratch buffer."""


class Answer(Struct):
    """A complete answer; the raw data is there when it was asked for."""

    inference: Inference
    variant_name: str
    output: list[ChatBlock] | JsonOutput
    usage: Usage
    finish_reason: FinishReason | None
    raw_usage: list[dict[str, Any]] | None = None
    original_response: str | None = None
    raw_response: list[dict[str, Any]] | None = None

    def to_native(self) -> bytes:
        """The body of ``POST /inference``."""
        inference, output = self.inference, self.output
        head = (inference.id, inference.episode_id, self.variant_name)
        extra = self._extra() if inference.request.wants_raw_data else None
        if isinstance(output, JsonOutput):
            return _WRITER.json(
                *head, output.raw, output.parsed, self.usage, extra, self.finish_reason
            )
        return _WRITER.chat(*head, output, self.usage, extra, self.finish_reason)

    def _extra(self) -> dict[str, Any]:
        fields = {
            "raw_usage": self.raw_usage,
            "original_response": self.original_response,
            "raw_response": self.raw_response,
        }
        return {name: value for name, value in fields.items() if value is not None}


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
