"""Reads content blocks of messages; forms and rules: the contract's page, 4.2 and 4.6."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Callable
from typing import Any, cast

from tensorzero.gateway.fields import (
    choice,
    fault,
    mapping,
    refuse_unknown,
    required,
    string,
    wrong,
)
from tensorzero.gateway.input_parser import absolute_url
from tensorzero.types.content import InputBlock, RawText, Template, Text
from tensorzero.types.errors import InvalidOpenAICompatibleRequest, JsonRequest
from tensorzero.types.files import Detail, File
from tensorzero.types.mime import sniff_mime_type

log = logging.getLogger(__name__)

ARGUMENTS = "tensorzero::arguments"
PREFIX = "tensorzero::"

_MIME = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:;[^,]*)?", re.ASCII)


def parse_content(content: Any, role: str, path: str) -> list[InputBlock]:
    """The blocks of one message; raises ``InvalidOpenAICompatibleRequest``."""
    if type(content) is str:
        return [Text(content)]
    if type(content) is not list:
        raise InvalidOpenAICompatibleRequest(
            str(wrong(content, path, "content to be a string or an array of content blocks"))
        )
    return [_block(block, role, f"{path}[{at}]") for at, block in enumerate(content)]


def _block(block: Any, role: str, path: str) -> InputBlock:
    if type(block) is not dict:
        raise InvalidOpenAICompatibleRequest(str(wrong(block, path, "a content block")))
    kind = block.get("type")
    parser = _BLOCKS.get(kind) if type(kind) is str else None
    try:
        if parser is not None:
            return parser(block, role, path)
        if "type" in block:
            shown = f"`{kind[:64]}`" if type(kind) is str else "that is not a string"
            raise fault(f"{path}.type", f"unknown block type {shown}, expected one of {_EXPECTED}")
    except JsonRequest as error:
        raise _misfit(block, str(error)) from None
    if any(key.startswith(PREFIX) for key in block):
        raise _misfit(block, f"{path}: missing field `type`")
    log.warning(
        "a content block without `type` is taken for template arguments (deprecated): use "
        "`tensorzero::template`"
    )
    return Template(role, block)


def _misfit(block: dict[str, Any], cause: str) -> InvalidOpenAICompatibleRequest:
    """The text by which clients tell our own blocks from OpenAI's."""
    own = any(key.startswith(PREFIX) for key in block)
    what = "Invalid TensorZero content block" if own else "Invalid content block"
    return InvalidOpenAICompatibleRequest(f"{what}: {cause}")


def _text(block: dict[str, Any], role: str, path: str) -> InputBlock:
    text, arguments = block.get("text"), block.get(ARGUMENTS)
    if arguments is None:
        if text is None:
            raise fault(path, f"expected one of `text` and `{ARGUMENTS}`")
        return Text(string(text, f"{path}.text"))
    if text is not None:
        raise fault(path, f"`text` and `{ARGUMENTS}` exclude each other")
    log.warning("`%s` is deprecated: use a `tensorzero::template` block", ARGUMENTS)
    return Template(role, mapping(arguments, f"{path}.{ARGUMENTS}"))


def _template(block: dict[str, Any], role: str, path: str) -> InputBlock:
    refuse_unknown(block, path, ("type", "name", "arguments"))
    name = string(required(block, "name", path), f"{path}.name")
    return Template(name, mapping(required(block, "arguments", path), f"{path}.arguments"))


def _raw_text(block: dict[str, Any], role: str, path: str) -> InputBlock:
    refuse_unknown(block, path, ("type", "value"))
    return RawText(string(required(block, "value", path), f"{path}.value"))


def _image_url(block: dict[str, Any], role: str, path: str) -> InputBlock:
    refuse_unknown(block, path, ("type", "image_url"))
    path = f"{path}.image_url"
    image = mapping(required(block, "image_url", path), path)
    refuse_unknown(image, path, ("url", "detail", "tensorzero::mime_type"))
    url = string(required(image, "url", path), f"{path}.url")
    detail = image.get("detail")
    if detail is not None:
        choice(detail, f"{path}.detail", ("low", "high", "auto"))
    mime_type = image.get("tensorzero::mime_type")
    if mime_type is not None:
        string(mime_type, f"{path}.tensorzero::mime_type")
    file = File(detail=cast("Detail | None", detail))
    if url.startswith("data:"):
        file.mime_type, file.data = _data_url(url, f"{path}.url")
    else:
        file.url = absolute_url(url, f"{path}.url")
        file.mime_type = mime_type
    return file


def _file(block: dict[str, Any], role: str, path: str) -> InputBlock:
    refuse_unknown(block, path, ("type", "file"))
    path = f"{path}.file"
    file = mapping(required(block, "file", path), path)
    mime_type, data = _data_url(
        string(required(file, "file_data", path), f"{path}.file_data"), f"{path}.file_data"
    )
    filename = file.get("filename")
    if filename is not None:
        string(filename, f"{path}.filename")
    return File(mime_type=mime_type, data=data, filename=filename)


def _data_url(url: str, path: str) -> tuple[str, str]:
    """MIME type and base64 text of a ``data:`` URL; the data is not decoded here."""
    if not url.startswith("data:"):
        raise fault(path, "expected a `data:` URL (`data:<MIME type>;base64,<data>`)")
    mime_type, separator, data = url[5:].partition(";base64,")
    if not separator:
        raise fault(path, "expected `;base64,` in a `data:` URL")
    if _MIME.fullmatch(mime_type) is None:
        raise fault(path, "the MIME type of a `data:` URL cannot be read")
    return mime_type, data


_AUDIO_FORMATS = {"wav": "audio/x-wav", "mp3": "audio/mpeg"}


def _input_audio(block: dict[str, Any], role: str, path: str) -> InputBlock:
    refuse_unknown(block, path, ("type", "input_audio"))
    path = f"{path}.input_audio"
    audio = mapping(required(block, "input_audio", path), path)
    data = string(required(audio, "data", path), f"{path}.data")
    form = string(required(audio, "format", path), f"{path}.format")
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise fault(f"{path}.data", "invalid base64") from None
    mime_type = sniff_mime_type(content[:64])
    if mime_type is None:
        raise fault(f"{path}.data", "the content does not tell its type")
    if not mime_type.startswith("audio/"):
        raise fault(f"{path}.data", f"expected audio, found `{mime_type}`")
    if _AUDIO_FORMATS.get(form, f"audio/{form}") != mime_type:
        log.warning("`input_audio.format` says %r, the content is `%s`", form[:64], mime_type)
    return File(mime_type=mime_type, data=data)


_BLOCKS: dict[str, Callable[[dict[str, Any], str, str], InputBlock]] = {
    "text": _text,
    "tensorzero::template": _template,
    "tensorzero::raw_text": _raw_text,
    "image_url": _image_url,
    "file": _file,
    "input_audio": _input_audio,
}
_EXPECTED = ", ".join(f"`{name}`" for name in _BLOCKS)
