"""Events of a stream that carry one piece of text and nothing else: nearly all of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder

from tensorzero.providers.chat_completions.answers import PlainMessage
from tensorzero.providers.commonest import OTHER_FORM


class _Choice(Struct, gc=False):
    delta: PlainMessage
    finish_reason: None = None


class _Event(Struct, gc=False):
    choices: Annotated[list[_Choice], Meta(min_length=1, max_length=1)]
    usage: None = None


_decode = Decoder(_Event).decode


def read_text_delta(event: bytes) -> str | None:
    """The text, ``None`` for an event of any other form."""
    try:
        return _decode(event).choices[0].delta.content
    except OTHER_FORM:
        return None
