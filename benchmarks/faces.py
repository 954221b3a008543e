"""The same inference through both faces, ``/inference`` and ``/openai/v1``, without sockets.

Measured in turns, so that what else the machine does strikes both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from stages import ARGUMENTS, HotPath, run

from tensorzero.api.face import Face
from tensorzero.api.native import NativeFace
from tensorzero.api.openai.chat import ChatCompletionsFace
from tensorzero.gateway.chunks import AnswerChunk, LastChunk, StreamEvent
from tensorzero.gateway.infer import infer
from tensorzero.gateway.prepare import prepare
from tensorzero.types.model import TextChunk
from tensorzero.types.usage import Usage

ROUNDS = 60
CALLS = 50
CHUNKS = 50

BODIES = {
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

    def close(self) -> None:
        self.path.close()

    def _prepared(self, name: str) -> Any:
        request = FACES[name].parse(self.bodies[name])
        return run(prepare(request, self.path.services, time.monotonic()))

    def whole(self, name: str) -> bytes:
        """Body in, body out."""
        return FACES[name].answer(run(infer(self._prepared(name))))

    def written(self, name: str) -> Callable[[], object]:
        """Writes the chunks of a stream."""
        stream: Any = SimpleNamespace(
            inference=self._prepared(name), variant_name="first", json=False
        )
        events: list[StreamEvent] = [
            AnswerChunk([TextChunk("0", "some words of it ")]) for _ in range(CHUNKS)
        ]
        events.append(LastChunk(Usage(39, 45), "stop"))
        face = FACES[name]

        def work() -> object:
            write = face.chunks(stream, error_json=False)
            return [write(event) for event in events]

        return work


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
