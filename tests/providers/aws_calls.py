"""Calls of providers on AWS against a scripted server, and the frames that it streams."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import orjson

from providers.calls import Outcome, call
from tensorzero.config.credentials import Credential, StaticCredential
from tensorzero.types.model import ModelRequest
from upstream.scripted import Script, chunk

CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
KEYS: dict[str, Credential] = {
    "access_key_id": StaticCredential("AKIDEXAMPLE"),
    "secret_access_key": StaticCredential("an example of a secret"),
}
TOKEN: dict[str, Credential] = {**KEYS, "session_token": StaticCredential("a-session-token")}
BEARER: dict[str, Credential] = {"api_key": StaticCredential("a-bearer-token")}


def converse(
    given: ModelRequest,
    *scripts: Script,
    model_id: str = CLAUDE,
    region: Any = "us-east-1",
    keys: dict[str, Credential] = KEYS,
    more: dict[str, Any] | None = None,
    **options: Any,
) -> Outcome:
    """A call of ``aws_bedrock``; ``keys`` as the configuration resolves them."""
    return call(
        given,
        *scripts,
        type="aws_bedrock",
        options={"model_id": model_id, "region": region, **(more or {})},
        keys=keys,
        places=("endpoint_url",),
        **options,
    )


def header(name: str, value: str) -> bytes:
    """A string header of a frame."""
    data = value.encode()
    return b"%c%b\x07%b%b" % (len(name), name.encode(), struct.pack(">H", len(data)), data)


def frame(payload: bytes, headers: bytes) -> bytes:
    """A frame, by the vendor's description: prelude, its checksum, headers, payload, checksum."""
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    content = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return content + struct.pack(">I", zlib.crc32(content))


def event_frame(kind: str, data: object) -> bytes:
    payload = data if isinstance(data, bytes) else orjson.dumps(data)
    return frame(
        payload,
        header(":event-type", kind)
        + header(":content-type", "application/json")
        + header(":message-type", "event"),
    )


def exception_frame(kind: str, data: object) -> bytes:
    return frame(
        orjson.dumps(data),
        header(":exception-type", kind)
        + header(":content-type", "application/json")
        + header(":message-type", "exception"),
    )


FRAMES_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def frames(*pieces: bytes, end: Script = (b"0\r\n\r\n",)) -> Script:
    """A stream of frames, each written by itself."""
    return [FRAMES_HEAD, *(chunk(piece) for piece in pieces), *end]
