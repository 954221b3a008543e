"""What becomes of streams of the Messages API, however their bytes are cut."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import MODEL_INFERENCE_ID, assistant, request
from providers.claude import (
    ANTHROPIC,
    BOTH,
    KEY,
    OPENING,
    PING,
    STOP,
    VERTEX,
    ask,
    delta,
    ending,
    event,
    says,
    start,
    stop,
    streamed,
)
from tensorzero.functions.merge import StreamMerger
from tensorzero.types.content import Text, Thought, ToolCall, Unknown
from tensorzero.types.model import (
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
    UnknownChunk,
)
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import CLOSE, RESET, STREAM_HEAD, Script, Step, answer, stream

both = pytest.mark.parametrize("type", BOTH)

SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"a": "é"}]}
CITED = {"type": "citations_delta", "citation": {"cited_text": "x"}}
EVENTS = [
    OPENING,
    start(0, "thinking", thinking="", signature=""),
    PING,
    delta(0, "thinking_delta", thinking="Hm, "),
    delta(0, "thinking_delta", thinking="café."),
    delta(0, "signature_delta", signature="sig=="),
    stop(0),
    start(1, "redacted_thinking", data="hidden=="),
    stop(1),
    start(2, "text", text=""),
    delta(2, "text_delta", text="Hel"),
    delta(2, "text_delta", text="lo €"),
    stop(2),
    start(3, "tool_use", id="toolu_a", name="weather", input={}),
    start(4, "tool_use", id="toolu_b", name="time", input={"ignored": 1}),
    delta(3, "input_json_delta", partial_json=""),
    delta(4, "input_json_delta", partial_json='{"z"'),
    delta(3, "input_json_delta", partial_json='{"city":'),
    delta(3, "input_json_delta", partial_json='"Lyon"}'),
    delta(4, "input_json_delta", partial_json=":1}"),
    stop(3),
    stop(4),
    event("content_block_start", index=5, content_block=SEARCH),
    delta(5, "input_json_delta", partial_json='{"query":"x"}'),
    event("content_block_start", index=6, content_block=FOUND),
    event("content_block_delta", index=2, delta=CITED),
    ending("tool_use", output_tokens=42),
    STOP,
]
SILENT = ("ping", "content_block_stop", "message_stop")


def payload(one: bytes) -> str:
    return one.partition(b"data: ")[2].strip().decode()


def shown(*events: bytes) -> list[str]:
    """What is recorded of these events."""
    payloads = [payload(one) for one in events]
    return [one for one in payloads if orjson.loads(one)["type"] not in SILENT]


@both
def test_every_kind_of_event(type: str) -> None:
    chunks = streamed(type, *EVENTS)
    assert [one.raw for one in chunks] == shown(*EVENTS)
    assert [one.content for one in chunks] == [
        [],
        [ThoughtChunk("0", "", "", provider_type=type)],
        [ThoughtChunk("0", "Hm, ", provider_type=type)],
        [ThoughtChunk("0", "café.", provider_type=type)],
        [ThoughtChunk("0", None, "sig==", provider_type=type)],
        [ThoughtChunk("1", None, "hidden==", provider_type=type)],
        [TextChunk("2", "")],
        [TextChunk("2", "Hel")],
        [TextChunk("2", "lo €")],
        [ToolCallChunk("toolu_a", "weather", "")],
        [ToolCallChunk("toolu_b", "time", "")],
        [ToolCallChunk("toolu_a", None, "")],
        [ToolCallChunk("toolu_b", None, '{"z"')],
        [ToolCallChunk("toolu_a", None, '{"city":')],
        [ToolCallChunk("toolu_a", None, '"Lyon"}')],
        [ToolCallChunk("toolu_b", None, ":1}")],
        [UnknownChunk("5", SEARCH, "m", "p")],
        [],
        [UnknownChunk("6", FOUND, "m", "p")],
        [UnknownChunk("2", CITED, "m", "p")],
        [],
    ]
    assert [one.finish_reason for one in chunks] == [None] * 20 + ["tool_call"]
    usages = [one.usage for one in chunks]
    assert (usages[0], usages[-1]) == (Usage(25, 1), Usage(None, 42))
    assert usages[1:-1] == [None] * 19
    figures = [{"input_tokens": 25, "output_tokens": 1}, {"output_tokens": 42}]
    assert [one.raw_usage for one in chunks if one.raw_usage is not None] == [
        RawUsage(MODEL_INFERENCE_ID, type, "chat_completions", data) for data in figures
    ]


@both
def test_the_merged_answer(type: str) -> None:
    merger = StreamMerger(json=False)
    for one in streamed(type, *EVENTS):
        merger.add(one)
    assert merger.output() == [
        Thought("Hm, café.", "sig==", provider_type=type),
        Thought(None, "hidden==", provider_type=type),
        Text("Hello €"),
        ToolCall("toolu_a", "weather", '{"city":"Lyon"}'),
        ToolCall("toolu_b", "time", '{"z":1}'),
        Unknown(SEARCH, "m", "p"),
        Unknown(FOUND, "m", "p"),
        Unknown(CITED, "m", "p"),
    ]
    assert (merger.usage, merger.finish_reason) == (Usage(25, 42), "tool_call")
    assert merger.raw_response() == "\n".join(shown(*EVENTS))


def test_a_thought_that_is_not_shown_goes_back_as_one() -> None:
    """An empty text with a signature is no redacted thought."""
    merger = StreamMerger(json=False)
    events = [start(0, "thinking", thinking="", signature="")]
    events += [delta(0, "signature_delta", signature="sig=="), stop(0), ending(), STOP]
    for one in streamed(ANTHROPIC, OPENING, *events):
        merger.add(one)
    assert merger.output() == [Thought("", "sig==", provider_type=ANTHROPIC)]
    sent = ask(ANTHROPIC, request(assistant(*merger.output()))).body
    assert '[{"type":"thinking","thinking":"","signature":"sig=="}]' in sent


def test_cached_tokens_and_their_repetition() -> None:
    cached = {"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 85}
    opening = event("message_start", message=says(usage={**cached, "output_tokens": 1}))
    merger = StreamMerger(json=False)
    for one in streamed(ANTHROPIC, opening, ending(**cached, output_tokens=9), STOP):
        merger.add(one)
    assert merger.usage == Usage(100, 9, 85, 5)


@both
def test_cut_at_every_byte(type: str) -> None:
    """The same chunks wherever a packet ends: between bytes of a head, a line, a character."""
    events = [EVENTS[4], EVENTS[10], EVENTS[11], EVENTS[13], EVENTS[17], ending(), STOP]
    lines = b": hello\n\n" + b"".join(events)
    whole = STREAM_HEAD + b"content-length: %d\r\n\r\n" % len(lines) + lines
    expected = ask(type, request(stream=True), [whole]).items
    assert [one.raw for one in expected] == shown(*events)
    one_by_one: list[Step] = []
    for at in range(len(whole)):
        one_by_one += [whole[at : at + 1], 0.0]
    scripts: list[list[Step]] = [
        [whole[:cut], 0.001, whole[cut:]] for cut in range(1, len(whole), 5)
    ]
    for script in [one_by_one, *scripts]:
        assert ask(type, request(stream=True), script).items == expected


def test_events_are_told_by_their_type_alone() -> None:
    bare = (
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}'
    )
    lying = b"event: ping\r\n" + bare
    (first, second) = streamed(ANTHROPIC, bare + b"\n\n", lying + b"\r\n\r\n", STOP)
    assert first.content == second.content == [TextChunk("0", "a")]


def test_nothing_is_read_after_the_stop() -> None:
    chunks = streamed(ANTHROPIC, EVENTS[10], STOP, EVENTS[11])
    assert [one.content for one in chunks] == [[TextChunk("2", "Hel")]]


def test_an_end_without_a_stop(caplog: pytest.LogCaptureFixture) -> None:
    (only,) = streamed(ANTHROPIC, EVENTS[10])
    assert only.content == [TextChunk("2", "Hel")]
    assert "a stream of anthropic ended without `message_stop`" in caplog.text
    caplog.clear()
    assert len(streamed(ANTHROPIC, EVENTS[10], STOP)) == 1
    assert not caplog.messages


def test_a_text_that_speaks_of_the_stop() -> None:
    (only, last) = streamed(ANTHROPIC, delta(0, "text_delta", text="message_stop"), ending(), STOP)
    assert only.content == [TextChunk("0", "message_stop")]
    assert last.finish_reason == "stop"


def test_an_opening_without_figures() -> None:
    assert streamed(ANTHROPIC, event("message_start", message={}), STOP) == []
    assert streamed(ANTHROPIC, event("message_start"), STOP) == []


def test_a_thought_without_signature() -> None:
    (only,) = streamed(ANTHROPIC, start(0, "thinking", thinking="Hm"), STOP)
    assert only.content == [ThoughtChunk("0", "Hm", "", provider_type=ANTHROPIC)]


@pytest.mark.parametrize("reason", [None, "end_turn", "refusal"])
def test_the_last_figures(reason: str | None) -> None:
    expected = {None: None, "end_turn": "stop", "refusal": "unknown"}[reason]
    (only,) = streamed(ANTHROPIC, ending(reason, output_tokens=3), STOP)
    assert (only.content, only.usage, only.finish_reason) == ([], Usage(None, 3), expected)


@pytest.mark.parametrize("said", [7, None, "x", {"stop_reason": 7}])
def test_a_last_delta_of_another_form(said: Any) -> None:
    strange = event("message_delta", delta=said, usage={"output_tokens": 3})
    (only,) = streamed(ANTHROPIC, strange, STOP)
    assert only.content == [UnknownChunk("message_delta", said, "m", "p")]
    assert (only.usage, only.raw_usage, only.finish_reason) == (None, None, None)


# --- what nobody knows ----------------------------------------------------------------------------

STRANGE = [
    event("content_block_start", index=5, content_block=SEARCH),
    event("content_block_start", index=6, content_block={"type": "text"}),
    event("content_block_delta", index=2, delta=CITED),
    event("content_block_delta", index=2, delta={"type": "text_delta", "text": 7}),
    event("message_delta", delta=7, usage={"output_tokens": 3}),
]


@both
@pytest.mark.parametrize("debug", [False, True])
def test_unknown_chunks_may_be_discarded(
    type: str, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    kept = streamed(type, *STRANGE, STOP)
    assert [len(one.content) for one in kept] == [1] * 5
    assert not caplog.messages
    arguments = delta(5, "input_json_delta", partial_json="{}")
    events = [*STRANGE, arguments, EVENTS[10], STOP]
    chunks = streamed(type, *events, discard_unknown_chunks=True, debug=debug)
    assert [one.content for one in chunks] == [[], [TextChunk("2", "Hel")]]
    assert len(caplog.messages) == 5
    text = f"Discarding unknown chunk in {type} response"
    assert all(one.startswith(text) for one in caplog.messages)
    assert (caplog.messages[0] == text) is not debug
    assert ("srvtoolu_1" in caplog.text) is debug


def test_complete_answers_keep_what_is_unknown() -> None:
    outcome = ask(ANTHROPIC, None, answer(says(SEARCH)), discard_unknown_chunks=True)
    assert outcome.answered().output == [Unknown(SEARCH, "m", "p")]


def test_unknown_events_are_skipped(caplog: pytest.LogCaptureFixture) -> None:
    (only,) = streamed(ANTHROPIC, event("weather_report", sunny=True), EVENTS[10], STOP)
    assert only.content == [TextChunk("2", "Hel")]
    assert "weather_report" in caplog.text


# --- errors ---------------------------------------------------------------------------------------

OVERLOADED = event("error", error={"type": "overloaded_error", "message": "Overloaded"})


@both
def test_an_error_in_mid_stream(type: str) -> None:
    first, error, last = streamed(type, EVENTS[10], OVERLOADED, EVENTS[11], STOP)
    assert (first.content, last.content) == ([TextChunk("2", "Hel")], [TextChunk("2", "lo €")])
    assert (error.kind, error.status) == ("InferenceServer", 500)
    assert str(error) == (
        f'Error from {type} server: {{"type":"overloaded_error","message":"Overloaded"}}'
    )
    assert error.raw.data == payload(OVERLOADED)


def test_an_error_that_comes_first() -> None:
    (error,) = streamed(ANTHROPIC, OVERLOADED)
    assert error.kind == "InferenceServer"


def test_an_error_without_type() -> None:
    (error,) = streamed(ANTHROPIC, b'data: {"error":{"message":"no"}}\n\n', STOP)
    assert str(error) == 'Error from anthropic server: {"message":"no"}'


BAD: list[tuple[bytes, str]] = [
    (b"{", "unexpected end of data"),
    (b"7", "not an object"),
    (b"{}", "missing field `type`"),
    (b'{"type":7}', "missing field `type`"),
    (b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}', "`index`"),
    (b'{"type":"content_block_delta","index":"0","delta":{}}', "`index`"),
    (b'{"type":"content_block_delta","index":true,"delta":{}}', "`index`"),
    (b'{"type":"content_block_delta","index":0}', "missing field `delta`"),
    (b'{"type":"content_block_start","index":0}', "missing field `content_block`"),
    (b"\xff\xfe", "Error parsing message: "),
]


@both
@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_a_bad_event_is_an_error_and_the_stream_goes_on(type: str, bad: bytes, reason: str) -> None:
    first, error, last = streamed(type, EVENTS[10], b"data: " + bad + b"\n\n", EVENTS[11], STOP)
    assert isinstance(first, ProviderChunk) and isinstance(last, ProviderChunk)
    shown = bad.decode("utf-8", "replace")
    assert error.kind == "InferenceServer"
    assert str(error).startswith(f"Error from {type} server: Error parsing message: ")
    assert reason in str(error) and str(error).endswith(f", Data: {shown}")
    assert error.raw.data == shown


def test_arguments_of_a_call_that_never_began() -> None:
    (error,) = streamed(ANTHROPIC, delta(3, "input_json_delta", partial_json="{"), STOP)
    assert str(error) == (
        "Error from anthropic server: Got InputJsonDelta chunk from Anthropic for index 3 "
        "without a preceding ToolUse ContentBlockStart"
    )


@pytest.mark.parametrize("end", [[CLOSE], [RESET], [b"zzz\r\n"]], ids=["cut", "reset", "garbage"])
def test_a_broken_stream_ends_with_a_fatal_error(end: Script) -> None:
    script = stream(EVENTS[10], EVENTS[11], end=end)
    *chunks, error = ask(ANTHROPIC, request(stream=True), script).items
    assert [one.content for one in chunks] == [[TextChunk("2", "Hel")], [TextChunk("2", "lo €")]]
    assert error.kind == "FatalStreamError"
    assert "Inference stream closed due to error from anthropic server: " in str(error)


@both
@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "529 Overloaded"])
def test_a_refused_stream(type: str, status: str) -> None:
    shown = "529" if status.startswith("529") else status
    error = ask(type, request(stream=True), answer(b'{"e":1}', status)).failed()
    assert (error.kind, error.status) == ("FatalStreamError", 500)
    assert str(error) == (
        f"Inference stream closed due to error from {type} server: Error sending request: "
        f'InvalidStatusCode({shown}): {{"e":1}}'
    )


@both
def test_another_content_type(type: str) -> None:
    error = ask(type, request(stream=True), answer(b"{}")).failed()
    assert str(error) == (
        f"Inference stream closed due to error from {type} server: Error sending request: "
        "InvalidContentType(application/json): {}"
    )


def test_a_key_is_never_shown() -> None:
    loud = event("error", error={"type": "authentication_error", "message": f"bad {KEY}"})
    (error,) = streamed(VERTEX, loud, STOP)
    assert "bad [redacted]" in str(error) and KEY not in str(error)


# --- answers that were begun ----------------------------------------------------------------------


def begun(*events: bytes) -> list[Any]:
    given = request(stream=True, json_mode="on", function_type="json")
    return streamed(ANTHROPIC, *events, given=given)


JSON = [start(0, "text", text=""), delta(0, "text_delta", text=' "a":1}'), ending(), STOP]


def test_the_brace_comes_first() -> None:
    chunks = begun(OPENING, *JSON)
    assert [one.content for one in chunks] == [
        [TextChunk("0", "{")],
        [TextChunk("0", "")],
        [TextChunk("0", ' "a":1}')],
        [],
    ]
    assert [one.raw for one in chunks] == shown(OPENING, *JSON)
    assert chunks[0].usage == Usage(25, 1)
    merger = StreamMerger(json=True)
    for one in chunks:
        merger.add(one)
    assert merger.output() == [Text('{ "a":1}')]


def test_the_brace_before_a_first_text() -> None:
    first, *_ = begun(delta(3, "text_delta", text=' \n"a"'), ending(), STOP)
    assert first.content == [TextChunk("0", '{"a"')]


def test_the_brace_before_a_thought() -> None:
    first, *_ = begun(start(0, "thinking", thinking="Hm"), *JSON)
    thought = ThoughtChunk("0", "Hm", "", provider_type=ANTHROPIC)
    assert first.content == [TextChunk("0", "{"), thought]


def test_an_error_does_not_take_the_brace() -> None:
    error, first, *_ = begun(OVERLOADED, *JSON)
    assert error.kind == "InferenceServer"
    assert first.content == [TextChunk("0", "{")]
