"""What follows the messages in a body: made once for a variant's set of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from tensorzero.types.model import ModelRequest
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.schema import JSONSchema

MAX_TAILS = 256

Tail = TypeVar("Tail")
Key = tuple[int, bool, str, str, int]


class Tails(Generic[Tail]):
    """Tails of calls without tools, by what they are made of; ``build`` makes one.

    Sets of parameters and schemas are told apart by identity.
    """

    def __init__(self, build: Callable[[ModelRequest], Tail]) -> None:
        self._build = build
        # The objects are kept with the tail, so that their ids stay theirs.
        self._made: dict[Key, tuple[Tail, ChatCompletionParams, JSONSchema | None]] = {}

    def get(self, request: ModelRequest) -> Tail:
        params, schema = request.params, request.output_schema
        key = (id(params), request.stream, request.function_type, request.json_mode, id(schema))
        made = self._made.get(key)
        if made is None:
            made = (self._build(request), params, schema)
            if len(self._made) >= MAX_TAILS:
                self._made.clear()
            self._made[key] = made
        return made[0]
