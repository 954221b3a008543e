"""Messages of a ``ModelRequest`` as Gemini's contents: blocks become parts."""

from __future__ import annotations

from typing import Any

import orjson

from tensorzero.providers.files import FileContents
from tensorzero.types.content import (
    Message,
    ModelBlock,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Unknown,
)
from tensorzero.types.files import File

ROLES = {"user": "user", "assistant": "model"}
SKIP_SIGNATURE = "skip_thought_signature_validator"
"""What Gemini 3 takes in place of the signature that a call in a history lacks."""

Part = dict[str, Any]


class UnsendableBlock(ValueError):
    """A block that no part can be made of. ``by_client``: its arguments are at fault, rather than
    its place."""

    def __init__(self, reason: str, *, by_client: bool = False) -> None:
        super().__init__(reason)
        self.by_client = by_client


def map_contents(
    messages: list[Message], files: FileContents, provider_type: str
) -> list[dict[str, Any]]:
    """Every message that has parts, in order; raises ``UnsendableBlock``."""
    contents = []
    for message in messages:
        parts = _map_parts(message.content, files, provider_type)
        if parts:
            contents.append({"role": ROLES[message.role], "parts": parts})
    return contents


def _map_parts(blocks: list[ModelBlock], files: FileContents, provider_type: str) -> list[Part]:
    parts: list[Part] = []
    # A signature belongs to the block after it.
    signature: str | None = None
    for block in blocks:
        if isinstance(block, Thought):
            if signature is not None:
                why = "cannot be followed by another thought block"
                _keep_signature(parts, signature, why, provider_type)
            signature = None
            if block.text is not None:
                parts.append(_thought(block.text, block.signature))
            else:
                signature = block.signature
            continue
        part = _map_block(block, files)
        if signature is not None and "thoughtSignature" not in part:
            part = {"thoughtSignature": signature, **part}
        signature = None
        parts.append(part)
    if signature is not None:
        why = "must be followed by a content block"
        _keep_signature(parts, signature, why, provider_type)
    _sign_calls(parts)
    return parts


def _thought(text: str, signature: str | None) -> Part:
    part: Part = {"thought": True}
    if signature is not None:
        part["thoughtSignature"] = signature
    part["text"] = text
    return part


def _keep_signature(parts: list[Part], signature: str, why: str, provider_type: str) -> None:
    """Of a signature with no block of its own: streams end with an empty text that has one."""
    if not parts:
        raise UnsendableBlock(f"Thought block with signature {why} in {provider_type}")
    parts.append({"thoughtSignature": signature, "text": ""})


def _map_block(block: ModelBlock, files: FileContents) -> Part:
    if isinstance(block, Text):
        return {"text": block.text}
    if isinstance(block, ToolCall):
        return {"function_call": {"name": block.name, "args": _arguments(block.arguments)}}
    if isinstance(block, ToolResult):
        response = {"name": block.name, "content": block.result}
        return {"function_response": {"name": block.name, "response": response}}
    if isinstance(block, File):
        content = files[id(block)]
        return {"inline_data": {"mime_type": content.mime_type, "data": content.data}}
    if isinstance(block, Unknown) and isinstance(block.data, dict):
        return block.data
    raise UnsendableBlock("An unknown block is sent as a part: its data must be a JSON object")


def _arguments(text: str) -> dict[str, Any]:
    if text == "":
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason = f"Error parsing tool call arguments as JSON Value: {error}"
        raise UnsendableBlock(reason, by_client=True) from None
    if not isinstance(value, dict):
        raise UnsendableBlock("Tool call arguments must be a JSON object", by_client=True)
    return value


def _sign_calls(parts: list[Part]) -> None:
    """Where no call of a message has a signature, its first one gets the substitute."""
    first: int | None = None
    for index, part in enumerate(parts):
        if "function_call" in part:
            if "thoughtSignature" in part:
                return
            if first is None:
                first = index
    if first is not None:
        parts[first] = {"thoughtSignature": SKIP_SIGNATURE, **parts[first]}
