"""What the Gemini types make of event streams, however their bytes are cut."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import MODEL_INFERENCE_ID, Outcome, request, user
from providers.gemini import BOTH, NAMES, STUDIO, VERTEX, ask, says
from tensorzero.functions.merge import StreamMerger
from tensorzero.types.content import Message, Text, Thought, ToolCall, Unknown
from tensorzero.types.model import TextChunk, ThoughtChunk, ToolCallChunk, UnknownChunk
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import CLOSE, RESET, STREAM_HEAD, Script, Step, answer, chunk, event, stream

CALL = {"functionCall": {"name": "f", "args": {"a": 1}}}
CODE = {"executableCode": {"language": "PYTHON", "code": "1"}}


def counts(prompt: int, output: int, **more: int) -> dict[str, Any]:
    return {"promptTokenCount": prompt, "candidatesTokenCount": output, **more}


def part(*parts: Any, finish: str | None = None, usage: Any = None) -> dict[str, Any]:
    return says(*parts, finish=finish, usage=usage)


EVENTS: list[dict[str, Any]] = [
    part({"thought": True, "text": "Hm, "}, usage=counts(9, 0)),
    part({"thought": True, "text": "caf\u00e9.", "thoughtSignature": "A"}),
    part("Hel", usage=counts(9, 2)),
    part("lo \u20ac", usage={"trafficType": "ON_DEMAND"}),
    part({**CALL, "thoughtSignature": "B"}, {"functionCall": {"name": "f", "args": {"a": 2}}}),
    part(CODE, usage=counts(9, 4)),
    part(
        {"text": "", "thoughtSignature": "C"},
        finish="STOP",
        usage=counts(9, 6, thoughtsTokenCount=3),
    ),
]


def streamed(type: str, script: Script, **options: Any) -> Outcome:
    return ask(type, request(stream=True), script, **options)


def items(type: str, *events: Any, **options: Any) -> list[Any]:
    return streamed(type, stream(b"".join(map(event, events))), **options).items


@pytest.mark.parametrize("type", BOTH)
def test_every_kind_of_part(type: str) -> None:
    chunks = items(type, *EVENTS)
    assert [one.raw for one in chunks] == [orjson.dumps(one).decode() for one in EVENTS]

    def thought(number: str, text: str | None, signature: str | None = None) -> ThoughtChunk:
        return ThoughtChunk(number, text, signature, provider_type=type)

    assert [one.content for one in chunks] == [
        [thought("1", "Hm, ")],
        [thought("2", "caf\u00e9.", "A")],
        [TextChunk("0", "Hel")],
        [TextChunk("0", "lo \u20ac")],
        [
            thought("3", None, "B"),
            ToolCallChunk("0", "f", '{"a":1}'),
            ToolCallChunk("1", "f", '{"a":2}'),
        ],
        [UnknownChunk("0", CODE, "m", "p")],
        [thought("4", None, "C")],
    ]
    assert [one.finish_reason for one in chunks] == [None] * 6 + ["stop"]
    last = RawUsage(MODEL_INFERENCE_ID, type, "chat_completions", EVENTS[-1]["usageMetadata"])
    assert chunks[-1].raw_usage == last


def test_figures_of_studio_are_those_of_the_last_event() -> None:
    assert [one.usage for one in items(STUDIO, *EVENTS)] == [None] * 6 + [Usage(9, 9)]


def test_figures_of_vertex_are_those_of_every_event_that_counts() -> None:
    chunks = items(VERTEX, *EVENTS)
    expected = [Usage(9, 0), None, Usage(9, 2), None, None, Usage(9, 4), Usage(9, 9)]
    assert [one.usage for one in chunks] == expected
    assert [one.raw_usage is not None for one in chunks] == [one is not None for one in expected]


@pytest.mark.parametrize("type", BOTH)
def test_the_merged_answer_can_be_sent_back(type: str) -> None:
    merger = StreamMerger(json=False)
    for one in items(type, *EVENTS):
        merger.add(one)
    output = merger.output()
    assert output == [
        Thought("Hm, ", provider_type=type),
        Thought("caf\u00e9.", "A", provider_type=type),
        Text("Hello \u20ac"),
        Thought(None, "B", provider_type=type),
        ToolCall("0", "f", '{"a":1}'),
        ToolCall("1", "f", '{"a":2}'),
        Unknown(CODE, "m", "p"),
        Thought(None, "C", provider_type=type),
    ]
    assert merger.usage == Usage(9, 9)
    assert merger.finish_reason == "stop"
    assert merger.raw_response() == "\n".join(orjson.dumps(one).decode() for one in EVENTS)
    given = request(user("hi"), Message("assistant", output), user("on"))
    parts = orjson.loads(ask(type, given).body)["contents"][1]["parts"]
    assert parts[-1] == {"thoughtSignature": "C", "text": ""}
    assert parts[3]["thoughtSignature"] == "B"


@pytest.mark.parametrize("type", BOTH)
def test_cut_at_every_byte(type: str) -> None:
    """The same chunks wherever a packet ends: between bytes of a head, a line, a character."""
    events = [EVENTS[1], EVENTS[4], EVENTS[6]]
    lines = b": hello\r\n\r\n" + b"".join(
        event(one).replace(b"\n\n", b"\r\n\r\n") for one in events
    )
    whole = STREAM_HEAD + b"content-length: %d\r\n\r\n" % len(lines) + lines
    expected = streamed(type, [whole]).items
    assert [one.raw for one in expected] == [orjson.dumps(one).decode() for one in events]
    scripts: list[list[Step]] = [
        [whole[:cut], 0.001, whole[cut:]] for cut in range(1, len(whole), 7)
    ]
    one_by_one: list[Step] = []
    for at in range(len(whole)):
        one_by_one += [whole[at : at + 1], 0.0]
    for script in [*scripts, one_by_one]:
        assert streamed(type, script).items == expected


@pytest.mark.parametrize("type", BOTH)
def test_unknown_parts_are_counted_or_discarded(
    type: str, caplog: pytest.LogCaptureFixture
) -> None:
    events = [part(CODE), part({"inlineData": {}}, "x")]
    first, second = items(type, *events)
    assert first.content == [UnknownChunk("0", CODE, "m", "p")]
    assert second.content[0] == UnknownChunk("1", {"inlineData": {}}, "m", "p")
    assert "discarded" not in caplog.text
    first, second = items(type, *events, discard_unknown_chunks=True)
    assert first.content == []
    assert second.content == [TextChunk("0", "x")]
    assert "a chunk of unknown form is discarded: executableCode" in caplog.text


@pytest.mark.parametrize("type", BOTH)
def test_parts_that_carry_nothing(type: str) -> None:
    empty = [part(""), part(), part({}), {"candidates": [{}]}, {"candidates": [{"content": {}}]}]
    assert [one.content for one in items(type, *empty)] == [[]] * 5


@pytest.mark.parametrize("type", BOTH)
def test_figures_may_come_alone(type: str) -> None:
    (one,) = items(type, {"usageMetadata": counts(3, 4)})
    assert (one.content, one.usage) == ([], Usage(3, 4))


BAD_EVENTS: list[tuple[Any, str]] = [
    (b"{", ""),
    (b"null", "not an object"),
    (b"\xff\xfe", ""),
    ({"error": {"code": 503, "message": "overloaded"}}, 'missing field `candidates`: {"code":503'),
    ({"error": {"code": 1}, "usageMetadata": counts(1, 1)}, "missing field `candidates`: {"),
    ([{"error": {"code": 503}}], "not an object"),
    ({"responseId": "x"}, "missing field `candidates`"),
    (
        {"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": counts(1, 1)},
        "missing field `candidates`: the prompt was blocked (OTHER)",
    ),
    ({"candidates": [7]}, "a candidate is not an object"),
    (part({"text": 7}), "`text` is not a string"),
]


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize(("bad", "reason"), BAD_EVENTS)
def test_a_bad_event_is_an_error_and_the_stream_goes_on(type: str, bad: Any, reason: str) -> None:
    first, error, last = items(type, part("a"), bad, part("b"))
    assert (first.content, last.content) == ([TextChunk("0", "a")], [TextChunk("0", "b")])
    assert error.kind == "InferenceServer"
    prefix = f"Error from {type} server: Error parsing streaming JSON response: "
    assert str(error).startswith(prefix + reason)
    expected = bad if isinstance(bad, bytes) else orjson.dumps(bad)
    assert error.raw.data == expected.decode("utf-8", "replace")


@pytest.mark.parametrize("type", BOTH)
def test_errors_with_texts_of_their_own(type: str) -> None:
    none, strange, last = items(
        type, {"candidates": []}, part("lost", {"thought": True, **CODE}), part("b")
    )
    start = f"Error from {type} server: "
    assert str(none) == f"{start}{NAMES[type]} response has no candidates"
    assert str(strange).startswith(
        f"{start}Thought part in {NAMES[type]} response must be a text block"
    )
    assert last.content == [TextChunk("0", "b")]


# --- what ends it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize("end", [[CLOSE], [RESET], [b"zzz\r\n"]], ids=["cut", "reset", "garbage"])
def test_a_broken_stream_ends_with_a_fatal_error(type: str, end: Script) -> None:
    first, error = streamed(type, stream(event(part("a")), end=end)).items
    assert first.content == [TextChunk("0", "a")]
    assert error.kind == "FatalStreamError"
    assert f"Inference stream closed due to error from {type} server: " in str(error)


def test_an_end_by_closing_the_connection() -> None:
    script = [STREAM_HEAD + b"\r\n", event(part("a")), event(part("b")).rstrip(b"\n"), CLOSE]
    assert [one.content for one in streamed(STUDIO, script).items] == [
        [TextChunk("0", "a")],
        [TextChunk("0", "b")],
    ]


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "503 Service Unavailable"]
)
def test_a_refused_stream(type: str, status: str) -> None:
    body = b'[{"error":{"code":1}}]'
    error: Any = streamed(type, answer(body, status)).failed()
    assert error.kind == "FatalStreamError"
    assert str(error) == (
        f"Inference stream closed due to error from {type} server: Error sending request: "
        f"InvalidStatusCode({status}): {body.decode()}"
    )
    assert [raw.data for raw in error.raw_responses()] == [body.decode()]


def test_another_content_type() -> None:
    error = streamed(STUDIO, answer(b"{}")).failed()
    assert str(error).endswith(
        "server: Error sending request: InvalidContentType(application/json): {}"
    )


def test_no_events_are_no_items() -> None:
    assert items(STUDIO) == []
    assert (
        streamed(VERTEX, [STREAM_HEAD + b"transfer-encoding: chunked\r\n\r\n", chunk(b"")]).items
        == []
    )
