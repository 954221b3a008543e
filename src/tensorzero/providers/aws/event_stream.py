"""Splits ``application/vnd.amazon.eventstream``: AWS's binary event streams.

Source: "Event stream encoding", the documentation of Amazon Transcribe and of Smithy.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from zlib import crc32

import orjson

PRELUDE = Struct(">III")
CHECKSUM = Struct(">I")
OVERHEAD = PRELUDE.size + CHECKSUM.size
MAX_FRAME_BYTES = 2**24
"""A longer frame is refused. The vendor's own limit is 16 MiB too."""

FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Sizes of header values by type: true, false, int8 to int64, timestamp, UUID; in bytes."""
BYTES, STRING = 6, 7
MAX_KNOWN_HEADERS = 256


class FrameError(ValueError):
    """Bytes that are no frame. The stream cannot be read on."""


class ExceptionFrame(ValueError):
    """The service ended the stream with an exception; its text is the exception's type and
    message."""

    def __init__(self, kind: str, message: str, payload: bytes) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.payload = payload


class Frame(bytes):
    """The payload of one event, and the event's type."""

    event_type: str

    def __new__(cls, payload: bytes, event_type: str) -> Frame:
        frame = super().__new__(cls, payload)
        frame.event_type = event_type
        return frame


class FrameParser:
    """Cuts a stream into frames. The bytes may arrive in any pieces."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._needed = PRELUDE.size  # so many bytes of the rest have to be there to read on
        # Header blocks repeat: nearly all frames of a stream have the same one.
        self._known: dict[bytes, dict[str, str]] = {}

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The events that ``data`` completes, one after the other.

        Raises ``ExceptionFrame`` or ``FrameError`` where they stand.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, size = 0, len(data)
        while size - at >= PRELUDE.size:
            total, length, checksum = PRELUDE.unpack_from(data, at)
            # An impossible length is told before its bytes are waited for.
            if crc32(data[at : at + 8]) != checksum:
                raise FrameError("the checksum of a prelude does not match")
            if total > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {total} bytes is larger than {MAX_FRAME_BYTES}")
            if total < OVERHEAD + length:
                raise FrameError(f"a frame of {total} bytes with {length} bytes of headers")
            end = at + total
            if size < end:
                self._needed = total
                break
            content = data[at : end - 4]
            if crc32(content) != CHECKSUM.unpack_from(data, end - 4)[0]:
                raise FrameError("the checksum of a frame does not match")
            at = end
            start = PRELUDE.size + length
            yield self._event(content[PRELUDE.size : start], content[start:])
        else:
            self._needed = PRELUDE.size
        if at < size:
            self._rest += data[at:]

    @property
    def incomplete(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._rest)

    def close(self) -> Iterator[Frame]:
        """What the end of the stream completes: nothing."""
        return iter(())

    def _event(self, block: bytes, payload: bytes) -> Frame:
        headers = self._known.get(block)
        if headers is None:
            headers = read_headers(block)
            if len(self._known) < MAX_KNOWN_HEADERS:
                self._known[block] = headers
        kind = headers.get(":message-type")
        if kind == "exception":
            raise ExceptionFrame(
                headers.get(":exception-type", "unknown"), _message(payload), payload
            )
        if kind == "error":
            code = headers.get(":error-code", "unknown")
            raise ExceptionFrame(code, headers.get(":error-message", ""), payload)
        return Frame(payload, headers.get(":event-type", ""))


def read_headers(block: bytes) -> dict[str, str]:
    """The string headers of a frame; raises ``FrameError``."""
    out: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            size = block[at]
            name, at = _slice(block, at + 1, size)
            kind = block[at]
            if kind in (BYTES, STRING):
                size = int.from_bytes(_slice(block, at + 1, 2)[0], "big")
                value, at = _slice(block, at + 3, size)
                if kind == STRING:
                    out[name.decode()] = value.decode()
            elif kind in FIXED_SIZES:
                _, at = _slice(block, at + 1, FIXED_SIZES[kind])
            else:
                raise FrameError(f"a header of the unknown type {kind}")
    except (IndexError, UnicodeDecodeError):
        raise FrameError("the headers of a frame are malformed") from None
    return out


def _slice(block: bytes, at: int, size: int) -> tuple[bytes, int]:
    end = at + size
    if end > len(block):
        raise IndexError
    return block[at:end], end


def _message(payload: bytes) -> str:
    """What an exception's payload says to people."""
    try:
        content = orjson.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")
    if isinstance(content, dict):
        for name in ("message", "Message"):
            if isinstance(content.get(name), str):
                return str(content[name])
    return payload.decode("utf-8", "replace")
