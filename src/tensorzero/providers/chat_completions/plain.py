"""Bodies of text-only calls, the common case: only the messages are serialized for each call.
Whatever is not of the common form is left to the general way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from tensorzero.providers.tails import Tails
from tensorzero.types.content import Message, Text
from tensorzero.types.model import ModelRequest
from tzcore.assemble import ChatBody


class PlainBodies:
    """What follows the messages in a body is made once for a variant's set of parameters.

    ``build`` is the provider's own ``body``: it stays the one place that knows the fields.
    ``json_instruction``: whether ``json_mode = on`` changes the messages. ``lists``: content is
    sent as a list of one part, not as a string.
    """

    def __init__(
        self,
        build: Callable[[ModelRequest, list[Message], Any], dict[str, Any]],
        *,
        json_instruction: bool = True,
        lists: bool = False,
    ) -> None:
        self._build = build
        self._json_instruction = json_instruction
        self._writer = ChatBody(Text, lists)
        self._tails = Tails(self._make_tail)

    def body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        """The whole body, or ``None`` when the call is not of the common form."""
        if request.tool_config is not None:
            return None
        if request.json_mode == "on" and self._json_instruction:
            return None
        tail = self._tails.get(request)
        return None if tail is None else self._writer.body(request.system, messages, tail)

    def writer(
        self, request: ModelRequest
    ) -> Callable[[str | None, list[Message]], bytes | None] | None:
        """What writes the bodies of all calls that differ from ``request`` in their texts alone."""
        if request.tool_config is not None:
            return None
        if request.json_mode == "on" and self._json_instruction:
            return None
        tail, write = self._tails.get(request), self._writer.body
        if tail is None:
            return None
        return lambda system, messages: write(system, messages, tail)

    def _make_tail(self, request: ModelRequest) -> bytes | None:
        fields = self._build(request, [], {})
        del fields["messages"]
        try:
            return orjson.dumps(fields)[1:]
        except TypeError:  # nested too deep: the general way says so
            return None
