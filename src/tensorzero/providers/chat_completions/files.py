"""Files in Chat Completions form: by URL, or inline by MIME type."""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Callable, Mapping
from typing import Any

from tensorzero.types.errors import InvalidMessage
from tensorzero.types.files import File, FileData
from tensorzero.types.model import ModelRequest

log = logging.getLogger(__name__)

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


def goes_by_content(file: File, request: ModelRequest) -> bool:
    """Whether a file is sent by content; the URL of an image is left to the vendor to fetch."""
    if file.url is None or request.fetch_files:
        return True
    return file.mime_type is not None and not file.mime_type.startswith("image/")


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
