"""What the OpenAI-like types make of answers and of streams; what differs is in ``family``."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import MODEL_INFERENCE_ID, request
from providers.family import BY_TYPE, NAMES, SHEETS, WEATHER, Sheet
from tensorzero.config.credentials import StaticCredential
from tensorzero.functions.merge import StreamMerger
from tensorzero.types.content import Text, Thought, ToolCall
from tensorzero.types.model import (
    ChunkBlock,
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
)
from tensorzero.types.tools import ToolCallConfig
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import CLOSE, DONE, STREAM_HEAD, answer, event, stream

of_each_type = pytest.mark.parametrize("sheet", SHEETS, ids=NAMES)
FIELD = {"reasoning_format": "reasoning_field"}

USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 10,
    "total_tokens": 35,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5},
    "prompt_cache_hit_tokens": 6,
    "prompt_cache_miss_tokens": 14,
}
FIGURES = {
    "deepseek": Usage(20, 10, 6, 14),
    "tgi": Usage(20, 10),
    "xai": Usage(20, 15, 4),
}
CALLS = [
    {"id": f"call_{n}", "type": "function", "function": {"name": n, "arguments": f'{{"{n}":1}}'}}
    for n in ("f", "g")
]


def completion(finish: Any = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    body = {"id": "x", "object": "chat.completion", "model": "m1", "choices": [choice]}
    return body if usage is None else {**body, "usage": usage}


@of_each_type
def test_a_text_with_its_usage(sheet: Sheet) -> None:
    body = completion(content="caf\u00e9", tool_calls=[], refusal=None, usage=USAGE)
    answered = sheet.call(request(), answer(body)).answered()
    assert answered.output == [Text("caf\u00e9")]
    assert answered.usage == FIGURES.get(sheet.type, Usage(20, 10, 4))
    raw = RawUsage(MODEL_INFERENCE_ID, sheet.type, "chat_completions", USAGE)
    assert (answered.raw_usage, answered.finish_reason) == (raw, "stop")
    assert answered.raw_response == orjson.dumps(body).decode()


@of_each_type
def test_no_usage_is_unknown(sheet: Sheet) -> None:
    answered = sheet.call(request(), answer(completion(content="a"))).answered()
    assert (answered.usage, answered.raw_usage) == (Usage(), None)


def thought_of(sheet: Sheet, text: str) -> Thought:
    extra = dict(FIELD) if sheet.type in ("fireworks", "together") else None
    return Thought(text, provider_type=sheet.type, extra_data=extra)


@of_each_type
def test_thought_text_and_tool_calls(sheet: Sheet) -> None:
    fields: dict[str, Any] = {"content": "so", "tool_calls": CALLS}
    thoughts = []
    if sheet.reads is not None:
        fields[sheet.reads] = "why"
        thoughts = [thought_of(sheet, "why")]
    answered = sheet.call(request(), answer(completion("tool_calls", **fields))).answered()
    assert answered.output == [
        *thoughts,
        Text("so"),
        ToolCall("call_f", "f", '{"f":1}'),
        ToolCall("call_g", "g", '{"g":1}'),
    ]
    assert answered.finish_reason == "tool_call"


@of_each_type
def test_nothing_but_tool_calls(sheet: Sheet) -> None:
    body = completion("tool_calls", content=None, tool_calls=CALLS[:1])
    assert sheet.call(request(), answer(body)).answered().output == [
        ToolCall("call_f", "f", '{"f":1}')
    ]


REASONS = [
    ("stop", "stop"),
    ("length", "length"),
    ("content_filter", "content_filter"),
    ("tool_calls", "tool_call"),
    ("new", "unknown"),
    ("", None),
    (None, None),
]
OWN_REASONS = [
    ("together", "eos", "stop"),
    ("mistral", "model_length", "length"),
    ("mistral", "error", "unknown"),
    ("tgi", "stop_sequence", "stop_sequence"),
    ("fireworks", "function_call", "unknown"),
    ("xai", "function_call", "tool_call"),
    ("vllm", "eos", "unknown"),
]


def delta(finish: Any = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [(name, *pair) for name in NAMES for pair in REASONS] + OWN_REASONS,
)
def test_finish_reasons(name: str, theirs: Any, ours: Any) -> None:
    sheet = BY_TYPE[name]
    body = completion(theirs, content="a")
    assert sheet.call(request(), answer(body)).answered().finish_reason == ours
    (only,) = sheet.call(
        request(stream=True), stream(event(delta(theirs, content="a")), DONE)
    ).items
    assert (only.finish_reason, only.content) == (ours, [TextChunk("0", "a")])


REFUSALS = [
    ("400 Bad Request", 400, "Error 400 Bad Request from {} client: "),
    ("401 Unauthorized", 401, "Error 401 Unauthorized from {} client: "),
    ("429 Too Many Requests", 429, "Error 429 Too Many Requests from {} client: "),
    ("404 Not Found", 500, "Error from {} server: "),
    ("500 Internal Server Error", 500, "Error from {} server: "),
]


@of_each_type
@pytest.mark.parametrize(("line", "status", "text"), REFUSALS)
def test_refusals(sheet: Sheet, line: str, status: int, text: str) -> None:
    body = b'{"error":"key-of-a-test is wrong"}'
    key = StaticCredential("key-of-a-test")
    error = sheet.call(request(), answer(body, line), credential=key).failed()
    shown = '{"error":"[redacted] is wrong"}'
    assert (str(error), error.status) == (text.format(sheet.type) + shown, status)
    assert [raw.data for raw in error.raw_responses()] == [shown]
    opened = sheet.call(request(stream=True), answer(body, line), credential=key).failed()
    assert (opened.kind, opened.status) == ("FatalStreamError", 500)
    assert f"from {sheet.type} server: Invalid status code: {line}: {shown}" in str(opened)


GARBAGE: list[tuple[Any, str]] = [
    (b"<html>", "Error parsing JSON response: "),
    (b"[]", "missing field `choices`"),
    ({"choices": []}, "invalid number of choices: 0"),
    ({"choices": [{}, {}]}, "invalid number of choices: 2"),
    ({"choices": [{}]}, "missing field `message`"),
    ({"error": {"message": "busy"}}, 'missing field `choices`: {"message":"busy"}'),
    (completion(content=7), "`content` is not a "),
    (completion(content=None, tool_calls=[{"id": "1"}]), "a tool call without `function`"),
]


@of_each_type
@pytest.mark.parametrize(("body", "text"), GARBAGE)
def test_an_answer_that_cannot_be_read(sheet: Sheet, body: Any, text: str) -> None:
    error = sheet.call(request(), answer(body)).failed()
    assert (error.kind, error.status) == ("InferenceServer", 500)
    assert str(error).startswith(f"Error from {sheet.type} server: Error parsing JSON response: ")
    assert text in str(error)


# --- streams --------------------------------------------------------------------------------------


def tool(index: int, call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if name is not None:
        entry["function"]["name"] = name
    if call_id is not None:
        entry["id"] = call_id
    return entry


def events_of(sheet: Sheet) -> list[tuple[dict[str, Any], list[ChunkBlock]]]:
    """Events, and the blocks that they carry."""
    found: list[tuple[dict[str, Any], list[ChunkBlock]]] = []
    if sheet.reads is not None:
        thought = thought_of(sheet, "Hm, caf\u00e9")
        block = ThoughtChunk(
            sheet.stream_thought_id,
            thought.text,
            provider_type=sheet.type,
            extra_data=thought.extra_data,
        )
        found.append((delta(**{sheet.reads: "Hm, caf\u00e9"}), [block]))
    found += [
        (delta(role="assistant", content="Hel"), [TextChunk("0", "Hel")]),
        (delta(content="lo \u20ac", tool_calls=[]), [TextChunk("0", "lo \u20ac")]),
    ]
    if sheet.type != "tgi":
        first, second = tool(0, "call_f", "f", ""), tool(1, "call_g", "g", '{"g"')
        found += [
            (delta(tool_calls=[first]), [ToolCallChunk("call_f", "f", "")]),
            (
                delta(tool_calls=[second, tool(0, None, None, '{"f":')]),
                [ToolCallChunk("call_g", "g", '{"g"'), ToolCallChunk("call_f", None, '{"f":')],
            ),
            (
                delta(tool_calls=[tool(0, "", None, "1}"), tool(1, None, None, ":1}")]),
                [ToolCallChunk("call_f", None, "1}"), ToolCallChunk("call_g", None, ":1}")],
            ),
        ]
    return found


@of_each_type
def test_a_stream_and_its_merged_answer(sheet: Sheet) -> None:
    events = events_of(sheet)
    last = [delta("stop"), {"choices": [], "usage": USAGE}]
    payload = b"".join(event(one) for one, _ in events) + b"".join(map(event, last)) + DONE
    chunks = sheet.call(request(stream=True), stream(payload)).items
    assert [one.content for one in chunks] == [blocks for _, blocks in events] + [[], []]
    assert chunks[-2].finish_reason == "stop"
    assert chunks[-1].usage == FIGURES.get(sheet.type, Usage(20, 10, 4))
    assert chunks[-1].raw_usage == RawUsage(
        MODEL_INFERENCE_ID, sheet.type, "chat_completions", USAGE
    )
    merger = StreamMerger(json=False)
    for one in chunks:
        merger.add(one)
    calls = [ToolCall("call_f", "f", '{"f":1}'), ToolCall("call_g", "g", '{"g":1}')]
    assert merger.output() == [
        *([] if sheet.reads is None else [thought_of(sheet, "Hm, caf\u00e9")]),
        Text("Hello \u20ac"),
        *([] if sheet.type == "tgi" else calls),
    ]
    assert merger.raw_response().count("\n") == len(events) + 1


@of_each_type
def test_a_stream_cut_at_every_byte(sheet: Sheet) -> None:
    events = events_of(sheet)
    lines = b": OPENROUTER PROCESSING\n\n" + b"".join(event(one) for one, _ in events) + DONE
    whole = STREAM_HEAD + b"content-length: %d\r\n\r\n" % len(lines) + lines
    script: list[Any] = []
    for at in range(len(whole)):
        script += [whole[at : at + 1], 0.0]
    chunks = sheet.call(request(stream=True), script).items
    assert [one.content for one in chunks] == [blocks for _, blocks in events]
    assert [one.raw for one in chunks] == [orjson.dumps(one).decode() for one, _ in events]


BAD_EVENTS: list[tuple[bytes, str]] = [
    (b"{", ""),
    (b'{"error":{"message":"overloaded","code":502}}', '{"message":"overloaded","code":502}'),
    (
        b'{"error":{"code":502},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}',
        '{"code":502}',
    ),
    (b'{"choices":[{},{}]}', "invalid number of choices: 2"),
    (b'{"choices":[{"delta":{"content":7}}]}', "`content` is not a "),
    (b'{"choices":[{"delta":{"tool_calls":[{"index":3}]}}]}', ""),
]


@of_each_type
@pytest.mark.parametrize(("bad", "text"), BAD_EVENTS)
def test_a_bad_event_is_an_error_and_the_stream_goes_on(
    sheet: Sheet, bad: bytes, text: str
) -> None:
    script = stream(event(delta(content="a")), event(bad), event(delta(content="b")), DONE)
    first, error, last = sheet.call(request(stream=True), script).items
    assert error.kind == "InferenceServer"
    begin = f"Error from {sheet.type} server: Error parsing chunk. Error: "
    assert str(error).startswith(begin) and text in str(error)
    assert [first.content, last.content] == [[TextChunk("0", "a")], [TextChunk("0", "b")]]


@of_each_type
def test_a_stream_that_breaks_off_or_is_none(sheet: Sheet) -> None:
    script = stream(event(delta(content="a")), end=[CLOSE])
    first, error = sheet.call(request(stream=True), script).items
    assert isinstance(first, ProviderChunk) and error.kind == "FatalStreamError"
    assert f"error from {sheet.type} server: " in str(error)
    refused = sheet.call(request(stream=True), answer(b"{}")).failed()
    assert "Invalid content type: `application/json`: {}" in str(refused)


def test_tgi_has_no_tools_in_streams() -> None:
    given = request(stream=True, tool_config=ToolCallConfig((WEATHER,)))
    outcome = BY_TYPE["tgi"].call(given)
    error = outcome.failed()
    assert (error.kind, error.status, outcome.seen) == ("InvalidTool", 500, [])
    script = stream(event(delta(tool_calls=[tool(0, "1", "f", "")])), DONE)
    (bad,) = BY_TYPE["tgi"].call(request(stream=True), script).items
    assert "tgi does not support tools in streams" in str(bad)
