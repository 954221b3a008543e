"""Messages of a ``ModelRequest`` in Chat Completions form."""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Callable, Mapping
from typing import Any

from tensorzero.types.content import (
    Message,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Unknown,
)
from tensorzero.types.errors import InvalidMessage
from tensorzero.types.files import File, FileData
from tensorzero.types.model import ModelRequest

log = logging.getLogger(__name__)

JSON_INSTRUCTION = "Respond using JSON."

EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "application/pdf": "pdf",
    "image/webp": "webp",
    "text/plain": "txt",
    "audio/midi": "mid",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/m4a": "m4a",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/amr": "amr",
    "audio/aac": "aac",
    "audio/x-aac": "aac",
    "audio/aiff": "aiff",
    "audio/x-aiff": "aiff",
    "audio/x-dsf": "dsf",
    "audio/x-ape": "ape",
    "audio/webm": "webm",
}

FileContents = Mapping[int, FileData]
FileForm = Callable[[str], str]
"""The form of an inlined file by its MIME type: ``image_url``, ``input_audio`` or ``file``."""


def default_form(mime_type: str) -> str:
    if mime_type.startswith("image/"):
        return "image_url"
    if mime_type.startswith("audio/"):
        return "input_audio"
    return "file"


def map_messages(
    request: ModelRequest,
    messages: list[Message],
    files: FileContents,
    *,
    form: FileForm = default_form,
    reasoning_field: str = "reasoning_content",
    json_instruction: bool = False,
    sends_detail: bool = True,
) -> list[dict[str, Any]]:
    """All messages, system first. ``json_instruction``: add one for ``json_mode = on``."""
    out: list[dict[str, Any]] = []
    system = request.system
    if json_instruction and request.json_mode == "on":
        if system is None:
            system = JSON_INSTRUCTION
        elif not _mentions_json(system, messages):
            system = f"{JSON_INSTRUCTION}\n\n{system}"
    if system is not None:
        out.append({"role": "system", "content": system})
    for message in messages:
        content = message.content
        if message.role == "user":
            if len(content) == 1 and type(content[0]) is Text:
                out.append({"role": "user", "content": content[0].text})
            else:
                _map_user(message, files, form, sends_detail, out)
        else:
            _map_assistant(message, files, form, reasoning_field, sends_detail, out)
    return out


def _mentions_json(system: str, messages: list[Message]) -> bool:
    if "json" in system.lower():
        return True
    for message in messages:
        for block in message.content:
            if isinstance(block, Text) and "json" in block.text.lower():
                return True
            if isinstance(block, ToolResult) and "json" in block.result.lower():
                return True
    return False


def _map_user(
    message: Message,
    files: FileContents,
    form: FileForm,
    sends_detail: bool,
    out: list[dict[str, Any]],
) -> None:
    content: list[Any] = []
    for block in message.content:
        if isinstance(block, ToolResult):
            out.append({"role": "tool", "content": block.result, "tool_call_id": block.id})
        elif isinstance(block, Text):
            content.append({"type": "text", "text": block.text})
        elif isinstance(block, File):
            content.append(map_file(block, files, form, sends_detail))
        elif isinstance(block, Unknown):
            content.append(block.data)
        elif isinstance(block, Thought):
            log.warning("a thought block in a user message is not sent")
        else:
            raise InvalidMessage("Tool calls are not supported in user messages")
    if content:
        out.append({"role": "user", "content": _compact(content, message)})


def _map_assistant(
    message: Message,
    files: FileContents,
    form: FileForm,
    reasoning_field: str,
    sends_detail: bool,
    out: list[dict[str, Any]],
) -> None:
    content: list[Any] = []
    tool_calls: list[dict[str, Any]] = []
    thoughts: list[str] = []
    for block in message.content:
        if isinstance(block, Text):
            content.append({"type": "text", "text": block.text})
        elif isinstance(block, ToolCall):
            tool_calls.append(
                {
                    "id": block.id,
                    "type": "function",
                    "function": {"name": block.name, "arguments": block.arguments},
                }
            )
        elif isinstance(block, Thought):
            if block.text is not None:
                thoughts.append(block.text)
        elif isinstance(block, File):
            content.append(map_file(block, files, form, sends_detail))
        elif isinstance(block, Unknown):
            content.append(block.data)
        else:
            raise InvalidMessage("Tool results are not supported in assistant messages")
    if not content and not tool_calls:
        for _ in thoughts:
            log.warning("a thought block without content or tool call beside it is not sent")
        return
    mapped: dict[str, Any] = {"role": "assistant"}
    if content:
        mapped["content"] = _compact(content, message)
    if tool_calls:
        mapped["tool_calls"] = tool_calls
    if thoughts:
        mapped[reasoning_field] = "\n\n".join(thoughts)
    out.append(mapped)


def _compact(content: list[Any], message: Message) -> Any:
    """Exactly one text block is sent as a plain string."""
    if len(content) == 1 and any(isinstance(block, Text) for block in message.content):
        only = content[0]
        if isinstance(only, dict) and only.get("type") == "text" and len(only) == 2:
            return only["text"]
    return content


def map_file(file: File, files: FileContents, form: FileForm, sends_detail: bool) -> dict[str, Any]:
    """A file by URL where its content was not fetched, else inline by MIME type."""
    content = files.get(id(file))
    if content is None:
        return {"type": "image_url", "image_url": _image(str(file.url), file, sends_detail)}
    mime_type = content.mime_type
    chosen = form(mime_type)
    data_url = f"data:{mime_type};base64,{content.data}"
    if chosen == "image_url":
        return {"type": "image_url", "image_url": _image(data_url, file, sends_detail)}
    extension = extension_of(mime_type)
    if chosen == "input_audio":
        return {"type": "input_audio", "input_audio": {"data": content.data, "format": extension}}
    filename = file.filename or f"input.{extension}"
    return {"type": "file", "file": {"file_data": data_url, "filename": filename}}


def _image(url: str, file: File, sends_detail: bool) -> dict[str, Any]:
    image: dict[str, Any] = {"url": url}
    if file.detail is not None:
        if sends_detail:
            image["detail"] = file.detail
        else:
            log.warning("this provider has no image detail setting: it is not sent")
    return image


def extension_of(mime_type: str) -> str:
    """The file name extension of a MIME type; raises ``InvalidMessage`` where there is none."""
    known = EXTENSIONS.get(mime_type)
    if known is not None:
        return known
    guessed = mimetypes.guess_extension(mime_type)
    if guessed is None:
        raise InvalidMessage(f"MIME type `{mime_type}` has no known file extension")
    log.warning("guessed extension `%s` for MIME type `%s`", guessed[1:], mime_type)
    return guessed[1:]
