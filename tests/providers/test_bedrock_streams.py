"""What ``aws_bedrock`` makes of ConverseStream."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.aws_calls import (
    BEARER,
    FRAMES_HEAD,
    TOKEN,
    converse,
    event_frame,
    exception_frame,
    frame,
    frames,
    header,
)
from providers.calls import MODEL_INFERENCE_ID, Outcome, request
from tensorzero.functions.merge import StreamMerger
from tensorzero.types.content import Text, Thought, ToolCall
from tensorzero.types.model import TextChunk, ThoughtChunk, ToolCallChunk, UnknownChunk
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import CLOSE, RESET, Script, answer, chunk


def start(index: int, **content: Any) -> tuple[str, dict[str, Any]]:
    return "contentBlockStart", {"contentBlockIndex": index, "start": content, "p": "ab"}


def delta(index: int, **content: Any) -> tuple[str, dict[str, Any]]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": content, "p": "abcdef"}


def stop(index: int) -> tuple[str, dict[str, Any]]:
    return "contentBlockStop", {"contentBlockIndex": index}


START = ("messageStart", {"role": "assistant"})
STOP = ("messageStop", {"stopReason": "tool_use"})
USAGE = {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13, "cacheReadInputTokens": 2}
METADATA = ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 3}})
EVENTS = [
    START,
    delta(0, reasoningContent={"text": "Hm."}),
    delta(0, reasoningContent={"signature": "sig"}),
    stop(0),
    delta(1, text="Hel"),
    delta(1, text="lo \u20ac"),
    stop(1),
    start(2, toolUse={"toolUseId": "t2", "name": "weather"}),
    start(3, toolUse={"toolUseId": "t3", "name": "time"}),
    delta(2, toolUse={"input": '{"city":'}),
    delta(3, toolUse={"input": "{}"}),
    delta(2, toolUse={"input": '"Lyon"}'}),
    stop(2),
    stop(3),
    STOP,
    METADATA,
]
SILENT = ("messageStart", "contentBlockStop")
CHUNKS: list[Any] = [
    ThoughtChunk("0", "Hm.", provider_type="aws_bedrock"),
    ThoughtChunk("0", signature="sig", provider_type="aws_bedrock"),
    TextChunk("1", "Hel"),
    TextChunk("1", "lo \u20ac"),
    ToolCallChunk("t2", "weather", ""),
    ToolCallChunk("t3", "time", ""),
    ToolCallChunk("t2", None, '{"city":'),
    ToolCallChunk("t3", None, "{}"),
    ToolCallChunk("t2", None, '"Lyon"}'),
]


def made(*events: tuple[str, Any]) -> list[bytes]:
    return [event_frame(kind, data) for kind, data in events]


def streamed(script: Script, *, given: dict[str, Any] | None = None, **options: Any) -> Outcome:
    return converse(request(stream=True, **(given or {})), script, **options)


def items(*events: tuple[str, Any], **options: Any) -> list[Any]:
    """What a whole stream gives, its end left out."""
    *rest, last = streamed(frames(*made(*events, STOP)), **options).items
    assert last.finish_reason == "tool_call"
    return rest


def test_every_kind_of_event() -> None:
    outcome = streamed(frames(*made(*EVENTS)))
    chunks = outcome.items
    assert [one.content for one in chunks] == [*([one] for one in CHUNKS), [], []]
    assert [one.raw for one in chunks] == [
        orjson.dumps(data).decode() for kind, data in EVENTS if kind not in SILENT
    ]
    assert [one.finish_reason for one in chunks[-2:]] == ["tool_call", None]
    assert all(one.usage is None for one in chunks[:-1])
    assert chunks[-1].usage == Usage(11, 4, 2)
    assert chunks[-1].raw_usage == RawUsage(
        MODEL_INFERENCE_ID, "aws_bedrock", "chat_completions", USAGE
    )
    assert outcome.seen[0].line == (
        "POST /v1/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream HTTP/1.1"
    )
    assert outcome.raw_request == outcome.body
    assert outcome.body == (
        '{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{}}'
    )
    assert "accept" not in outcome.headers
    assert "SignedHeaders=content-type;host;x-amz-date," in outcome.headers["authorization"]


def test_keys_of_streams() -> None:
    script = frames(*made(START, STOP))
    assert streamed(script, keys=BEARER).headers["authorization"] == "Bearer a-bearer-token"
    assert streamed(script, keys=TOKEN).headers["x-amz-security-token"] == "a-session-token"


def test_what_is_put_together() -> None:
    merger = StreamMerger(json=False)
    for one in streamed(frames(*made(*EVENTS))).items:
        merger.add(one)
    assert merger.output() == [
        Thought("Hm.", "sig", provider_type="aws_bedrock"),
        Text("Hello \u20ac"),
        ToolCall("t2", "weather", '{"city":"Lyon"}'),
        ToolCall("t3", "time", "{}"),
    ]
    assert merger.usage == Usage(11, 4, 2)


def test_split_at_every_byte() -> None:
    """The split of frames at every byte is the parser's test; here through a connection."""
    data = b"".join(made(*EVENTS))
    whole = streamed(frames(data)).items
    for size in (1, 7, 100):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        script = [FRAMES_HEAD + b"".join(map(chunk, pieces)) + b"0\r\n\r\n"]
        assert streamed(script).items == whole


def test_any_content_type() -> None:
    data = b"".join(made(*EVENTS))
    for content_type in ("application/json", "text/plain", ""):
        script = answer(data, "200 OK", f"content-type: {content_type}")
        assert len(streamed(script).items) == len(CHUNKS) + 2


def test_redacted_thinking() -> None:
    (one,) = items(START, delta(0, reasoningContent={"redactedContent": "c2VjcmV0"}))
    thought = ThoughtChunk("0", signature="c2VjcmV0", provider_type="aws_bedrock")
    assert one.content == [thought]


@pytest.mark.parametrize(
    "event",
    [
        ("contentBlockStart", {"contentBlockIndex": 0}),
        ("contentBlockDelta", {"contentBlockIndex": 0}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": None}),
        ("contentBlockStop", {}),
        ("messageStart", {}),
    ],
)
def test_what_gives_nothing(event: tuple[str, Any]) -> None:
    assert items(START, event) == []


@pytest.mark.parametrize(
    "content",
    [{"citation": {"title": "x"}}, {"reasoningContent": {"other": 1}}, {"text": 7}],
)
def test_unknown_deltas(content: Any, caplog: pytest.LogCaptureFixture) -> None:
    (one,) = items(START, delta(4, **content))
    assert one.content == [UnknownChunk("4", content, "m", "p")]
    assert items(START, delta(4, **content), discard_unknown_chunks=True) == []
    assert caplog.text.count("Discarding unknown chunk in aws_bedrock response") == 1


def test_unknown_starts() -> None:
    (one,) = items(START, start(4, toolResult={"toolUseId": "x"}))
    assert one.content == [UnknownChunk("4", {"toolResult": {"toolUseId": "x"}}, "m", "p")]


def test_unknown_events_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    assert items(START, ("somethingNew", {"a": 1})) == []
    assert "an event of the unknown type `somethingNew`" in caplog.text


def test_a_prefilled_stream() -> None:
    given = {"json_mode": "on", "function_type": "json"}
    thought = delta(0, reasoningContent={"text": "hm"})
    events = [START, thought, delta(1, text=' \n"a"'), delta(1, text=" :1}")]
    chunks = items(*events, given=given)
    assert [one.content for one in chunks[1:]] == [
        [TextChunk("1", '{"a"')],
        [TextChunk("1", " :1}")],
    ]
    chunks = items(*events, given=given, model_id="amazon.nova")
    assert chunks[1].content == [TextChunk("1", ' \n"a"')]


# --- what goes wrong ----------------------------------------------------------------------------

BAD_EVENTS: list[tuple[str, Any, str]] = [
    ("contentBlockDelta", b"{", "Error parsing contentBlockDelta: "),
    ("contentBlockDelta", b"[]", "Error parsing contentBlockDelta: "),
    ("contentBlockDelta", b"\xff", "Error parsing contentBlockDelta: "),
    ("contentBlockStart", b"{", "Error parsing contentBlockStart: "),
    ("contentBlockStart", [], "Error parsing contentBlockStart: not an object"),
    ("contentBlockStart", start(0, toolUse={"name": "x"})[1], "`toolUseId` is not a string"),
    ("messageStop", b"null", "Error parsing messageStop: not an object"),
    ("contentBlockDelta", delta(0, toolUse={"input": "x"})[1], "delta without current tool id"),
    (
        "contentBlockDelta",
        {"contentBlockIndex": "0", "delta": {"toolUse": {}}},
        "`contentBlockIndex` is not a number",
    ),
]


@pytest.mark.parametrize(("kind", "data", "text"), BAD_EVENTS)
def test_a_bad_event_is_an_error_and_the_stream_goes_on(kind: str, data: Any, text: str) -> None:
    first, error, last = items(START, delta(0, text="a"), (kind, data), delta(0, text="b"))
    assert error.kind == "InferenceServer"
    assert str(error).startswith("Error from aws_bedrock server: Error parsing ")
    assert text in str(error)
    payload = data if isinstance(data, bytes) else orjson.dumps(data)
    assert error.raw.data == payload.decode("utf-8", "replace")
    assert (first.content, last.content) == ([TextChunk("0", "a")], [TextChunk("0", "b")])


def test_an_empty_event_is_nothing() -> None:
    assert items(START, ("metadata", b"")) == []


def test_an_exception_ends_the_stream() -> None:
    pieces = made(START, delta(0, text="a"))
    thrown = exception_frame("throttlingException", {"message": "Too many requests"})
    outcome = streamed(frames(*pieces, thrown, *made(delta(0, text="b"), STOP)))
    first, error = outcome.items
    assert first.content == [TextChunk("0", "a")]
    assert error.kind == "InferenceServer"
    assert str(error) == (
        "Error from aws_bedrock server: AWS Bedrock streaming exception: throttlingException: "
        "Too many requests"
    )
    assert error.raw.data == '{"message":"Too many requests"}'


def test_an_exception_first() -> None:
    """Nothing before it: the model goes on to its next provider."""
    (error,) = streamed(frames(exception_frame("modelStreamErrorException", {}))).items
    assert "AWS Bedrock streaming exception: modelStreamErrorException" in str(error)


def test_an_error_frame_is_an_exception() -> None:
    broken = frame(b"", header(":message-type", "error") + header(":error-code", "InternalError"))
    (error,) = streamed(frames(*made(START), broken)).items
    assert str(error).endswith("AWS Bedrock streaming exception: InternalError")


def test_a_wrong_checksum_ends_the_stream() -> None:
    good, bad = made(delta(0, text="a"), delta(0, text="b"))
    for at in (5, 40, len(bad) - 1):
        broken = bad[:at] + bytes([bad[at] ^ 1]) + bad[at + 1 :]
        first, error = streamed(frames(good + broken + b"".join(made(STOP)))).items
        assert first.content == [TextChunk("0", "a")]
        assert error.kind == "InferenceServer"
        assert "Error decoding event stream frame: the checksum of a " in str(error)


def test_garbage_for_a_stream() -> None:
    for data in (b"<html>this is no stream of frames</html>", b'{"message":"no"} and more'):
        (error,) = streamed(answer(data)).items
        assert "Error decoding event stream frame: " in str(error)


@pytest.mark.parametrize("end", [[CLOSE], [RESET], [b"zzz\r\n"]], ids=["cut", "reset", "garbage"])
def test_a_broken_connection(end: Script) -> None:
    *chunks, error = streamed(frames(*made(START, delta(0, text="a")), end=end)).items
    assert [one.content for one in chunks] == [[TextChunk("0", "a")]]
    assert error.kind == "InferenceServer"
    assert "Error reading stream: " in str(error)


def test_a_stream_that_ends_early() -> None:
    for last in (b"", made(STOP)[0][:-1]):
        first, error = streamed(frames(*made(START, delta(0, text="a")), last or b"\x00")).items
        assert first.content == [TextChunk("0", "a")]
        assert "the stream ended before `messageStop`" in str(error)


def test_an_incomplete_frame_after_the_end_is_ignored() -> None:
    (one,) = streamed(frames(*made(START, STOP), made(METADATA)[0][:-1])).items
    assert one.finish_reason == "tool_call"
