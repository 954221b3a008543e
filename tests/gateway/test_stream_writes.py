"""How a stream is written: what one read of the provider's answer gave goes out as one piece."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from gateway.api import Api
from gateway.scripted import Upstream
from gateway.test_providers import delta
from upstream.scripted import DONE, STREAM_HEAD, chunk, event, stream

USAGE = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
TOOL = event(
    {
        "choices": [
            {
                "delta": {
                    "tool_calls": [
                        {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
                    ]
                }
            }
        ]
    }
)
NATIVE = ("/inference", {"model_name": "m", "input": {"messages": []}})
OPENAI = (
    "/openai/v1/chat/completions",
    {"model": "tensorzero::model_name::m", "messages": [{"role": "user", "content": "hi"}]},
)
FACES = pytest.mark.parametrize(("path", "body"), [NATIVE, OPENAI], ids=["native", "openai"])


def pieces(api: Api, path: str, body: dict[str, Any]) -> list[bytes]:
    """The chunks of the transfer coding: one for each piece that the gateway sent."""
    data = json.dumps({**body, "stream": True}).encode()
    host, port = api.gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as link:
        link.sendall(
            b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
            % (path.encode(), len(data))
            + data
        )
        answer = link.makefile("rb")
        while answer.readline() != b"\r\n":
            pass
        found = []
        while size := int(answer.readline(), 16):
            found.append(answer.read(size))
            assert answer.readline() == b"\r\n"
        return found


def frames(piece: bytes) -> list[bytes]:
    assert piece.endswith(b"\n\n")
    return piece[:-2].split(b"\n\n")


def read(frame: bytes) -> Any:
    """What a frame says, without what differs from call to call."""
    found = json.loads(frame.removeprefix(b"data: "))
    for name in ("id", "inference_id", "episode_id", "created"):
        found.pop(name, None)
    return found


@FACES
def test_events_that_come_together_leave_together(
    scripted: Api, upstream: Upstream, path: str, body: dict[str, Any]
) -> None:
    together = delta(content="b") + TOOL + delta(content="c") + delta(content="d")
    upstream.say(
        [
            STREAM_HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunk(delta(content="a")),
            *(0.3, chunk(together), 0.3, chunk(delta(content="e")), 0.3),
            chunk(USAGE + DONE) + b"0\r\n\r\n",
        ]
    )
    found = [len(frames(piece)) for piece in pieces(scripted, path, body)]
    assert found == [1, 4, 1, 2]


@FACES
def test_a_stream_that_comes_byte_by_byte(
    scripted: Api, upstream: Upstream, path: str, body: dict[str, Any]
) -> None:
    events = [
        *(delta(content=text) for text in ("a", "", 'é "quoted" \n \U0001f600', "d")),
        *(TOOL, delta(content="after"), event(b"{"), USAGE, DONE),
    ]
    upstream.say(stream(*events))
    whole = [frame for piece in pieces(scripted, path, body) for frame in frames(piece)]
    data = b"".join(events)
    upstream.say(stream(*(data[at : at + 1] for at in range(len(data)))))
    by_bytes = [frame for piece in pieces(scripted, path, body) for frame in frames(piece)]
    assert whole[-1] == by_bytes[-1] == b"data: [DONE]"
    assert [read(frame) for frame in by_bytes[:-1]] == [read(frame) for frame in whole[:-1]]
    assert len(whole) == 9


def test_a_client_that_leaves_amid_texts_is_recorded_whole(
    scripted: Api, upstream: Upstream
) -> None:
    texts = [str(number) for number in range(40)]
    upstream.say(
        [
            STREAM_HEAD + b"transfer-encoding: chunked\r\n\r\n",
            *(step for text in texts for step in (chunk(delta(content=text)), 0.01)),
            chunk(USAGE + DONE) + b"0\r\n\r\n",
        ]
    )
    data = json.dumps({**NATIVE[1], "stream": True}).encode()
    host, port = scripted.gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as link:
        link.sendall(
            b"POST /inference HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data) + data
        )
        got = b""
        while got.count(b"data: ") < 5:
            got += link.recv(4096)
    inference_id = json.loads(got[got.index(b"data: ") + 6 :].split(b"\n")[0])["inference_id"]
    assert scripted.row(inference_id)["output"] == [{"type": "text", "text": "".join(texts)}]
    model = scripted.model_row(inference_id)
    assert model["output_tokens"] == 2
    assert len(model["raw_response"].split("\n")) == 41
