"""Any sequence of events, written in any legal form and cut anywhere, is read as that sequence."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tzcore.sse import SSEParser

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
# A payload's own lines: what is left when line ends are taken out of any bytes.
LINE = st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b""))
NOISE = st.sampled_from(
    [
        b": comment",
        b":",
        b"event: x",
        b"event",
        b"id: 1",
        b"retry: 5",
        b"Data: no",
        b"datum: no",
        b" data: no",
        b"data : no",
        "é: €".encode(),
    ]
)
EVENT = st.lists(LINE, min_size=1, max_size=4)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """The payloads, and a stream that carries them."""
    payloads: list[bytes] = []
    out = [draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))]

    def line(data: bytes) -> None:
        out.append(data + draw(LINE_ENDS))

    for lines in draw(st.lists(EVENT, max_size=6)):
        payloads.append(b"\n".join(lines))
        for one in lines:
            for noise in draw(st.lists(NOISE, max_size=2)):
                line(noise)
            # Without the blank that the standard takes off, a payload must not begin with one.
            if one.startswith(b" ") or draw(st.booleans()):
                line(b"data: " + one)
            elif one == b"" and draw(st.booleans()):
                line(b"data")
            else:
                line(b"data:" + one)
        for noise in draw(st.lists(NOISE, max_size=1)):
            line(noise)
        for _ in range(draw(st.integers(1, 3))):
            # CR LF is one line end: a bare CR must not be followed by a bare LF here.
            out.append(b"\r\n" if out[-1].endswith(b"\r\n") else out[-1][-1:])
    return payloads, b"".join(out)


@settings(max_examples=400, deadline=None)
@given(streams(), st.data())
def test_events_are_read_as_they_were_written(
    given_stream: tuple[list[bytes], bytes], data: st.DataObject
) -> None:
    payloads, raw = given_stream
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=10))
    marks = sorted({0, len(raw), *cuts})
    for pieces in (
        [raw],
        [raw[start:end] for start, end in pairwise(marks)],
        [raw[at : at + 1] for at in range(len(raw))],
        [raw[at : at + 2] for at in range(0, len(raw), 2)],
    ):
        parser = SSEParser()
        events = [event for piece in pieces for event in parser.feed(piece)]
        assert events + parser.close() == payloads
