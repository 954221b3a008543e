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
from tensorzero.types.usage import FinishReason
from tzcore.completions import CompletionWriter

WRITER = CompletionWriter()

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
    output = answer.output
    content: str | None = None
    message_end = b"}"
    if isinstance(output, JsonOutput):
        content = output.raw
    elif len(output) == 1 and type(output[0]) is Text:
        content = output[0].text
    else:
        content, fields = _content(output)
        if fields:
            message_end = b"," + orjson.dumps(fields)[1:]
    reason = answer.finish_reason
    return WRITER.write(
        inference.id,
        inference.episode_id,
        b"stop" if reason is None else FINISH_REASONS[reason],
        content,
        message_end,
        int(time()),
        request.model(answer.variant_name),
        answer.usage,
        _raw_data(answer) if request.wants_raw_data else None,
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


def _raw_data(answer: Answer) -> dict[str, Any]:
    fields = {
        "tensorzero_raw_usage": answer.raw_usage,
        "tensorzero_raw_response": answer.raw_response,
        "tensorzero_original_response": answer.original_response,
    }
    return {name: value for name, value in fields.items() if value is not None}
