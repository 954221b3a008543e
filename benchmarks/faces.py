"""The same inference through both faces, ``/inference`` and ``/openai/v1``, without sockets.

Measured in turns, so that what else the machine does strikes both alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from stages import ARGUMENTS, HotPath, run

from tensorzero.api.event_stream import EventStream, Silence
from tensorzero.api.face import Face
from tensorzero.api.native import NativeFace
from tensorzero.api.openai.chat import ChatCompletionsFace
from tensorzero.gateway.infer import infer
from tensorzero.gateway.prepare import prepare
from tensorzero.gateway.stream import open_stream

if TYPE_CHECKING:
    from tzcore.client import Receiver

ROUNDS = 60
CALLS = 20
CHUNKS = 50

BODIES: dict[str, dict[str, Any]] = {
    "native": {
        "function_name": "draft",
        "input": {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "template", "name": "user", "arguments": ARGUMENTS}],
                }
            ]
        },
        "tags": {"user": "u-4711"},
    },
    "openai": {
        "model": "tensorzero::function_name::draft",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "tensorzero::template", "name": "user", "arguments": ARGUMENTS}
                ],
            }
        ],
        "tensorzero::tags": {"user": "u-4711"},
    },
}
FACES: dict[str, Face] = {"native": NativeFace(), "openai": ChatCompletionsFace()}


class Faces:
    """One request of each face, whole and streamed."""

    def __init__(self, folder: Path) -> None:
        self.path = HotPath(folder)
        self.bodies = {name: orjson.dumps(body) for name, body in BODIES.items()}
        self.streams = {
            name: orjson.dumps({**body, "stream": True}) for name, body in BODIES.items()
        }
        # A stream asks the loop for the time, and never for anything else here.
        self.loop = asyncio.new_event_loop()
        asyncio._set_running_loop(self.loop)
        self.silence = NoSilence()
        pool: Any = self.path.services.models.context.pool
        pool.stream = self._open

    async def _open(self, *_: object, **__: object) -> MemoryStream:
        self.upstream = MemoryStream()
        return self.upstream

    def close(self) -> None:
        asyncio._set_running_loop(None)
        self.loop.close()
        self.path.close()

    def _prepared(self, name: str, bodies: Mapping[str, bytes]) -> Any:
        request = FACES[name].parse(bodies[name])
        return run(prepare(request, self.path.services, time.monotonic()))

    def whole(self, name: str) -> bytes:
        """Body in, body out."""
        return FACES[name].answer(run(infer(self._prepared(name, self.bodies))))

    def streamed(self, name: str) -> list[bytes]:
        """Body in, the frames of a stream out."""
        opened = run(open_stream(self._prepared(name, self.streams)))
        write = FACES[name].chunks(opened, error_json=False)
        exchange: Any = MemoryExchange()
        stream = EventStream(exchange, write, self.silence)
        running = opened.run(stream)
        running.send(None)  # it waits for the stream
        self.upstream.go_on()
        run(running)
        stream.end()
        sent: list[bytes] = exchange.sent
        return sent


class MemoryExchange:
    """What a client is: it keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def start_stream(self, *_: object) -> None:
        return

    def send(self, data: bytes) -> bool:
        self.sent.append(data)
        return True

    def end(self) -> None:
        return


class NoSilence(Silence):
    """Its timer needs a loop that runs."""

    def watch(self, stream: EventStream) -> None:
        return


class MemoryStream:
    """What a pool returns for a stream: events that are all there, one read each."""

    status = 200

    def header(self, name: bytes) -> bytes | None:
        return b"text/event-stream" if name == b"content-type" else None

    def push(self, receiver: Receiver) -> None:
        self.receiver = receiver
        receiver.feed(EVENTS[0])

    def go_on(self) -> None:
        for event in EVENTS[1:]:
            self.receiver.feed(event)

    def finish(self) -> None:
        return

    def close(self) -> None:
        return


def _event(**fields: Any) -> bytes:
    return b"data: " + orjson.dumps({"id": "chatcmpl-1", **fields}) + b"\n\n"


EVENTS = [
    *(
        _event(choices=[{"index": 0, "delta": {"content": "some words "}, "finish_reason": None}])
        for _ in range(CHUNKS)
    ),
    _event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    _event(choices=[], usage={"prompt_tokens": 39, "completion_tokens": 45}),
    b"data: [DONE]\n\n",
]


def compare(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of processor time a call, the best round of each, measured in turns."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            started = time.thread_time()
            for _ in range(CALLS):
                work()
            best[name] = min(best[name], (time.thread_time() - started) / CALLS)
    return best
