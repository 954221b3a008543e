"""Messages of a ``ModelRequest`` as the Messages API takes them: blocks become elements."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from tensorzero.providers.files import FileContents
from tensorzero.types.content import Message, ModelBlock, Text, Thought, ToolCall, ToolResult
from tensorzero.types.files import File

log = logging.getLogger(__name__)

Element = dict[str, Any]


class BadArguments(ValueError):
    """Arguments of a tool call that cannot be sent: the vendor takes an object."""


def map_messages(messages: list[Message], files: FileContents, vendor: str) -> list[dict[str, Any]]:
    """All messages, in order; raises ``BadArguments``. ``vendor`` is named in the log."""
    return [
        {"role": message.role, "content": _map_blocks(message.content, files, vendor)}
        for message in messages
    ]


def map_text(text: str) -> Element:
    return {"type": "text", "text": text}


def _map_blocks(blocks: list[ModelBlock], files: FileContents, vendor: str) -> list[Any]:
    content: list[Any] = []
    for block in blocks:
        if isinstance(block, Text):
            content.append(map_text(block.text))
        elif isinstance(block, ToolCall):
            content.append(_tool_use(block))
        elif isinstance(block, ToolResult):
            content.append(
                {
                    "type": "tool_result",
                    "tool_use_id": block.id,
                    "content": [map_text(block.result)],
                }
            )
        elif isinstance(block, File):
            content.append(_file(block, files, vendor))
        elif isinstance(block, Thought):
            content.extend(_thought(block))
        else:
            content.append(block.data)
    return content


def _tool_use(call: ToolCall) -> Element:
    try:
        # A stream of a call without arguments has no text of them at all.
        arguments = orjson.loads(call.arguments or "{}")
    except ValueError as error:
        raise BadArguments(f"Error parsing tool call arguments as JSON Value: {error}") from None
    if not isinstance(arguments, dict):
        raise BadArguments("Tool call arguments must be a JSON object")
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _thought(thought: Thought) -> list[Element]:
    """A thought without text is one that the vendor keeps to itself; an empty one is not sent."""
    if thought.text is not None:
        return [{"type": "thinking", "thinking": thought.text, "signature": thought.signature}]
    if thought.signature is not None:
        return [{"type": "redacted_thinking", "data": thought.signature}]
    return []


def _file(file: File, files: FileContents, vendor: str) -> Element:
    """A file by URL where its content was not fetched, else by content."""
    if file.detail is not None:
        log.warning("%s has no image detail setting: `detail` will be ignored.", vendor)
    content = files.get(id(file))
    if content is None:
        return _document(file.mime_type or "", {"type": "url", "url": file.url})
    mime_type = content.mime_type
    return _document(mime_type, {"type": "base64", "media_type": mime_type, "data": content.data})


def _document(mime_type: str, source: Element) -> Element:
    kind = "image" if mime_type.startswith("image/") else "document"
    return {"type": kind, "source": source}
