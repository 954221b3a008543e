"""Answers written in one pass are what orjson writes of the same dictionary, byte for byte."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.types.content import CheckedToolCall, Text, Thought
from tensorzero.types.usage import Usage
from tzcore.answers import AnswerWriter

texts = st.text()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
blocks = st.one_of(
    texts.map(Text),
    texts.map(Thought),
    st.builds(CheckedToolCall, texts, texts, texts, st.none() | texts, json_values),
)
counts = st.none() | st.integers(0, 2**32 - 1)
usages = st.builds(
    Usage, counts, counts, counts, counts, st.none() | st.decimals(0, 100, places=6).map(Decimal)
)
extras = st.none() | st.dictionaries(texts, json_values, max_size=2)
reasons = st.none() | st.sampled_from(["stop", "length"])
WRITER = AnswerWriter(Text)


def _rest(usage: Usage, extra: dict[str, Any] | None, reason: str | None) -> dict[str, Any]:
    rest: dict[str, Any] = {"usage": usage.to_json(), **(extra or {})}
    if reason is not None:
        rest["finish_reason"] = reason
    return rest


@settings(max_examples=300, deadline=None)
@given(texts, st.lists(blocks, max_size=3), usages, extras, reasons)
def test_a_chat_answer(
    variant: str,
    content: list[Any],
    usage: Usage,
    extra: dict[str, Any] | None,
    reason: str | None,
) -> None:
    head = {"inference_id": "i", "episode_id": "e", "variant_name": variant}
    expected = {**head, "content": [block.to_json() for block in content]}
    written = WRITER.chat("i", "e", variant, content, usage, extra, reason)
    assert written == orjson.dumps(expected)[:-1] + b"," + _members(_rest(usage, extra, reason))


@settings(max_examples=200, deadline=None)
@given(st.none() | texts, json_values, usages, extras, reasons)
def test_a_json_answer(
    raw: str | None, parsed: Any, usage: Usage, extra: dict[str, Any] | None, reason: str | None
) -> None:
    expected = {
        "inference_id": "i",
        "episode_id": "e",
        "variant_name": "v",
        "output": {"raw": raw, "parsed": parsed},
    }
    written = WRITER.json("i", "e", "v", raw, parsed, usage, extra, reason)
    assert written == orjson.dumps(expected)[:-1] + b"," + _members(_rest(usage, extra, reason))


def _members(fields: dict[str, Any]) -> bytes:
    """The members of an object with its closing brace."""
    return orjson.dumps(fields)[1:]
