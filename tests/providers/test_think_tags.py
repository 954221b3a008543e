"""Thoughts between ``<think>`` and ``</think>``: fireworks and together."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.calls import assistant, request
from providers.family import BY_TYPE, Sheet
from tensorzero.functions.merge import StreamMerger
from tensorzero.providers.chat_completions.think import ThinkAnswers, ThinkReader
from tensorzero.types.content import Text, Thought, ToolCall
from tensorzero.types.errors import InvalidMessage
from tensorzero.types.model import TextChunk, ThoughtChunk
from upstream.scripted import DONE, answer, event, stream

TAGS = {"reasoning_format": "think_tags"}
FIELD = {"reasoning_format": "reasoning_field"}
both = pytest.mark.parametrize(
    "sheet", [BY_TYPE["fireworks"], BY_TYPE["together"]], ids=["fireworks", "together"]
)


def completion(**message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


@both
@pytest.mark.parametrize(
    ("text", "thought", "rest"),
    [
        ("<think>a</think>b", "a", "b"),
        ("<think>\n a \n</think>\n\nb", "\n a \n", "\n\nb"),
        ("x<think>a</think>b", "a", "xb"),
        ("<think>a</think>", "a", None),
        ("<think></think>b", "", "b"),
        ("no tags < here >", None, "no tags < here >"),
        ("", None, ""),
    ],
)
def test_complete_answers(sheet: Sheet, text: str, thought: str | None, rest: str | None) -> None:
    wanted: list[Any] = []
    if thought is not None:
        wanted.append(Thought(thought, provider_type=sheet.type, extra_data=TAGS))
    if rest is not None:
        wanted.append(Text(rest))
    assert sheet.call(request(), answer(completion(content=text))).answered().output == wanted


@both
@pytest.mark.parametrize(
    "text",
    [
        "<think>a",
        "a</think>",
        "<think>a</think><think>b</think>",
        "</think>a<think>",
        "<think><think>",
    ],
)
def test_tags_that_do_not_match(sheet: Sheet, text: str) -> None:
    error = sheet.call(request(), answer(completion(content=text))).failed()
    assert error.kind == "InferenceServer" and "think>`" in str(error)


@both
def test_a_reasoning_field_stands_before_a_tag(sheet: Sheet) -> None:
    body = completion(content="<think>a</think>b", reasoning_content="field")
    assert sheet.call(request(), answer(body)).answered().output == [
        Thought("field", provider_type=sheet.type, extra_data=FIELD),
        Thought("a", provider_type=sheet.type, extra_data=TAGS),
        Text("b"),
    ]


def delta(text: str, finish: Any = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}


def streamed(sheet: Sheet, *deltas: Any) -> list[Any]:
    events = [event(delta(one) if isinstance(one, str) else one) for one in deltas]
    return sheet.call(request(stream=True), stream(*events, DONE)).items


@both
def test_a_stream_with_tags_in_deltas_of_their_own(sheet: Sheet) -> None:
    chunks = streamed(sheet, " ", "<think>", "Hm", ".", "</think>", "So", "", delta("!", "stop"))

    def thought(text: str) -> ThoughtChunk:
        return ThoughtChunk("1", text, provider_type=sheet.type, extra_data=TAGS)

    assert [one.content for one in chunks] == [
        [TextChunk("0", " ")],
        [],
        [thought("Hm")],
        [thought(".")],
        [],
        [TextChunk("2", "So")],
        [TextChunk("2", "")],
        [TextChunk("2", "!")],
    ]


def merged(text_parts: list[str]) -> list[Any]:
    reader = ThinkReader(ThinkAnswers("together"), "id")
    merger = StreamMerger(json=False)
    for part in text_parts:
        merger.add(reader.chunk(orjson.dumps(delta(part))))
    merger.add(reader.chunk(orjson.dumps(delta("", "stop"))))
    return merger.output()


words = st.text("ab <>/think\n", max_size=12).filter(lambda one: "think>" not in one)


@settings(max_examples=300, deadline=None)
@given(words, words, words, st.booleans(), st.data())
def test_however_a_stream_is_cut(
    before: str, inside: str, after: str, thinks: bool, data: st.DataObject
) -> None:
    """The blocks are those of the whole text: tags may be spread over deltas, or share one."""
    whole = f"{before}<think>{inside}</think>{after}" if thinks else before + after
    if not thinks and ("<think>" in whole or "</think>" in whole):
        return
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=12)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    wanted: list[Any] = []
    texts = (before, after) if thinks else (whole, "")
    for place, text in enumerate(texts):
        if place == 1 and thinks and inside:
            wanted.append(Thought(inside, provider_type="together", extra_data=TAGS))
        if text:
            wanted.append(Text(text))
    found = [one for one in merged(parts) if one != Thought(None, None, None, "together", TAGS)]
    assert found == wanted


def test_a_stream_of_single_characters() -> None:
    assert merged(list("x<think>a<b</think>c<")) == [
        Text("x"),
        Thought("a<b", provider_type="together", extra_data=TAGS),
        Text("c<"),
    ]


@both
@pytest.mark.parametrize(
    "deltas",
    [["a", "</think>"], ["<think>", "<think>"], ["<think>a</think>", "b<think>"]],
    ids=["close first", "open twice", "again"],
)
def test_a_tag_in_a_wrong_place_is_an_error(sheet: Sheet, deltas: list[str]) -> None:
    _, error, last = streamed(sheet, *deltas, "after")
    assert error.kind == "InferenceServer" and "Unexpected `" in str(error)
    assert len(last.content) == 1


def sent(sheet: Sheet, *blocks: Any) -> Any:
    body = orjson.loads(sheet.sent(request(assistant(*blocks))))
    return body["messages"][0]


@both
def test_thoughts_go_back_in_their_form(sheet: Sheet) -> None:
    tagged = [Thought(one, extra_data=TAGS) for one in ("a", "b")]
    field = [Thought("c", extra_data=FIELD), Thought("d")]
    assert sent(sheet, *tagged, *field, "so") == {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "<think>a\n\nb</think>"},
            {"type": "text", "text": "so"},
        ],
        sheet.writes: "c\n\nd",
    }
    assert sent(sheet, tagged[0]) == {"role": "assistant", "content": "<think>a</think>"}
    call = ToolCall("1", "f", "{}")
    assert sent(sheet, tagged[0], call)["content"] == "<think>a</think>"


@both
def test_a_thought_of_an_unknown_form(sheet: Sheet) -> None:
    thought = Thought("a", extra_data={"reasoning_format": "other"})
    outcome = sheet.call(request(assistant(thought, "b")))
    assert isinstance(outcome.failed(), InvalidMessage)
    assert outcome.seen == []


def test_cached_tokens_of_fireworks() -> None:
    body = {**completion(content="a"), "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    body["usage"]["prompt_tokens_details"] = {"cached_tokens": 3}
    for header, cached in (("7", 7), ("", None), ("x", None), (None, 3)):
        lines = [] if header is None else [f"fireworks-cached-prompt-tokens: {header}"]
        script = answer(body, "200 OK", *lines)
        answered = BY_TYPE["fireworks"].call(request(), script).answered()
        assert answered.usage.provider_cache_read_input_tokens == cached
