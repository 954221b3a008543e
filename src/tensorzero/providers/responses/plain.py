"""The commonest forms of the Responses API, read in one pass: an answer that is one text, an
event that carries a piece of text. Whatever is of another form is left to the general way.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.json import Decoder

from tensorzero.providers.commonest import OTHER_FORM, CommonUsage
from tensorzero.providers.http import Answer
from tensorzero.providers.responses.answers import read_usage
from tensorzero.types.content import Text
from tensorzero.types.model import TextChunk


class _Part(Struct, gc=False):
    type: Literal["output_text"]
    text: str


class _Item(Struct, gc=False):
    type: Literal["message"]
    role: Literal["assistant"]
    content: Annotated[list[_Part], Meta(min_length=1, max_length=1)]


class _Response(Struct, gc=False):
    output: Annotated[list[_Item], Meta(min_length=1, max_length=1)]
    usage: CommonUsage = None
    error: None = None
    incomplete_details: None = None


class _Delta(Struct, gc=False):
    type: Literal["response.output_text.delta"]
    delta: str
    content_index: int = 0


_decode_response = Decoder(_Response).decode
_decode_delta = Decoder(_Delta).decode


def read_plain_answer(body: bytes) -> Answer | None:
    """An answer that is one text, ``None`` for any other."""
    try:
        response = _decode_response(body)
    except OTHER_FORM:
        return None
    usage = response.usage
    return Answer([Text(response.output[0].content[0].text)], read_usage(usage), usage)


def read_text_delta(event: bytes) -> TextChunk | None:
    """The chunk of a piece of text, ``None`` for an event of any other form."""
    try:
        delta = _decode_delta(event)
    except OTHER_FORM:
        return None
    return TextChunk(str(delta.content_index), delta.delta)
