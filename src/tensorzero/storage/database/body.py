"""Request bodies of the HTTP interface: content encodings and multipart forms, with limits."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from io import BytesIO
from typing import IO, Any, Final, cast

from tensorzero.storage.database.errors import DatabaseError

_CHUNK: Final = 1 << 20


class BodyError(DatabaseError):
    """A body that can't be taken; ``status`` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Form:
    """A multipart form: plain fields, and files (external tables) with their contents."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


def decode_body(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Undo ``Content-Encoding``. Raises BodyError on damage, excess or an unknown encoding."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    try:
        with _reader(encoding, body) as reader:
            decoded = _read(reader, limit_bytes)
    except BodyError:
        raise
    except Exception as error:  # Five libraries, five kinds of "damaged".
        raise BodyError(400, f"The {encoding} body is damaged ({type(error).__name__})") from error
    return decoded


def _reader(encoding: str, body: bytes) -> IO[bytes]:
    source = BytesIO(body)
    if encoding == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=source))
    if encoding == "zstd":
        return cast(
            IO[bytes],
            _library("zstandard", encoding)
            .ZstdDecompressor()
            .stream_reader(source, read_across_frames=True),
        )
    if encoding == "lz4":
        return cast(IO[bytes], _library("lz4.frame", encoding).LZ4FrameFile(source))
    if encoding == "deflate":
        return BytesIO(_inflate(body))
    raise BodyError(
        400, f"Unknown Content-Encoding '{encoding}'. Send gzip, deflate, zstd, lz4 or none"
    )


def _inflate(body: bytes) -> bytes:
    inflater = zlib.decompressobj()
    decoded = inflater.decompress(body, _MAX_INFLATED)
    if inflater.unconsumed_tail:
        raise BodyError(413, "The body is too large once inflated")
    return decoded


_MAX_INFLATED: Final = 256 * 1024 * 1024


def _library(name: str, encoding: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise BodyError(
            400,
            f"Content-Encoding '{encoding}' needs a library that is not installed here. "
            "Send gzip or no encoding",
        ) from None


def _read(reader: IO[bytes], limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    total = 0
    while piece := reader.read(_CHUNK):
        total += len(piece)
        if total > limit_bytes:
            raise BodyError(413, f"The body is larger than {limit_bytes} bytes once decompressed")
        pieces.append(piece)
    return b"".join(pieces)


def parse_form(body: bytes, content_type: str) -> Form:
    """Parse ``multipart/form-data`` as ClickHouse clients send it. Raises BodyError (400)."""
    boundary = _parameters(content_type).get("boundary")
    if not boundary:
        raise BodyError(400, "The multipart body has no boundary")
    delimiter = b"--" + boundary.encode()
    form = Form()
    for part in (b"\r\n" + body).split(b"\r\n" + delimiter)[1:]:
        if part.startswith(b"--"):
            return form
        head, separator, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not separator:
            break
        disposition = _parameters(_header(head, "content-disposition"))
        name = disposition.get("name")
        if name is None:
            break
        if "filename" in disposition:
            form.files[name] = content
        else:
            form.fields[name] = content.decode(errors="replace")
    raise BodyError(400, "The multipart body is cut off or malformed")


def _header(head: bytes, name: str) -> str:
    for line in head.decode("latin-1").split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


def _parameters(value: str) -> Mapping[str, str]:
    message = Message()
    message["content-type"] = value
    found = message.get_params(failobj=[], header="content-type")
    return {key.lower(): text for key, text in found[1:]}
