"""Text-only calls, the common case, both ways.

Of a body only the messages are serialized for each call; of an answer only what is used is
read. Whatever is not of the common form is left to the general way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import orjson
from msgspec import DecodeError, Meta, Struct
from msgspec.json import Decoder

from tensorzero.providers.chat_completions.answers import read_finish_reason, read_usage
from tensorzero.providers.http import Answer
from tensorzero.types.content import Message, Text
from tensorzero.types.model import ModelRequest
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.schema import JSONSchema
from tzcore.assemble import ChatBody

MAX_TAILS = 256


class _Message(Struct, gc=False):
    content: str
    tool_calls: None = None
    reasoning: None = None
    reasoning_content: None = None


class _Choice(Struct, gc=False):
    message: _Message
    finish_reason: str | None = None


class _Completion(Struct, gc=False):
    choices: Annotated[list[_Choice], Meta(min_length=1, max_length=1)]
    usage: Any = None


_decode = Decoder(_Completion).decode


def read_plain_answer(body: bytes) -> Answer | None:
    """An answer that is one text, ``None`` for any other."""
    try:
        completion = _decode(body)
    except (DecodeError, ValueError):
        return None
    choice, usage = completion.choices[0], completion.usage
    reason = read_finish_reason(choice.finish_reason)
    return Answer([Text(choice.message.content)], read_usage(usage), usage, reason)


Key = tuple[int, bool, str, int]


class PlainBodies:
    """What follows the messages in a body is made once for a variant's set of parameters.

    ``build`` is the provider's own ``body``: it stays the one place that knows the fields.
    """

    def __init__(self, build: Callable[[ModelRequest, list[Message], Any], dict[str, Any]]) -> None:
        self._build = build
        self._writer = ChatBody(Text)
        # The objects are kept with the tail, so that their ids stay theirs.
        self._tails: dict[Key, tuple[bytes, ChatCompletionParams, JSONSchema | None]] = {}

    def body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        """The whole body, or ``None`` when the call is not of the common form."""
        if request.tool_config is not None or request.json_mode == "on":
            return None
        params, schema = request.params, request.output_schema
        key = (id(params), request.stream, request.json_mode, id(schema))
        kept = self._tails.get(key)
        if kept is None:
            fields = self._build(request, [], {})
            del fields["messages"]
            try:
                tail = orjson.dumps(fields)[1:]
            except TypeError:  # nested too deep: the general way says so
                return None
            if len(self._tails) >= MAX_TAILS:
                self._tails.clear()
            kept = self._tails[key] = (tail, params, schema)
        return self._writer.body(request.system, messages, kept[0])
