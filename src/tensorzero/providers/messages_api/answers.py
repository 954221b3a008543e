"""Complete answers of the Messages API."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Literal

import orjson
from msgspec import Meta, Struct
from msgspec.json import Decoder

from tensorzero.providers.commonest import OTHER_FORM, CommonUsage
from tensorzero.providers.http import Answer
from tensorzero.providers.messages_api.figures import read_stop_reason, read_usage
from tensorzero.types.content import OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.model import Attempt

log = logging.getLogger(__name__)


class _Text(Struct, gc=False):
    type: Literal["text"]
    text: str


class _Message(Struct, gc=False):
    content: Annotated[list[_Text], Meta(min_length=1, max_length=1)]
    usage: CommonUsage = None
    stop_reason: str | None = None


_decode = Decoder(_Message).decode


def read_plain_answer(body: bytes) -> Answer | None:
    """An answer that is one text, read without its other parts; ``None`` for any other."""
    try:
        message = _decode(body)
    except OTHER_FORM:
        return None
    usage, reason = message.usage, read_stop_reason(message.stop_reason)
    return Answer([Text(message.content[0].text)], read_usage(usage), usage, reason)


def read_answer(body: Any, attempt: Attempt, provider_type: str) -> Answer:
    """Any answer. Raises ``ValueError``."""
    content = body.get("content") if isinstance(body, dict) else None
    if not isinstance(content, list):
        raise ValueError("missing field `content`")
    output = [
        read_block(block, provider_type)
        or Unknown(block, attempt.model_name, attempt.provider_name)
        for block in content
    ]
    usage = body.get("usage")
    return Answer(output, read_usage(usage), usage, read_stop_reason(body.get("stop_reason")))


def read_block(block: Any, provider_type: str) -> OutputBlock | None:
    """A block of the content, ``None`` for one of another type or with missing fields."""
    if not isinstance(block, dict):
        return None
    match block.get("type"):
        case "text" if isinstance(block.get("text"), str):
            return Text(block["text"])
        case "tool_use":
            call_id, name = block.get("id"), block.get("name")
            if isinstance(call_id, str) and isinstance(name, str) and "input" in block:
                return ToolCall(call_id, name, orjson.dumps(block["input"]).decode())
        case "thinking":
            text, signature = block.get("thinking"), block.get("signature")
            if isinstance(text, str) and isinstance(signature, str | None):
                return Thought(text, signature, provider_type=provider_type)
        case "redacted_thinking" if isinstance(block.get("data"), str):
            return Thought(None, block["data"], provider_type=provider_type)
    return None


def restore_prefill(output: list[OutputBlock], vendor: str) -> None:
    """Put the brace with which the answer was begun for the model before its first text."""
    texts = [block for block in output if isinstance(block, Text)]
    if not texts:
        log.error("Expected a single text block in the response from %s", vendor)
        return
    first = texts[0]
    first.text = "{" + (first.text.strip() if len(texts) == 1 else first.text.lstrip())
