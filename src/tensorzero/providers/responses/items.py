"""Messages of a ``ModelRequest`` as input items: one for each block, in order."""

from __future__ import annotations

import logging
from typing import Any

from tensorzero.providers.chat_completions.files import FileContents, extension_of
from tensorzero.providers.chat_completions.messages import JSON_INSTRUCTION
from tensorzero.types.content import Message, Text, Thought, ToolCall, ToolResult, Unknown
from tensorzero.types.errors import InvalidMessage
from tensorzero.types.files import File
from tensorzero.types.model import ModelRequest

log = logging.getLogger(__name__)

Item = dict[str, Any]


def map_items(request: ModelRequest, messages: list[Message], files: FileContents) -> list[Any]:
    """All items, system first; raises ``InvalidMessage``."""
    items: list[Any] = []
    system = request.system
    if request.json_mode == "on" and not _asks_for_json(system, messages):
        system = JSON_INSTRUCTION if system is None else f"{JSON_INSTRUCTION}\n\n{system}"
    if system is not None:
        items.append(_message("system", {"type": "input_text", "text": system}))
    for message in messages:
        add = _add_user if message.role == "user" else _add_assistant
        for block in message.content:
            add(block, files, items)
    return items


def _asks_for_json(system: str | None, messages: list[Message]) -> bool:
    """Whether a system text speaks of JSON, itself or through the user's texts."""
    if system is None:
        return False
    return "json" in system.lower() or any(
        isinstance(block, Text) and "json" in block.text.lower()
        for message in messages
        if message.role == "user"
        for block in message.content
    )


def _message(role: str, part: Item) -> Item:
    return {"type": "message", "role": role, "id": None, "content": [part]}


def _add_user(block: Any, files: FileContents, items: list[Any]) -> None:
    if isinstance(block, Text):
        items.append(_message("user", {"type": "input_text", "text": block.text}))
    elif isinstance(block, File):
        items.append(_message("user", _file(block, files)))
    elif isinstance(block, ToolResult):
        output = {"call_id": block.id, "output": block.result}
        items.append({"type": "function_call_output", **output})
    elif isinstance(block, Unknown):
        items.append(block.data)
    elif isinstance(block, Thought):
        log.warning("a thought block in a user message is not sent")
    else:
        raise InvalidMessage("Tool calls are not supported in user messages")


def _add_assistant(block: Any, files: FileContents, items: list[Any]) -> None:
    if isinstance(block, Text):
        items.append(_message("assistant", {"type": "output_text", "text": block.text}))
    elif isinstance(block, ToolCall):
        call = {"call_id": block.id, "name": block.name, "arguments": block.arguments}
        items.append({"type": "function_call", **call})
    elif isinstance(block, Thought):
        if block.signature is not None:
            summary = [{"type": "summary_text", "text": one["text"]} for one in block.summary or ()]
            items.append(
                {"type": "reasoning", "encrypted_content": block.signature, "summary": summary}
            )
    elif isinstance(block, Unknown):
        items.append(block.data)
    elif isinstance(block, File):
        raise InvalidMessage("Files are not supported in assistant messages")
    else:
        raise InvalidMessage("Tool results are not supported in assistant messages")


def _file(file: File, files: FileContents) -> Item:
    content = files.get(id(file))
    if content is None:
        return _image(str(file.url), file)
    mime_type = content.mime_type
    data_url = f"data:{mime_type};base64,{content.data}"
    if mime_type.startswith("image/"):
        return _image(data_url, file)
    if mime_type.startswith("audio/"):
        raise InvalidMessage("The Responses API takes no audio files")
    filename = file.filename or f"input.{extension_of(mime_type)}"
    return {"type": "input_file", "file_data": data_url, "filename": filename}


def _image(url: str, file: File) -> Item:
    image: Item = {"type": "input_image", "image_url": url}
    if file.detail is not None:
        image["detail"] = file.detail
    return image
