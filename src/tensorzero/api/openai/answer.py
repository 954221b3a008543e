"""Complete answers as chat completions (the contract's page, 7).

``logprobs``, ``refusal`` and ``annotations`` are written although the contract does without them:
OpenAI's schema demands the first two, and clients that validate look for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import time
from typing import Any

import orjson

from tensorzero.api.openai.request import ChatCompletionRequest
from tensorzero.functions.output import JsonOutput
from tensorzero.gateway.answer import Answer
from tensorzero.types.content import ChatBlock, CheckedToolCall, Text
from tensorzero.types.usage import FinishReason, Usage

FINISH_REASONS: dict[FinishReason, bytes] = {
    "stop": b"stop",
    "stop_sequence": b"stop",
    "length": b"length",
    "tool_call": b"tool_calls",
    "content_filter": b"content_filter",
    "unknown": b"stop",
}


def chat_completion(answer: Answer) -> bytes:
    """The answer's body."""
    inference = answer.inference
    request = inference.request
    if not isinstance(request, ChatCompletionRequest):
        raise TypeError("an answer to a request of another face")
    reason = answer.finish_reason
    # Ids are UUIDs: they need no escaping.
    parts = [
        b'{"id":"',
        inference.id.encode(),
        b'","episode_id":"',
        inference.episode_id.encode(),
        b'","choices":[{"index":0,"finish_reason":"',
        b"stop" if reason is None else FINISH_REASONS[reason],
        b'","logprobs":null,"message":',
        _message(answer.output),
        b'}],"created":%d,"model":' % time(),
        orjson.dumps(request.model(answer.variant_name)),
        b',"system_fingerprint":"","service_tier":null,"object":"chat.completion","usage":',
        orjson.dumps(usage_json(answer.usage)),
    ]
    if request.wants_raw_data:
        for name, value in _raw_data(answer):
            parts.append(b',"%b":' % name)
            parts.append(orjson.dumps(value))
    parts.append(b"}")
    return b"".join(parts)


def _message(output: list[ChatBlock] | JsonOutput) -> bytes:
    content: str | None = None
    rest = b"}"
    if isinstance(output, JsonOutput):
        content = output.raw
    elif len(output) == 1 and type(output[0]) is Text:
        content = output[0].text
    else:
        content, fields = _content(output)
        if fields:
            rest = b"," + orjson.dumps(fields)[1:]
    return (
        b'{"role":"assistant","content":'
        + orjson.dumps(content)
        + b',"refusal":null,"annotations":[]'
        + rest
    )


def _content(blocks: list[ChatBlock]) -> tuple[str | None, dict[str, Any]]:
    """The text, and the further fields of the message."""
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
    found: dict[str, Any] = {}
    if calls:
        found["tool_calls"] = calls
    if extra:
        found["tensorzero_extra_content"] = extra
    return "".join(texts) if texts else None, found


def _raw_data(answer: Answer) -> Iterator[tuple[bytes, Any]]:
    if answer.raw_usage is not None:
        yield b"tensorzero_raw_usage", answer.raw_usage
    if answer.raw_response is not None:
        yield b"tensorzero_raw_response", answer.raw_response
    if answer.original_response is not None:
        yield b"tensorzero_original_response", answer.original_response


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
