"""Anthropic as the clients of a running gateway see it, and what is recorded of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.api import Api, text, user
from gateway.scripted import ENV_KEY, Upstream
from providers.claude import MODEL, OPENING, PING, STOP, delta, ending, event, says, start, stop
from upstream.scripted import DONE, answer, stream
from upstream.scripted import event as plain_event

USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 5,
    "cache_read_input_tokens": 85,
    "output_tokens": 20,
}
THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "sig=="}
HIDDEN = {"type": "redacted_thinking", "data": "hidden=="}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "x"}}
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
TEXT = [
    OPENING,
    start(0, "text", text=""),
    PING,
    delta(0, "text_delta", text="Hel"),
    delta(0, "text_delta", text="lo"),
    stop(0),
    ending("max_tokens", output_tokens=42),
    STOP,
]


def texts(chunks: list[Any]) -> str:
    blocks = [block for chunk in chunks for block in chunk.get("content", [])]
    return "".join(block["text"] for block in blocks)


def test_an_answer_and_its_row(scripted: Api, upstream: Upstream) -> None:
    body = says(THOUGHT, HIDDEN, SEARCH, "Hello!", usage=USAGE)
    upstream.say(answer(body), model=MODEL)
    answered = scripted.ok(model_name="sonnet", include_raw_usage=True)
    unknown = {"type": "unknown", "data": SEARCH}
    assert answered["content"] == [
        {"type": "thought", "text": "Hm", "signature": "sig==", "provider_type": "anthropic"},
        {"type": "thought", "text": None, "signature": "hidden==", "provider_type": "anthropic"},
        {**unknown, "model_name": "sonnet", "provider_name": "anthropic"},
        text("Hello!"),
    ]
    usage = answered["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (100, 20)
    assert usage["provider_cache_read_input_tokens"] == 85
    assert usage["provider_cache_write_input_tokens"] == 5
    assert usage["cost"] == 50e-6
    (raw,) = answered["raw_usage"]
    assert (raw["provider_type"], raw["api_type"]) == ("anthropic", "chat_completions")
    assert raw["data"] == USAGE
    seen = upstream.seen[-1]
    assert seen.line == "POST /v1/messages HTTP/1.1"
    assert seen.headers["x-api-key"] == ENV_KEY
    assert seen.headers["anthropic-beta"] == "context-1m-2025-08-07"
    row = scripted.model_row(answered["inference_id"])
    assert row["raw_request"].encode() == seen.body
    assert orjson.loads(row["raw_response"]) == body
    assert (row["model_provider_name"], row["input_tokens"]) == ("anthropic", 100)

    said = {"role": "assistant", "content": answered["content"]}
    given = {"messages": [*user(text("Hi"))["messages"], said, *user(text("And?"))["messages"]]}
    scripted.ok(model_name="sonnet", input=given)
    again = orjson.loads(upstream.seen[-1].body)["messages"][1]["content"]
    assert again == [THOUGHT, HIDDEN, SEARCH, text("Hello!")]


def test_a_stream_and_its_row(scripted: Api, upstream: Upstream) -> None:
    upstream.say(stream(*TEXT), model=MODEL)
    chunks = scripted.stream(model_name="sonnet", include_raw_usage=True)
    assert texts(chunks) == "Hello"
    assert [one["finish_reason"] for one in chunks if one.get("finish_reason")] == ["length"]
    usage = chunks[-1]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (25, 42)
    assert usage["cost"] == pytest.approx(109e-6)
    entries = [entry for one in chunks for entry in one.get("raw_usage") or ()]
    assert [entry["data"] for entry in entries] == [
        {"input_tokens": 25, "output_tokens": 1},
        {"output_tokens": 42},
    ]
    assert len({entry["model_inference_id"] for entry in entries}) == 1
    row = scripted.model_row(chunks[0]["inference_id"])
    silent = (PING, TEXT[5], STOP)
    payloads = [one.partition(b"data: ")[2].strip() for one in TEXT if one not in silent]
    assert row["raw_response"].encode() == b"\n".join(payloads)
    assert row["raw_request"].encode() == upstream.seen[-1].body
    assert (row["input_tokens"], row["output_tokens"]) == (25, 42)


def test_an_error_first_is_answered_by_the_next_provider(scripted: Api, upstream: Upstream) -> None:
    upstream.say(stream(OVERLOADED), model=MODEL)
    fine = plain_event({"choices": [{"delta": {"content": "from the second"}}]})
    upstream.say(stream(fine, DONE), model="second")
    chunks = scripted.stream(model_name="sonnet")
    assert chunks[0]["content"][0]["text"] == "from the second"
    assert scripted.model_row(chunks[0]["inference_id"])["model_provider_name"] == "second"


def test_a_later_error_is_an_event_of_the_stream(scripted: Api, upstream: Upstream) -> None:
    upstream.say(stream(*TEXT[:4], OVERLOADED, *TEXT[4:]), model=MODEL)
    chunks = scripted.stream(model_name="sonnet")
    (error,) = [one["error"] for one in chunks if "error" in one]
    assert 'anthropic server: {"type":"overloaded_error","message":"Overloaded"}' in error
    assert texts(chunks) == "Hello"


def test_a_refusal_of_both(scripted: Api, upstream: Upstream) -> None:
    """No event stream, whatever was asked for."""
    body = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'
    upstream.say(answer(body, "401 Unauthorized"), model=MODEL)
    upstream.say(answer(b"{}", "500 Internal Server Error"), model="second")
    for streams in (False, True):
        refused = scripted.refused(
            502, "anthropic", "401 Unauthorized", body.decode(), model_name="sonnet", stream=streams
        )
        assert ENV_KEY not in refused["error"]


def test_a_key_of_the_request_and_its_headers(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(says("Hi")), model=MODEL)
    scripted.ok(
        model_name="sonnet",
        credentials={"anthropic": "brought-by-the-request"},
        extra_headers=[{"name": "anthropic-beta", "value": "other-beta"}],
        extra_body=[{"pointer": "/messages/0/content/0/cache_control", "value": {"type": "x"}}],
    )
    seen = upstream.seen[-1]
    assert seen.headers["x-api-key"] == "brought-by-the-request"
    assert seen.headers["anthropic-beta"] == "other-beta"
    (content,) = orjson.loads(seen.body)["messages"][0]["content"]
    assert content == {**text("hi"), "cache_control": {"type": "x"}}


def test_an_unknown_limit_asks_for_one(scripted: Api, upstream: Upstream) -> None:
    scripted.refused(502, "output token limit", "`max_tokens`", model_name="unlimited")
    upstream.say(answer(says("Hi")), model="claude-of-the-future")
    params = {"chat_completion": {"max_tokens": 9}}
    assert scripted.ok(model_name="unlimited", params=params)["content"] == [text("Hi")]


def test_an_answer_that_is_begun(scripted: Api, upstream: Upstream) -> None:
    """The brace is in the output, whether streamed or not, and in no recorded body."""
    upstream.say(answer(says(THOUGHT, '"a": 1}')), model=MODEL)
    answered = scripted.ok(function_name="begun")
    assert answered["output"]["raw"] == '{"a": 1}'
    assert answered["output"]["parsed"] == {"a": 1}
    row = scripted.model_row(answered["inference_id"])
    begun = {"role": "assistant", "content": [text("Here is the JSON requested:\n{")]}
    assert orjson.loads(row["raw_request"])["messages"][1:] == [begun]
    assert [one["role"] for one in row["input_messages"]] == ["user"]
    assert "{" in row["output"][1]["text"]

    events = [OPENING, delta(0, "text_delta", text='"a": 1}'), ending(), STOP]
    upstream.say(stream(*events), model=MODEL)
    chunks = scripted.stream(function_name="begun")
    assert chunks[0]["raw"] == "{"
    assert "".join(one.get("raw") or "" for one in chunks) == '{"a": 1}'
    row = scripted.json_row(chunks[0]["inference_id"])
    assert row["output"] == {"raw": '{"a": 1}', "parsed": {"a": 1}}


def test_forms_that_could_not_be_written_again(scripted: Api, upstream: Upstream) -> None:
    """They fail the attempt, not the request: here, the next provider answers."""
    deep = b"[" * 300 + b"]" * 300
    strange = orjson.dumps(says({"type": "new", "data": "DEEP"})).replace(b'"DEEP"', deep)
    upstream.say(answer(strange), model=MODEL)
    assert scripted.ok(model_name="sonnet")["content"] == [text("Hello!")]

    begun = start(0, "new", data="DEEP").replace(b'"DEEP"', deep)
    upstream.say(stream(TEXT[0], *TEXT[1:4], begun, *TEXT[4:]), model=MODEL)
    chunks = scripted.stream(model_name="sonnet")
    assert "recursion limit exceeded" in "".join(chunk.get("error", "") for chunk in chunks)
    assert texts(chunks) == "Hello"

    figures = orjson.dumps(says("Hello!", usage={"input_tokens": "HUGE"}))
    upstream.say(answer(figures.replace(b'"HUGE"', b"9" * 40)), model=MODEL)
    answered = scripted.ok(model_name="sonnet", include_raw_usage=True)
    assert answered["raw_usage"][0]["data"] == {"input_tokens": 1e40}
