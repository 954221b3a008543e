"""What the ``openai`` provider makes of event streams, however their bytes are cut."""

from __future__ import annotations

import zlib
from typing import Any

import orjson
import pytest

from providers.calls import MODEL_INFERENCE_ID, Outcome, call, request
from tensorzero.functions.merge import StreamMerger
from tensorzero.types.content import Text, Thought, ToolCall
from tensorzero.types.model import (
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
)
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import (
    CLOSE,
    DONE,
    HANG,
    RESET,
    STREAM_HEAD,
    Script,
    Step,
    answer,
    chunk,
    event,
    stream,
)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "delta": fields}
    if finish is not None:
        choice["finish_reason"] = finish
    return {"choices": [choice]}


def tool(index: int, call_id: str | None, name: str | None, arguments: str | None) -> Any:
    function = {"name": name, "arguments": arguments}
    entry: dict[str, Any] = {"index": index, "function": function}
    if call_id is not None:
        entry["id"] = call_id
    return entry


USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "prompt_tokens_details": {"cached_tokens": 2},
}
EVENTS: list[dict[str, Any]] = [
    delta(role="assistant", content=""),
    delta(reasoning_content="Hm, "),
    delta(reasoning_content="caf\u00e9."),
    delta(content="Hel"),
    delta(content="lo \u20ac"),
    delta(tool_calls=[tool(0, "call_a", "weather", "")]),
    delta(tool_calls=[tool(1, "call_b", "time", '{"z"'), tool(0, None, None, '{"city":')]),
    delta(tool_calls=[tool(0, None, None, '"Lyon"}'), tool(1, "", None, ":1}")]),
    delta("tool_calls"),
    {"choices": [], "usage": USAGE},
]


def streamed(script: Script, **options: Any) -> Outcome:
    return call(request(stream=True), script, **options)


def items(*events: Any, **options: Any) -> list[Any]:
    return streamed(stream(b"".join(event(one) for one in events) + DONE), **options).items


def test_every_kind_of_delta() -> None:
    chunks = items(*EVENTS)
    assert [one.raw for one in chunks] == [orjson.dumps(one).decode() for one in EVENTS]
    assert [one.content for one in chunks] == [
        [TextChunk("0", "")],
        [ThoughtChunk("1", "Hm, ", provider_type="openai")],
        [ThoughtChunk("1", "caf\u00e9.", provider_type="openai")],
        [TextChunk("0", "Hel")],
        [TextChunk("0", "lo \u20ac")],
        [ToolCallChunk("call_a", "weather", "")],
        [ToolCallChunk("call_b", "time", '{"z"'), ToolCallChunk("call_a", None, '{"city":')],
        [ToolCallChunk("call_a", None, '"Lyon"}'), ToolCallChunk("call_b", None, ":1}")],
        [],
        [],
    ]
    assert [one.finish_reason for one in chunks] == [None] * 8 + ["tool_call", None]
    assert [one.usage for one in chunks] == [None] * 9 + [Usage(9, 4, 2)]
    assert chunks[-1].raw_usage == RawUsage(MODEL_INFERENCE_ID, "openai", "chat_completions", USAGE)


def test_the_order_within_a_delta() -> None:
    (one,) = items(delta(tool_calls=[tool(0, "a", "f", "")], content="text", reasoning="why"))
    assert one.content == [
        ThoughtChunk("1", "why", provider_type="openai"),
        TextChunk("0", "text"),
        ToolCallChunk("a", "f", ""),
    ]


def test_the_merged_answer() -> None:
    merger = StreamMerger(json=False)
    for one in items(*EVENTS):
        merger.add(one)
    assert merger.output() == [
        Thought("Hm, caf\u00e9.", provider_type="openai"),
        Text("Hello \u20ac"),
        ToolCall("call_a", "weather", '{"city":"Lyon"}'),
        ToolCall("call_b", "time", '{"z":1}'),
    ]
    assert merger.raw_response() == "\n".join(orjson.dumps(one).decode() for one in EVENTS)


def test_cut_at_every_byte() -> None:
    """The same chunks wherever a packet ends: between bytes of a head, a line, a character."""
    events = [EVENTS[2], EVENTS[6 - 1], EVENTS[7 - 1], EVENTS[-1]]
    lines = b": hello\n\n" + b"".join(event(one) for one in events) + DONE
    whole = STREAM_HEAD + b"content-length: %d\r\n\r\n" % len(lines) + lines
    expected = streamed([whole]).items
    assert [one.raw for one in expected] == [orjson.dumps(one).decode() for one in events]
    scripts: list[list[Step]] = [
        [whole[:cut], 0.001, whole[cut:]] for cut in range(1, len(whole), 3)
    ]
    one_by_one: list[Step] = []
    for at in range(len(whole)):
        one_by_one += [whole[at : at + 1], 0.0]
    for script in [*scripts, one_by_one]:
        assert streamed(script).items == expected


@pytest.mark.parametrize(
    "payload",
    [
        b'data: {"choices":[]}\r\n\r\ndata: [DONE]\r\n\r\n',
        b'data:{"choices":[]}\n\ndata:[DONE]\n\n',
        b'event: message\nid: 1\ndata: {"choices":[]}\n\n: ping\n\ndata: [DONE]\n\n',
        b'data: {"choices":\ndata: []}\n\ndata: [DONE]\n\n',
        b'data: {"choices":[]}\n\n',
        b'data: {"choices":[]}',
        b'data: {"choices":[]}\n\ndata: [DONE]\n\ndata: {"choices":[{},{}]}\n\n',
        b'data: \n\ndata\n\nevent: ping\n\ndata: {"choices":[]}\n\ndata: [DONE]\n\n',
    ],
    ids=["crlf", "no blank", "fields", "two lines", "no done", "no end", "after done", "empty"],
)
def test_forms_of_the_stream(payload: bytes) -> None:
    (only,) = streamed(stream(payload)).items
    assert only.content == []
    assert orjson.loads(only.raw) == {"choices": []}


def test_an_end_by_closing_the_connection() -> None:
    script = [STREAM_HEAD + b"\r\n", event(EVENTS[3]), CLOSE]
    assert [one.raw for one in streamed(script).items] == [orjson.dumps(EVENTS[3]).decode()]


def test_what_is_missing_in_a_delta_is_nothing() -> None:
    for choice in ({}, {"delta": None}, {"delta": {}}, {"delta": {"content": None}}):
        (one,) = items({"choices": [{"index": 0, **choice}]})
        assert (one.content, one.finish_reason, one.usage) == ([], None, None)


def test_a_compressed_stream() -> None:
    """Each event flushed, as servers do, and the pieces cut anywhere."""
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(event(one)) + packer.flush(zlib.Z_SYNC_FLUSH) for one in EVENTS] + [
        packer.compress(DONE) + packer.flush()
    ]
    data = b"".join(pieces)
    head = STREAM_HEAD + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    expected = items(*EVENTS)
    by_event = [head, *map(chunk, pieces), chunk(b"")]
    by_seven = [head, *(chunk(data[at : at + 7]) for at in range(0, len(data), 7)), chunk(b"")]
    for script in (by_event, by_seven):
        assert streamed(script).items == expected


def test_usage_on_every_chunk_counts_by_its_maximum(caplog: pytest.LogCaptureFixture) -> None:
    merger = StreamMerger(json=False)
    for tokens in (3, 7, 5):
        usage = {"prompt_tokens": 9, "completion_tokens": tokens}
        for one in items({**delta(content="a"), "usage": usage}):
            merger.add(one)
    assert merger.usage == Usage(9, 7)
    assert "usage shrank: output_tokens" in caplog.text


def test_tool_calls_without_id_after_the_first_and_interleaved() -> None:
    merger = StreamMerger(json=False)
    for one in items(
        delta(tool_calls=[tool(0, "a", "f", "1")]),
        delta(tool_calls=[tool(1, "b", "g", "x")]),
        delta(tool_calls=[tool(0, None, None, "2")]),
        delta(tool_calls=[tool(0, "a", None, "3"), tool(1, None, None, "y")]),
        delta(tool_calls=[{"index": 0}, {"index": 1, "function": {}}]),
        delta(tool_calls=[{"index": 2, "id": "c", "type": "custom", "custom": {"name": "h"}}]),
        delta(tool_calls=[{"index": 2, "custom": {"input": "SELECT"}}]),
    ):
        merger.add(one)
    assert merger.output() == [
        ToolCall("a", "f", "123"),
        ToolCall("b", "g", "xy"),
        ToolCall("c", "h", "SELECT"),
    ]


BAD_EVENTS: list[tuple[bytes, str]] = [
    (b"{", "Error parsing chunk. Error: "),
    (b"null", "not an object"),
    (b'{"error":{"message":"overloaded","code":500}}', '{"message":"overloaded","code":500}'),
    (b'{"id":"x"}', "missing field `choices`"),
    (b'{"choices":[{},{}]}', "invalid number of choices: 2"),
    (b'{"choices":[7]}', "a choice is not an object"),
    (b'{"choices":[{"delta":{"content":7}}]}', "`content` is not a string"),
    (b'{"choices":[{"delta":{"tool_calls":[{"index":3}]}}]}', "tool call index"),
    (b'{"choices":[{"delta":{"tool_calls":[{"index":"0"}]}}]}', "index is not a number"),
    (b'{"choices":[{"delta":{"tool_calls":"x"}}]}', "`tool_calls` is not a list"),
    (b"\xff\xfe", "Error parsing chunk. Error: "),
]


@pytest.mark.parametrize(("bad", "text"), BAD_EVENTS)
def test_a_bad_event_is_an_error_and_the_stream_goes_on(bad: bytes, text: str) -> None:
    first, error, last = items(EVENTS[3], bad, EVENTS[4])
    assert isinstance(first, ProviderChunk)
    assert error.kind == "InferenceServer"
    assert str(error).startswith("Error from openai server: Error parsing chunk. Error: ")
    assert text in str(error)
    assert error.raw.data == bad.decode("utf-8", "replace")
    assert last.content == [TextChunk("0", "lo \u20ac")]


def test_the_request_id_is_named_in_a_streams_errors_too() -> None:
    head = STREAM_HEAD + b"X-Request-Id: req_1\r\ntransfer-encoding: chunked\r\n\r\n"
    bad, fatal = streamed([head, chunk(event(b"{")), CLOSE]).items
    assert (bad.kind, fatal.kind) == ("InferenceServer", "FatalStreamError")
    assert str(bad).endswith(" [request_id: req_1]")
    assert str(fatal).endswith(" [request_id: req_1]")


# --- what ends it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [[CLOSE], [RESET], [b"zzz\r\n"]], ids=["cut", "reset", "garbage"])
def test_a_broken_stream_ends_with_a_fatal_error(end: Script) -> None:
    *chunks, error = streamed(stream(event(EVENTS[3]), event(EVENTS[4]), end=end)).items
    assert [one.content for one in chunks] == [
        [TextChunk("0", "Hel")],
        [TextChunk("0", "lo \u20ac")],
    ]
    assert error.kind == "FatalStreamError"
    assert "Inference stream closed due to error from openai server: " in str(error)


def test_an_event_without_end_is_refused() -> None:
    """33 MiB without a blank line."""
    big = [chunk(b"data: " + b"x" * 2**20 + b"\n") for _ in range(33)]
    *_, error = streamed(stream(event(EVENTS[3]), end=[*big, HANG])).items
    assert error.kind == "FatalStreamError"
    assert "larger than 33554432 bytes" in str(error)


STATUSES = [
    "400 Bad Request",
    "401 Unauthorized",
    "404 Not Found",
    "429 Too Many Requests",
    "500 Internal Server Error",
]


@pytest.mark.parametrize("status", STATUSES)
def test_a_refused_stream(status: str) -> None:
    body = b'{"error":"no"}'
    outcome = streamed(answer(body, status, "x-request-id: req_1"))
    error = outcome.failed()
    assert error.kind == "FatalStreamError"
    assert error.status == 500
    assert str(error) == (
        "Inference stream closed due to error from openai server: "
        f'Invalid status code: {status}: {{"error":"no"}} [request_id: req_1]'
    )
    assert [raw.data for raw in error.raw_responses()] == [body.decode()]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_another_content_type(content_type: str) -> None:
    error = streamed(answer(b"{}", "200 OK", f"content-type: {content_type}")).failed()
    assert error.kind == "FatalStreamError"
    assert f"Invalid content type: `{content_type}`: {{}}" in str(error)


def test_the_content_type_may_have_parameters_and_capitals() -> None:
    data = event(EVENTS[3])
    script = answer(data, "200 OK", "Content-Type: Text/Event-Stream; charset=utf-8")
    assert len(streamed(script).items) == 1


def test_an_empty_stream_has_no_items() -> None:
    assert items() == []
    assert streamed(stream()).items == []


def test_no_answer_at_all() -> None:
    error = streamed([CLOSE]).failed()
    assert error.kind == "FatalStreamError"
    assert "Error sending request: " in str(error)


def test_the_raw_request_is_known_from_the_start() -> None:
    outcome = streamed(stream(DONE))
    assert outcome.raw_request == outcome.body
