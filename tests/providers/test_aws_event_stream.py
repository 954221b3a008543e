"""Frames of AWS's event streams: whole, in pieces, and not what they should be."""

from __future__ import annotations

import contextlib
import struct
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.aws_calls import event_frame, exception_frame, frame, header
from tensorzero.providers.aws.event_stream import (
    ExceptionFrame,
    Frame,
    FrameError,
    FrameParser,
    read_headers,
)

FRAMES = [
    event_frame("messageStart", {"role": "assistant"}),
    event_frame("contentBlockDelta", {"delta": {"text": "a \u20ac"}}),
    event_frame("empty", b""),
    event_frame("contentBlockDelta", b"\x00\xff" * 300),
]
EVENTS = [
    ("messageStart", b'{"role":"assistant"}'),
    ("contentBlockDelta", '{"delta":{"text":"a \u20ac"}}'.encode()),
    ("empty", b""),
    ("contentBlockDelta", b"\x00\xff" * 300),
]


def parsed(*pieces: bytes) -> list[tuple[str, bytes]]:
    parser = FrameParser()
    events: list[Frame] = []
    for piece in pieces:
        events += parser.feed(piece)
    assert list(parser.close()) == []
    return [(one.event_type, bytes(one)) for one in events]


def test_split_at_every_byte() -> None:
    data = b"".join(FRAMES)
    assert parsed(data) == EVENTS
    for at in range(len(data)):
        assert parsed(data[:at], data[at:]) == EVENTS
    assert parsed(*(data[at : at + 1] for at in range(len(data)))) == EVENTS


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_frames_of_any_form(data: st.DataObject) -> None:
    """Against the vendor's own reader."""
    texts = st.text(max_size=20)
    many = data.draw(st.lists(st.tuples(texts, st.binary(max_size=60)), max_size=4))
    stream = b"".join(
        frame(payload, b"\x01x\x00\x01y\x04\x00\x00\x00\x07" + header(":event-type", kind))
        for kind, payload in many
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    theirs = EventStreamBuffer()
    theirs.add_data(stream)
    expected = [(one.headers[":event-type"], one.payload) for one in theirs]
    assert parsed(*pieces) == expected == many


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    whole = FRAMES[1]
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 0x10
        parser = FrameParser()
        with pytest.raises(FrameError, match="checksum"):
            list(parser.feed(FRAMES[0] + bytes(broken) + b"\x00" * 4096))


def test_frames_before_a_broken_one_are_delivered() -> None:
    parser = FrameParser()
    events = parser.feed(FRAMES[0] + b"\x00" * 12)
    assert next(events).event_type == "messageStart"
    with pytest.raises(FrameError):
        next(events)


def prelude(total: int, headers: int) -> bytes:
    words = struct.pack(">II", total, headers)
    return words + struct.pack(">I", zlib.crc32(words))


@pytest.mark.parametrize(
    ("total", "headers"),
    [(0, 0), (15, 0), (16, 1), (100, 85), (2**24 + 1, 0), (2**32 - 1, 0), (100, 2**32 - 1)],
)
def test_impossible_lengths(total: int, headers: int) -> None:
    """Told at once: nobody waits for four gigabytes."""
    with pytest.raises(FrameError, match="a frame of"):
        list(FrameParser().feed(prelude(total, headers)))


def test_the_smallest_frame() -> None:
    assert parsed(frame(b"", b"")) == [("", b"")]


def test_every_type_of_header() -> None:
    block = b"".join(
        [
            b"\x01a\x00\x01b\x01",
            b"\x01c\x02\x7f\x01d\x03\x00\x01\x01e\x04\x00\x00\x00\x01\x01f\x05" + b"\x00" * 8,
            b"\x01g\x06\x00\x03\xff\xfe\xfd",
            header("s", "text \u20ac"),
            b"\x01h\x08" + b"\x00" * 8 + b"\x01i\x09" + b"\x00" * 16,
            header(":event-type", "x"),
        ]
    )
    assert read_headers(block) == {"s": "text \u20ac", ":event-type": "x"}
    for at in range(1, len(block)):
        try:
            known = read_headers(block[:at])
        except FrameError:
            continue
        assert known.items() <= {"s": "text \u20ac", ":event-type": "x"}.items()


@pytest.mark.parametrize(
    "block",
    [b"\x01", b"\x05ab", b"\x01a", b"\x01a\x0a", b"\x01a\x07\x00\x05ab", b"\x01a\x07\x00\x01\xff"],
)
def test_malformed_headers(block: bytes) -> None:
    with pytest.raises(FrameError, match="header"):
        list(FrameParser().feed(frame(b"", block)))


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=64))
def test_headers_of_any_bytes(block: bytes) -> None:
    with contextlib.suppress(FrameError):
        read_headers(block)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            exception_frame("throttlingException", {"message": "Too many requests"}),
            "throttlingException: Too many requests",
        ),
        (exception_frame("a", {"Message": "b"}), "a: b"),
        (exception_frame("a", {"originalStatusCode": 5}), 'a: {"originalStatusCode":5}'),
        (frame(b"plain", header(":message-type", "exception")), "unknown: plain"),
        (
            frame(
                b"",
                header(":message-type", "error")
                + header(":error-code", "InternalFailure")
                + header(":error-message", "Sorry"),
            ),
            "InternalFailure: Sorry",
        ),
        (frame(b"", header(":message-type", "error")), "unknown"),
    ],
)
def test_exceptions(data: bytes, text: str) -> None:
    parser = FrameParser()
    events = parser.feed(FRAMES[0] + data)
    assert next(events).event_type == "messageStart"
    with pytest.raises(ExceptionFrame) as caught:
        next(events)
    assert str(caught.value) == text


def test_incomplete_frames_are_known() -> None:
    parser = FrameParser()
    assert not parser.incomplete
    list(parser.feed(FRAMES[0][:-1]))
    assert parser.incomplete
    list(parser.feed(FRAMES[0][-1:]))
    assert not parser.incomplete
