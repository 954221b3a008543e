"""Events in, frames out: the short way of texts beside the general one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.json import Decoder

from tzcore.client import ClientError
from tzcore.sse import SSEParser
from tzcore.streams import EventPump, FrameQueue, TextAt, TextLane


class Text(Struct):
    id: str
    text: str


class Form(Struct):
    content: str
    usage: None = None


READ = TextAt(Decoder(Form).decode, (ValueError,), ("content",), Text, "0")


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields, ensure_ascii=False).encode() + b"\n\n"


class Client(FrameQueue):
    """An exchange and its queue."""

    def __init__(self) -> None:
        super().__init__(self)
        self.writes: list[bytes] = []
        self.gone = False
        self.times_left = 0

    def send(self, data: bytes) -> bool:
        self.writes.append(data)
        return not self.gone

    def leave(self) -> None:
        self.times_left += 1


class Stream:
    """The owner of a pump: what goes the general way becomes a frame ``{"general":...}``."""

    def __init__(
        self, *, around: Any = None, skips_empty: bool = False, splitter: Any = None
    ) -> None:
        self.client = Client()
        self.texts: dict[str, list[str]] = {}
        self.payloads: list[str] = []
        self.general: list[bytes] = []
        self.faults: list[Exception] = []
        self.over: list[ClientError | None] = []
        self.pump = EventPump(self, splitter or SSEParser(), READ)
        self.pump.by(
            TextLane(
                self.client,
                lambda id: self.texts.setdefault(id, []),
                self.payloads,
                around or (lambda id: (b'{"text":', b"}")),
                skips_empty=skips_empty,
            )
        )

    def event(self, event: bytes) -> bool:
        self.general.append(event)
        self.client.add(b'{"general":' + event + b"}")
        return b'"last"' in event

    def flush(self) -> None:
        self.client.flush()

    def broken(self, error: ValueError) -> None:
        self.client.flush()
        self.faults.append(error)

    failed = broken

    def ended(self, error: ClientError | None) -> None:
        self.over.append(error)


def test_what_comes_at_once_is_sent_at_once_and_in_order() -> None:
    stream = Stream()
    stream.pump.feed(event(content="a") + event(role="x") + event(content="b") + event(content=""))
    assert stream.client.writes == [
        b'data: {"text":"a"}\n\n'
        b'data: {"general":{"role": "x"}}\n\n'
        b'data: {"text":"b"}\n\n'
        b'data: {"text":""}\n\n'
    ]
    assert stream.texts == {"0": ["a", "b"]}
    assert [json.loads(one)["content"] for one in stream.payloads] == ["a", "b", ""]
    assert stream.general == [b'{"role": "x"}']
    stream.pump.feed(b": nothing\n\n")
    assert len(stream.client.writes) == 1
    stream.pump.ended(None)
    assert stream.over == [None]


@given(st.lists(st.one_of(st.text(max_size=20), st.integers()), max_size=12), st.integers(1, 40))
def test_pieces_of_any_size_make_the_same_frames(contents: list[Any], size: int) -> None:
    """A text takes the short way, a number the general one."""
    data = b"".join(event(content=one) for one in contents)
    whole, pieces = Stream(), Stream()
    whole.pump.feed(data)
    for at in range(0, len(data), size):
        pieces.pump.feed(data[at : at + size])
    frames = b"".join(pieces.client.writes)
    assert frames == b"".join(whole.client.writes)
    read = [json.loads(frame[6:]) for frame in frames.decode().split("\n\n")[:-1]]
    assert [one["text"] if "text" in one else one["general"]["content"] for one in read] == contents
    assert "".join(whole.texts.get("0", [])) == "".join(c for c in contents if isinstance(c, str))


def test_what_follows_the_last_event_is_not_read() -> None:
    stream = Stream()
    stream.pump.feed(event(content="a") + event(last=1) + event(content="b"))
    assert stream.payloads == ['{"content": "a"}']


def test_a_closed_pump_hands_on_nothing() -> None:
    stream = Stream()
    stream.pump.close()
    stream.pump.feed(event(content="a") + event(role="x"))
    stream.pump.ended(None)
    assert (stream.client.writes, stream.general, stream.over) == ([], [], [])


def test_empty_texts_without_frames() -> None:
    stream = Stream(skips_empty=True)
    stream.pump.feed(event(content="") + event(content="a"))
    assert stream.client.writes == [b'data: {"text":"a"}\n\n']
    assert len(stream.payloads) == 2


def test_a_frame_that_needs_more_thought_goes_the_general_way() -> None:
    told: list[str] = []

    def around(id: str) -> tuple[bytes, bytes] | None:
        told.append(id)
        return (b"[", b"]") if len(told) > 1 else None

    stream = Stream(around=around)
    for text in "abc":
        stream.pump.feed(event(content=text))
    assert stream.general == [b'{"content": "a"}']
    assert stream.client.writes[1:] == [b'data: ["b"]\n\n', b'data: ["c"]\n\n']
    assert told == ["0", "0"]


def test_a_client_that_leaves_is_told_of_once_and_the_record_goes_on() -> None:
    stream = Stream()
    stream.pump.feed(event(content="a"))
    stream.client.gone = True
    for text in "bcd":
        stream.pump.feed(event(content=text))
    assert (len(stream.client.writes), stream.client.times_left) == (2, 1)
    assert stream.texts == {"0": ["a", "b", "c", "d"]}
    assert len(stream.payloads) == 4


def test_a_splitter_that_breaks_keeps_what_it_gave() -> None:
    class Breaking:
        def feed(self, data: bytes) -> Any:
            yield b'{"content": "a"}'
            raise ValueError("broken")

    stream = Stream(splitter=Breaking())
    stream.pump.feed(b"x")
    assert stream.client.writes == [b'data: {"text":"a"}\n\n']
    assert [str(fault) for fault in stream.faults] == ["broken"]


@pytest.mark.parametrize("fault", [RuntimeError("no"), UnicodeEncodeError("x", "y", 0, 1, "z")])
def test_a_fault_in_between_is_the_owners(fault: Exception) -> None:
    def around(id: str) -> tuple[bytes, bytes] | None:
        raise fault

    stream = Stream(around=around)
    stream.pump.feed(event(content="a"))
    assert stream.faults == [fault]


def test_silence_is_ended_by_what_is_sent() -> None:
    client = Client()
    client.silent = 7
    client.flush()
    assert client.silent == 7
    client.add(b"1")
    client.add(b"2")
    client.flush()
    assert (client.silent, client.writes) == (0, [b"data: 1\n\ndata: 2\n\n"])
