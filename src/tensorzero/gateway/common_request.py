"""The common form of an inference request, decoded and checked in one pass over its bytes.

Messages of texts and templates, and the plain fields: most requests are of this form. Whatever is
not (any other field, block or type, ``null``, broken JSON) is left to the complete parser, which
also words the errors: here a body is either read or passed on, never refused.
"""

from __future__ import annotations

from typing import Literal

import orjson
from msgspec import DecodeError, Raw, Struct, field
from msgspec.json import Decoder

from tensorzero.types.content import (
    Input,
    InputBlock,
    InputMessage,
    JsonObject,
    Template,
    Text,
)
from tensorzero.types.json_text import MAX_DEPTH

_NOTHING = Raw()


class TextBlock(Struct, forbid_unknown_fields=True, gc=False, tag="text"):
    text: str


class _TemplateBlock(Struct, forbid_unknown_fields=True, gc=False, tag="template"):
    name: str
    # Values of any type are read by orjson, here as in the complete parser: the two differ in
    # numbers beyond 64 bits.
    arguments: Raw


class _Message(Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["user", "assistant"]
    content: str | list[TextBlock | _TemplateBlock]


class _Input(Struct, forbid_unknown_fields=True, gc=False):
    messages: list[_Message] = []
    system: Raw = _NOTHING


class CommonRequest(Struct, forbid_unknown_fields=True, gc=False):
    """Fields and defaults are the wire's."""

    input: _Input
    function_name: str | None = None
    model_name: str | None = None
    episode_id: str | None = None
    variant_name: str | None = None
    stream: bool = False
    dryrun: bool = False
    tags: dict[str, str] = field(default_factory=dict)

    def typed_input(self) -> Input:
        """The input as the gateway knows it. Raises ``ValueError`` when it is of another form."""
        messages = [
            InputMessage(message.role, _blocks(message.content)) for message in self.input.messages
        ]
        if self.input.system is _NOTHING:
            return Input(messages)
        system = orjson.loads(memoryview(self.input.system))
        if type(system) is not str and type(system) is not dict:
            raise ValueError("neither text nor arguments")
        return Input(messages, system)


def _blocks(content: str | list[TextBlock | _TemplateBlock]) -> list[InputBlock]:
    if isinstance(content, str):
        return [Text(content)]
    return [
        Text(block.text)
        if isinstance(block, TextBlock)
        else Template(block.name, read_object(block.arguments))
        for block in content
    ]


def read_object(raw: Raw) -> JsonObject:
    """A JSON object; raises ``ValueError`` for anything else."""
    value = orjson.loads(memoryview(raw))
    if type(value) is not dict:
        raise ValueError("no object")
    return value


_decode = Decoder(CommonRequest).decode


def read_common_request(body: bytes) -> tuple[CommonRequest, Input] | None:
    """The request and its input, or ``None`` when it is not of the common form."""
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        return None  # it may be nested too deeply, which the complete parser finds out
    try:
        request = _decode(body)
        return request, request.typed_input()
    except (DecodeError, ValueError):
        return None
