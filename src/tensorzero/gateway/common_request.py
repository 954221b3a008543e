"""The common form of an inference request, decoded and checked in one pass over its bytes.

Text messages and the plain fields: most requests are of this form. Whatever is not (any other
field, block or type, ``null``, broken JSON) is left to the complete parser, which also words the
errors: here a body is either read or passed on, never refused.
"""

from __future__ import annotations

from typing import Literal

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from tensorzero.types.content import Input, InputBlock, InputMessage, Text


class _TextBlock(Struct, forbid_unknown_fields=True, gc=False, tag="text"):
    text: str


class _Message(Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["user", "assistant"]
    content: str | list[_TextBlock]


class _Input(Struct, forbid_unknown_fields=True, gc=False):
    messages: list[_Message] = []
    system: str | None = None


class CommonRequest(Struct, forbid_unknown_fields=True, gc=False):
    """Fields and defaults are the wire's."""

    input: _Input
    function_name: str | None = None
    model_name: str | None = None
    episode_id: str | None = None
    variant_name: str | None = None
    stream: bool = False
    dryrun: bool = False
    tags: dict[str, str] = {}

    def typed_input(self) -> Input:
        """The input as the gateway knows it."""
        messages = [
            InputMessage(message.role, _blocks(message.content)) for message in self.input.messages
        ]
        return Input(messages, self.input.system)


def _blocks(content: str | list[_TextBlock]) -> list[InputBlock]:
    if isinstance(content, str):
        return [Text(content)]
    return [Text(block.text) for block in content]


_decode = Decoder(CommonRequest).decode


def read_common_request(body: bytes) -> CommonRequest | None:
    """The request, or ``None`` when it is not of the common form."""
    try:
        return _decode(body)
    except (DecodeError, ValueError):
        return None
