"""The short ways of Converse's commonest forms agree with the general ones, on any JSON."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.providers.aws.converse import ConverseReader, read_answer, read_plain_answer
from tensorzero.providers.aws.event_stream import Frame
from tensorzero.providers.failures import UNREADABLE
from tensorzero.types.model import Attempt

ATTEMPT = Attempt("m", "p", "0190f000-0000-7000-8000-000000000009", {})
EVENT_TYPES = (
    *("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop"),
    *("messageStop", "metadata", "other", ""),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**33) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects that may lack any of these members, and may have others."""
    known = st.fixed_dictionaries({}, optional=members)
    return st.tuples(known, st.dictionaries(TEXTS, ANYTHING, max_size=1)).map(
        lambda both: {**both[1], **both[0]}
    )


def often(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, strategy, ANYTHING)


TOOL = often(some(toolUseId=often(TEXTS), name=often(TEXTS), input=ANYTHING))
REASONING = often(
    some(
        reasoningText=often(some(text=often(TEXTS), signature=often(TEXTS))),
        redactedContent=often(TEXTS),
        text=often(TEXTS),
        signature=often(TEXTS),
    )
)
BLOCK = often(some(text=often(TEXTS), toolUse=TOOL, reasoningContent=REASONING))
USAGE = often(
    some(
        inputTokens=often(st.integers(0, 9)),
        outputTokens=often(st.integers(0, 9)),
        cacheReadInputTokens=often(st.integers(0, 9)),
        cacheWriteInputTokens=often(st.integers(0, 9)),
    )
)
REASON = often(st.sampled_from(["end_turn", "max_tokens", "tool_use", "else"]))
ANSWER = often(
    some(
        output=often(
            some(message=often(some(content=often(st.lists(BLOCK, max_size=2)), role=TEXTS)))
        ),
        stopReason=REASON,
        usage=USAGE,
    )
)
EVENT = often(
    some(
        contentBlockIndex=often(st.integers(0, 3)),
        delta=BLOCK,
        start=often(some(toolUse=TOOL)),
        stopReason=REASON,
        usage=USAGE,
    )
)


@settings(deadline=None, max_examples=150)
@given(ANSWER)
def test_any_answer(body: Any) -> None:
    """Read alike by both ways, or refused with a reason."""
    data = orjson.dumps(body)
    plain = read_plain_answer(data)
    try:
        general = read_answer(orjson.loads(data), provider_type="aws_bedrock", attempt=ATTEMPT)
    except UNREADABLE as error:
        assert plain is None, error
        return
    if plain is not None:
        assert plain == general


def reader(discards: bool = False) -> ConverseReader:
    return ConverseReader("aws_bedrock", ATTEMPT, discards_unknown=discards)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.sampled_from(EVENT_TYPES), EVENT), max_size=4), st.booleans())
def test_any_events(events: list[tuple[str, Any]], discards: bool) -> None:
    """Chunks or reasons, never anything else; a raw text is the event's own."""
    reads = reader(discards)
    for kind, body in events:
        data = orjson.dumps(body)
        try:
            chunk = reads.chunk(Frame(data, kind))
        except UNREADABLE:
            continue
        assert chunk is None or chunk.raw == data.decode()


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=40), st.sampled_from(EVENT_TYPES))
def test_any_bytes(data: bytes, kind: str) -> None:
    try:
        reader().chunk(Frame(data, kind))
    except UNREADABLE:
        return


@settings(deadline=None, max_examples=60)
@given(st.integers(-3, 300), TEXTS, st.booleans())
def test_a_text_delta_by_both_ways(index: int, text: str, prefilled: bool) -> None:
    """A member that the short way does not know sends an event the general way."""
    delta: dict[str, Any] = {"contentBlockIndex": index, "delta": {"text": text}}
    longer = {"contentBlockIndex": index, "delta": {"text": text, "new": 1}}
    short, general = reader(), reader()
    short.prefilled = general.prefilled = prefilled
    one = short.chunk(Frame(orjson.dumps(delta), "contentBlockDelta"))
    other = general.chunk(Frame(orjson.dumps(longer), "contentBlockDelta"))
    assert one is not None and other is not None
    assert one.content == other.content
    assert short.prefilled == general.prefilled
