"""Event streams: the same events however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tzcore.sse import SSEParser, frame


def reference(stream: bytes) -> list[bytes]:
    """The standard's algorithm, line by line over the whole stream."""
    stream = stream.removeprefix(b"\xef\xbb\xbf")
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    events: list[bytes] = []
    data: list[bytes] = []
    for line in lines:  # a last line without an end counts, as close() promises
        if line == b"":
            if data:
                events.append(b"\n".join(data))
            data = []
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
    if data:
        events.append(b"\n".join(data))
    return events


def parse(pieces: list[bytes]) -> list[bytes]:
    parser = SSEParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.close()


LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:x",
        b"data",
        b"data:",
        b"data:  two blanks",
        b"database: no",
        b"dat",
        b": comment",
        b"event: ping",
        b"id: 7",
        b"",
        b"\xef\xbb\xbfdata: bom",
        "data: é€😀".encode(),
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n"]))).map(
    lambda parts: b"".join(line + end for line, end in parts)
)


@settings(max_examples=400, deadline=None)
@given(
    STREAMS | st.binary(max_size=60),
    st.sampled_from([b"", b"data: cut"]),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_any_cutting_gives_the_events_of_the_standard(
    stream: bytes, tail: bytes, cuts: list[int]
) -> None:
    stream += tail
    marks = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in pairwise(marks)]
    assert parse(pieces) == reference(stream)
    assert parse([stream[i : i + 1] for i in range(len(stream))]) == reference(stream)


def test_events_are_given_as_soon_as_their_blank_line_arrives() -> None:
    parser = SSEParser()
    assert parser.feed(b"data: 1\n") == []
    assert parser.feed(b"\ndata: 2\r\n\r") == [b"1", b"2"]
    assert parser.feed(b"\ndata: 3\n\n") == [b"3"]
    assert parser.close() == []


def test_the_end_delivers_an_event_without_its_blank_line_once() -> None:
    parser = SSEParser()
    assert parser.feed(b"data: a\ndata: b") == []
    assert parser.close() == [b"a\nb"]
    assert parser.close() == []


def test_a_large_event_in_small_pieces_is_whole() -> None:
    payload = b"x" * 1_000_000
    stream = b"data: " + payload + b"\n\n"
    assert parse([stream[i : i + 1000] for i in range(0, len(stream), 1000)]) == [payload]


@pytest.mark.parametrize(
    "stream",
    [b"data: " + b"x" * 200, b"data: xxxxxxxxx\n" * 20, b": " + b"x" * 200, b"data: x\n" * 40],
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_an_event_beyond_the_bound_is_refused(stream: bytes, step: int) -> None:
    parser = SSEParser(max_event_bytes=100)
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        for i in range(0, len(stream), step):
            parser.feed(stream[i : i + step])


def test_many_small_events_are_not_one_large_one() -> None:
    parser = SSEParser(max_event_bytes=100)
    assert len(parser.feed(b"data: 0123456789\n\n" * 1000)) == 1000


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40).map(str.encode))
def test_a_framed_payload_is_read_back(payload: bytes) -> None:
    expected = payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert parse([frame(payload)]) == [expected]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SSEParser(0)
    with pytest.raises(TypeError):
        SSEParser().feed("text")  # type: ignore[arg-type]  # the point of the test
