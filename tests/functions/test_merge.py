"""Chunks of a stream put together: the rules of the contract, and that cutting makes no difference."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.functions.merge import StreamMerger
from tensorzero.types.content import Text, Thought, ToolCall, Unknown
from tensorzero.types.model import (
    ChunkBlock,
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
    UnknownChunk,
)
from tensorzero.types.usage import Usage


def merge(*chunks: list[ChunkBlock], json: bool = False) -> StreamMerger:
    merger = StreamMerger(json=json)
    for blocks in chunks:
        merger.add(ProviderChunk(blocks, "x"))
    return merger


def thought(block_id: str = "1", **fields: Any) -> ThoughtChunk:
    return ThoughtChunk(block_id, **fields)


def test_blocks_are_told_apart_by_kind_and_id_and_stand_where_they_began() -> None:
    output = merge(
        [thought(text="t1")],
        [TextChunk("0", "a"), ToolCallChunk("c1", "f", "{")],
        [TextChunk("1", "x")],
        [ToolCallChunk("c2", "g", "["), TextChunk("0", "b")],
        [ToolCallChunk("c1", None, "}"), thought(text="t2"), ToolCallChunk("c2", None, "]")],
        [ToolCallChunk("0", "h", "")],
    ).output()
    assert output == [
        Thought("t1t2"),
        Text("ab"),
        ToolCall("c1", "f", "{}"),
        Text("x"),
        ToolCall("c2", "g", "[]"),
        ToolCall("0", "h", ""),
    ]


def test_only_a_text_that_is_not_empty_makes_a_block() -> None:
    assert merge([TextChunk("0", "")], [thought(text="")], []).output() == []
    assert merge([TextChunk("0", "")], [TextChunk("1", "b")], [TextChunk("0", "a")]).output() == [
        Text("b"),
        Text("a"),
    ]
    assert merge([TextChunk("0", "a")], [TextChunk("0", "")]).output() == [Text("a")]


def test_tool_names_are_deltas_too() -> None:
    assert merge(
        [ToolCallChunk("c", "wea", "")],
        [ToolCallChunk("c", "ther", "{")],
        [ToolCallChunk("c", None, "}")],
    ).output() == [ToolCall("c", "weather", "{}")]


def test_thoughts() -> None:
    output = merge(
        [thought(signature="s1", provider_type="openai")],
        [thought(signature="s2"), thought("2", text="other")],
        [thought(summary_id="b", summary_text="B1"), thought(summary_id="a", summary_text="A")],
        [thought(summary_id="b", summary_text="B2", extra_data={"format": "x"})],
    ).output()
    summary = [{"type": "summary_text", "text": text} for text in ("B1B2", "A")]
    assert output == [
        Thought(None, "s1s2", summary, "openai", {"format": "x"}),
        Thought("other"),
    ]


def test_an_unknown_block_that_comes_again_replaces_the_first() -> None:
    output = merge(
        [UnknownChunk("0", {"n": 1}, "m", "p")],
        [TextChunk("0", "a")],
        [UnknownChunk("0", {"n": 2})],
    ).output()
    assert output == [Unknown({"n": 2}), Text("a")]


def test_figures_count_by_their_maximum_and_the_last_reason_counts() -> None:
    merger = StreamMerger(json=False)
    usages = [Usage(3, None, 1), None, Usage(5, 2, None, 4), Usage(4, 7)]
    for usage, reason in zip(usages, ("stop", None, "length", None), strict=True):
        merger.add(ProviderChunk([], "x", usage, None, reason))  # type: ignore[arg-type]
    assert merger.usage == Usage(5, 7, 1, 4)
    assert merger.finish_reason == "length"


def test_raw_payloads_are_lines_and_empty_ones_are_none() -> None:
    merger = StreamMerger(json=False)
    for raw in ("a", "", "b"):
        merger.add(ProviderChunk([], raw))
    assert merger.raw_response() == "a\nb"


def test_a_json_functions_stream_is_one_text_and_one_thought() -> None:
    merger = StreamMerger(json=True)
    deltas = [
        merger.add(ProviderChunk(blocks, "x"))
        for blocks in (
            [thought(text="t1")],
            [TextChunk("0", '{"a"')],
            [ToolCallChunk("c", "respond", ":")],
            [thought("9", text="t2"), TextChunk("7", "1}")],
            [TextChunk("0", "lost"), TextChunk("1", " ")],
            [],
        )
    ]
    assert [delta or None for delta in deltas] == [None, '{"a"', ":", "1}", " ", None]
    assert merger.output() == [Thought("t1t2"), Text('{"a":1} ')]


@pytest.mark.parametrize("json", [False, True])
@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=40), cuts=st.lists(st.integers(0, 40), max_size=8))
def test_however_a_text_is_cut(json: bool, text: str, cuts: list[int]) -> None:
    marks = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in itertools.pairwise(marks)]
    whole = merge([TextChunk("0", text)], json=json).output()
    assert merge(*[[TextChunk("0", piece)] for piece in pieces], json=json).output() == whole
