"""Undoes the content coding of a request body, within the body limit."""

from __future__ import annotations

import zlib

import brotli
import zstandard

from tensorzero.types.errors import JsonRequest

MAX_BODY_BYTES = 104_857_600
CODINGS = b"gzip,br,zstd"
STEP_BYTES = 1 << 20


class UnsupportedCoding(Exception):
    """A content coding that is not decoded: 415."""


def too_large() -> JsonRequest:
    return JsonRequest(
        f"Failed to buffer the request body: length limit of {MAX_BODY_BYTES} bytes exceeded "
        "(413 Payload Too Large)"
    )


def decode_body(body: bytes, coding: bytes | None) -> bytes:
    """The plain body; raises ``UnsupportedCoding`` and ``JsonRequest``."""
    if coding is None:
        return body
    name = coding.strip().lower()
    if name in (b"", b"identity"):
        return body
    try:
        if name == b"gzip":
            return _gzip(body)
        if name == b"br":
            return _brotli(body)
        if name == b"zstd":
            return _zstd(body)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        raise JsonRequest(f"Failed to decompress the request body: {error}") from None
    raise UnsupportedCoding


def _bounded(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise too_large()


def _gzip(body: bytes) -> bytes:
    decoder = zlib.decompressobj(wbits=31)
    out = decoder.decompress(body, MAX_BODY_BYTES + 1)
    _bounded(len(out))
    if not decoder.eof:
        raise EOFError("the data ends early")
    return out


def _brotli(body: bytes) -> bytes:
    # A few bytes may stand for megabytes: the output of one step is bounded, not the input.
    decoder = brotli.Decompressor()
    out = bytearray(decoder.process(body, output_buffer_limit=STEP_BYTES))
    while not decoder.can_accept_more_data():
        out += decoder.process(b"", output_buffer_limit=STEP_BYTES)
        _bounded(len(out))
    _bounded(len(out))
    if not decoder.is_finished():
        raise EOFError("the data ends early")
    return bytes(out)


def _zstd(body: bytes) -> bytes:
    # A block of 4 bytes may stand for 128 KiB: 1024 bytes of input make 32 MiB at most.
    decoder = zstandard.ZstdDecompressor().decompressobj()
    out = bytearray()
    for start in range(0, len(body), 1024):
        out += decoder.decompress(body[start : start + 1024])
        _bounded(len(out))
        if decoder.eof:
            break
    if not decoder.eof:
        raise EOFError("the data ends early")
    return bytes(out)
