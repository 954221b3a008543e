"""Complete answers as chat completions (the contract's page, 7).

``logprobs``, ``refusal`` and ``annotations`` are written although the contract does without them:
OpenAI's schema demands the first two, and clients that validate look for them.
"""

from __future__ import annotations

from time import time
from typing import Any

import orjson

from tensorzero.api.openai.request import ChatCompletionRequest
from tensorzero.functions.output import JsonOutput
from tensorzero.gateway.answer import Answer
from tensorzero.types.content import ChatBlock, CheckedToolCall, Text
from tensorzero.types.usage import FinishReason, Usage

FINISH_REASONS: dict[FinishReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_call": "tool_calls",
    "content_filter": "content_filter",
    "unknown": "stop",
}


def chat_completion(answer: Answer) -> bytes:
    """The answer's body."""
    inference = answer.inference
    request = inference.request
    if not isinstance(request, ChatCompletionRequest):
        raise TypeError("an answer to a request of another face")
    output = answer.output
    message: dict[str, Any] = {
        "role": "assistant",
        "content": output.raw if isinstance(output, JsonOutput) else None,
        "refusal": None,
        "annotations": [],
    }
    if not isinstance(output, JsonOutput):
        _add_content(message, output)
    reason = answer.finish_reason
    body: dict[str, Any] = {
        "id": inference.id,
        "episode_id": inference.episode_id,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop" if reason is None else FINISH_REASONS[reason],
                "logprobs": None,
                "message": message,
            }
        ],
        "created": int(time()),
        "model": request.model(answer.variant_name),
        "system_fingerprint": "",
        "service_tier": None,
        "object": "chat.completion",
        "usage": usage_json(answer.usage),
    }
    if request.wants_raw_data:
        _add_raw_data(body, answer)
    return orjson.dumps(body)


def _add_content(message: dict[str, Any], blocks: list[ChatBlock]) -> None:
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    extra: list[dict[str, Any]] = []
    for at, block in enumerate(blocks):
        if isinstance(block, Text):
            texts.append(block.text)
        elif isinstance(block, CheckedToolCall):
            function = {"name": block.raw_name, "arguments": block.raw_arguments}
            calls.append({"id": block.id, "type": "function", "function": function})
        else:
            fields = block.to_json()
            extra.append({"type": fields.pop("type"), "insert_index": at, **fields})
    if texts:
        message["content"] = texts[0] if len(texts) == 1 else "".join(texts)
    if calls:
        message["tool_calls"] = calls
    if extra:
        message["tensorzero_extra_content"] = extra


def _add_raw_data(body: dict[str, Any], answer: Answer) -> None:
    if answer.raw_usage is not None:
        body["tensorzero_raw_usage"] = answer.raw_usage
    if answer.raw_response is not None:
        body["tensorzero_raw_response"] = answer.raw_response
    if answer.original_response is not None:
        body["tensorzero_original_response"] = answer.original_response


def usage_json(usage: Usage) -> dict[str, Any]:
    """``usage``: token counts where they are known."""
    out: dict[str, Any] = {}
    given, made = usage.input_tokens, usage.output_tokens
    if given is not None:
        out["prompt_tokens"] = given
    if made is not None:
        out["completion_tokens"] = made
        if given is not None:
            out["total_tokens"] = given + made
    if usage.provider_cache_read_input_tokens is not None:
        out["prompt_tokens_details"] = {"cached_tokens": usage.provider_cache_read_input_tokens}
    if usage.provider_cache_write_input_tokens is not None:
        out["tensorzero_provider_cache_write_input_tokens"] = (
            usage.provider_cache_write_input_tokens
        )
    out["tensorzero_cost"] = None if usage.cost is None else float(usage.cost)
    return out
