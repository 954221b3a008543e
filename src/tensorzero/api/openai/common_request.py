"""The common form of a chat completion, decoded and checked in one pass over its bytes.

Like ``gateway/common_request.py``, and with the same promise: a body is read here as the complete
parser reads it, or passed on to that, never refused.
"""

from __future__ import annotations

from typing import Literal

from msgspec import DecodeError, Raw, Struct, field
from msgspec.json import Decoder

from tensorzero.gateway.common_request import TextBlock, read_object
from tensorzero.types.content import Input, InputBlock, InputMessage, Template, Text
from tensorzero.types.json_text import MAX_DEPTH


class _TemplateBlock(Struct, forbid_unknown_fields=True, gc=False, tag="tensorzero::template"):
    name: str
    arguments: Raw


class _Message(Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[TextBlock | _TemplateBlock]


class _StreamOptions(Struct, forbid_unknown_fields=True, gc=False):
    include_usage: bool = False


class CommonChatCompletion(Struct, forbid_unknown_fields=True, gc=False):
    """Fields and defaults are the wire's."""

    model: str
    messages: list[_Message]
    stream: bool = False
    stream_options: _StreamOptions | None = field(default_factory=_StreamOptions)
    dryrun: bool = field(default=False, name="tensorzero::dryrun")
    episode_id: str | None = field(default=None, name="tensorzero::episode_id")
    tags: dict[str, str] = field(default_factory=dict, name="tensorzero::tags")

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def typed_input(self) -> Input:
        """The native input. Raises ``ValueError`` when it is of another form: a system message
        that is no plain text at the start."""
        system: str | None = None
        out: list[InputMessage] = []
        for message in self.messages:
            role = message.role
            if role == "user" or role == "assistant":
                out.append(InputMessage(role, _blocks(message.content)))
            elif system is None and not out and isinstance(message.content, str):
                system = message.content
            else:
                raise ValueError("a system message of another form")
        return Input(out, system)


def _blocks(content: str | list[TextBlock | _TemplateBlock]) -> list[InputBlock]:
    if isinstance(content, str):
        return [Text(content)]
    return [
        Text(block.text)
        if isinstance(block, TextBlock)
        else Template(block.name, read_object(block.arguments))
        for block in content
    ]


_decode = Decoder(CommonChatCompletion).decode


def read_common_chat_completion(body: bytes) -> tuple[CommonChatCompletion, Input] | None:
    """The request and its input, or ``None`` when it is not of the common form."""
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        return None  # it may be nested too deeply, which the complete parser finds out
    try:
        request = _decode(body)
        return request, request.typed_input()
    except (DecodeError, ValueError):
        return None
