"""Events of a stream that carry one piece of text and nothing else: nearly all of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder

from tensorzero.providers.chat_completions.answers import PlainMessage
from tensorzero.providers.commonest import OTHER_FORM
from tensorzero.types.model import TextChunk
from tzcore.streams import TextAt


class _Choice(Struct, gc=False):
    delta: PlainMessage
    finish_reason: None = None


class _Event(Struct, gc=False):
    choices: Annotated[list[_Choice], Meta(min_length=1, max_length=1)]
    usage: None = None


read_text_delta = TextAt(
    Decoder(_Event).decode,
    OTHER_FORM,
    ("choices", 0, "delta", "content"),
    TextChunk,
    "0",
)
"""The text, ``None`` for an event of any other form."""
