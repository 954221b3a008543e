"""Chunks written in one pass are what orjson writes of the same dictionary, byte for byte."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.types.model import TextChunk, ThoughtChunk, ToolCallChunk, UnknownChunk
from tzcore.chunks import ChunkWriter

texts = st.text()
blocks = st.one_of(
    st.builds(TextChunk, texts, texts),
    st.builds(ToolCallChunk, texts, st.none() | texts, texts),
    st.builds(ThoughtChunk, texts, st.none() | texts),
    st.builds(UnknownChunk, texts, st.dictionaries(texts, texts, max_size=2)),
)
extras = st.none() | st.dictionaries(texts, st.none() | texts | st.integers(0, 9), max_size=2)


def _expected(variant: str, name: str, value: Any, extra: dict[str, Any] | None) -> bytes:
    chunk = {"inference_id": "i", "episode_id": "e", "variant_name": variant, name: value}
    written = orjson.dumps(chunk)
    return written[:-1] + b"," + orjson.dumps(extra)[1:] if extra else written


@settings(max_examples=300, deadline=None)
@given(texts, st.lists(blocks, max_size=3), extras)
def test_chunks_of_chat_functions(
    variant: str, content: list[Any], extra: dict[str, Any] | None
) -> None:
    writer = ChunkWriter("i", "e", variant, TextChunk)
    expected = _expected(variant, "content", [block.to_json() for block in content], extra)
    for _ in range(2):
        assert writer.content(content, extra) == expected


@settings(max_examples=200, deadline=None)
@given(texts, texts, extras)
def test_chunks_of_json_functions(variant: str, delta: str, extra: dict[str, Any] | None) -> None:
    writer = ChunkWriter("i", "e", variant, TextChunk)
    assert writer.raw(delta, extra) == _expected(variant, "raw", delta, extra)
