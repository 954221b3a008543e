"""Complete answers of the Responses API."""

from __future__ import annotations

from typing import Any

import orjson

from tensorzero.providers.chat_completions.answers import as_list, as_string, as_text
from tensorzero.providers.chat_completions.figures import count
from tensorzero.providers.http import Answer
from tensorzero.types.content import OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.model import Attempt
from tensorzero.types.usage import FinishReason, Usage

PROVIDER_TYPE = "openai"


def read_answer(body: Any, attempt: Attempt) -> Answer:
    """All items of ``output``; raises ``ValueError``."""
    if not isinstance(body, dict):
        raise ValueError("not an object")
    if body.get("error") is not None:
        raise ValueError(f"The response failed: {orjson.dumps(body['error']).decode()}")
    if "output" not in body:
        raise ValueError("missing field `output`")
    output: list[OutputBlock] = []
    for item in as_list(body["output"], "output"):
        output.extend(_read_item(item, attempt))
    usage = body.get("usage")
    return Answer(output, read_usage(usage), usage, finish_reason(body))


def _read_item(item: Any, attempt: Attempt) -> list[OutputBlock]:
    if not isinstance(item, dict):
        raise ValueError("an output item is not an object")
    kind = item.get("type")
    if kind == "message":
        return _read_message(item, attempt)
    if kind in ("function_call", "custom_tool_call"):
        given = item.get("arguments" if kind == "function_call" else "input")
        name = as_string(item.get("name"), "name")
        call_id = as_string(item.get("call_id"), "call_id")
        return [ToolCall(call_id, name, as_string(given, "arguments"))]
    if kind == "reasoning":
        summary = [
            {"type": "summary_text", "text": as_string(part.get("text"), "text")}
            for part in as_list(item.get("summary") or [], "summary")
        ]
        signature = as_text(item.get("encrypted_content"), "encrypted_content")
        return [Thought(None, signature, summary, PROVIDER_TYPE)]
    return [Unknown(item, attempt.model_name, attempt.provider_name)]


def _read_message(item: dict[str, Any], attempt: Attempt) -> list[OutputBlock]:
    if item.get("role") != "assistant":
        raise ValueError(f"a message of role {item.get('role')!r}, expected `assistant`")
    parts = as_list(item.get("content"), "content")
    kinds = [part.get("type") if isinstance(part, dict) else None for part in parts]
    known = ("output_text", "input_text", "input_image", "input_file")
    if any(kind not in known for kind in kinds):  # a refusal, or what is newer than this reader
        return [Unknown(item, attempt.model_name, attempt.provider_name)]
    for kind in kinds:
        if kind != "output_text":
            raise ValueError(f"a message of an assistant holds `{kind}`")
    return [Text(as_string(part.get("text"), "text")) for part in parts]


def read_usage(value: Any) -> Usage:
    """``usage`` of a response; missing figures stay unknown."""
    if not isinstance(value, dict):
        return Usage()
    details = value.get("input_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(count(value.get("input_tokens")), count(value.get("output_tokens")), count(cached))


def finish_reason(response: dict[str, Any]) -> FinishReason | None:
    """``length`` for an answer that ran into its limit; the API says nothing else."""
    details = response.get("incomplete_details")
    ran_out = isinstance(details, dict) and details.get("reason") == "max_output_tokens"
    return "length" if ran_out else None
