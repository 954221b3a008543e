"""Content codings of answers (RFC 9110, 8.4): gzip, deflate, br and zstd, bounded.

A decoder never lets one step of decompression grow without limit, so a small hostile body cannot
become a large object before its size is noticed.
"""

from __future__ import annotations

import zlib
from typing import Any, Protocol

_STEP_BYTES = 262_144
"""Upper bound of what one step of a decompressor may put out."""
_ZSTD_INPUT_BYTES = 512
"""Input per step of zstd, which bounds output by input only: a block of 128 KiB needs 4 bytes."""


class DecodedTooLarge(Exception):
    """The decoded body exceeds the limit."""


class Undecodable(Exception):
    """The body is not what its Content-Encoding says; the text says why."""


class Decoder(Protocol):
    """Undoes one content coding, piece by piece."""

    def feed(self, data: bytes) -> bytes:
        """What ``data`` decodes to; raises ``Undecodable`` or ``DecodedTooLarge``."""

    def finish(self) -> bytes:
        """What is left at the end of the body; raises ``Undecodable`` when it is cut off."""


class _ZlibDecoder:
    """gzip (several members too) and deflate (with or without its zlib wrapping)."""

    def __init__(self, name: str, max_bytes: int) -> None:
        self._name = name
        self._max_bytes = max_bytes
        self._produced = 0
        self._wbits = 31 if name == "gzip" else 15
        self._inner = zlib.decompressobj(self._wbits)
        self._fed = False
        self._first = b""

    def feed(self, data: bytes) -> bytes:
        if not data:
            return b""
        if not self._fed and self._name == "deflate":
            # Two header bytes tell zlib-wrapped data from the raw form some servers send.
            self._first += data
            if len(self._first) < 2:
                return b""
            data, self._first = self._first, b""
            if data[0] & 0x0F != 8 or int.from_bytes(data[:2], "big") % 31:
                self._inner = zlib.decompressobj(-15)
        self._fed = True
        pieces: list[bytes] = []
        while data:
            if self._inner.eof:
                if self._name != "gzip":
                    break  # trailing bytes of a deflate body are ignored, as browsers do
                data = data.lstrip(b"\0")
                if not data:
                    break
                self._inner = zlib.decompressobj(self._wbits)
            try:
                piece = self._inner.decompress(data, _STEP_BYTES)
            except zlib.error as error:
                raise Undecodable(f"the body is not valid {self._name}: {error}") from None
            self._produced += len(piece)
            if self._produced > self._max_bytes:
                raise DecodedTooLarge
            pieces.append(piece)
            data = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
        return b"".join(pieces)

    def finish(self) -> bytes:
        if (self._fed or self._first) and not self._inner.eof:
            raise Undecodable(f"the {self._name} body is cut off")
        return b""


class _BrotliDecoder:
    def __init__(self, max_bytes: int) -> None:
        import brotli

        self._error: type[Exception] = brotli.error
        self._inner: Any = brotli.Decompressor()
        self._max_bytes = max_bytes
        self._produced = 0
        self._fed = False

    def feed(self, data: bytes) -> bytes:
        if not data:
            return b""
        self._fed = True
        pieces: list[bytes] = []
        while True:
            try:
                piece = self._inner.process(data, output_buffer_limit=_STEP_BYTES)
            except self._error:
                raise Undecodable("the body is not valid br") from None
            data = b""
            self._produced += len(piece)
            if self._produced > self._max_bytes:
                raise DecodedTooLarge
            pieces.append(piece)
            # A full step may have left output behind even where more input would be taken.
            if self._inner.is_finished() or (
                len(piece) < _STEP_BYTES and self._inner.can_accept_more_data()
            ):
                return b"".join(pieces)

    def finish(self) -> bytes:
        if self._fed and not self._inner.is_finished():
            raise Undecodable("the br body is cut off")
        return b""


class _ZstdDecoder:
    def __init__(self, max_bytes: int) -> None:
        import zstandard

        self._error: type[Exception] = zstandard.ZstdError
        self._context = zstandard.ZstdDecompressor(max_window_size=8 << 20)
        self._inner = self._context.decompressobj()
        self._max_bytes = max_bytes
        self._produced = 0
        self._fed = False

    def feed(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self._inner.eof:
                self._inner = self._context.decompressobj()
            step = data[at : at + _ZSTD_INPUT_BYTES]
            self._fed = True
            try:
                piece = self._inner.decompress(step)
            except self._error:
                raise Undecodable("the body is not valid zstd") from None
            at += len(step) - len(self._inner.unused_data)
            self._produced += len(piece)
            if self._produced > self._max_bytes:
                raise DecodedTooLarge
            pieces.append(piece)
        return b"".join(pieces)

    def finish(self) -> bytes:
        if self._fed and not self._inner.eof:
            raise Undecodable("the zstd body is cut off")
        return b""


class _Chain:
    """Several codings; the last one applied is undone first."""

    def __init__(self, decoders: list[Decoder]) -> None:
        self._decoders = decoders

    def feed(self, data: bytes) -> bytes:
        for decoder in self._decoders:
            data = decoder.feed(data)
        return data

    def finish(self) -> bytes:
        data = b""
        for decoder in self._decoders:
            data = decoder.feed(data) + decoder.finish()
        return data


def make_decoder(encoding: bytes, max_bytes: int) -> Decoder | None:
    """The decoder for a Content-Encoding, ``None`` where there is nothing to undo.

    ``max_bytes`` bounds the decoded body. Raises ``Undecodable`` for an unknown coding.
    """
    names = [name.strip().lower() for name in encoding.decode("latin-1").split(",")]
    decoders: list[Decoder] = []
    for name in reversed(names):
        if name in ("", "identity"):
            continue
        if name in ("gzip", "x-gzip", "deflate"):
            decoders.append(_ZlibDecoder(name.removeprefix("x-"), max_bytes))
        elif name == "br":
            decoders.append(_BrotliDecoder(max_bytes))
        elif name == "zstd":
            decoders.append(_ZstdDecoder(max_bytes))
        else:
            raise Undecodable(
                f"the content coding {name[:40]!r} is not one of gzip, deflate, br, zstd"
            )
    if len(decoders) > 4:
        raise Undecodable("the body has more than four content codings")
    if not decoders:
        return None
    return decoders[0] if len(decoders) == 1 else _Chain(decoders)
