"""Providers of a model in routing order: every fault moves on, nothing after the first chunk."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest

from models.calls import ask
from providers.calls import COMPLETION, assistant, request, user
from tensorzero.config.credentials import DynamicCredential, FallbackCredential, StaticCredential
from tensorzero.config.timeouts import TimeoutsConfig
from tensorzero.types.content import Text, Thought, Unknown
from tensorzero.types.errors import AllModelProvidersFailed
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.tools import ProviderTool, ToolCallConfig
from upstream.scripted import (
    CLOSE,
    DONE,
    HANG,
    RESET,
    STREAM_HEAD,
    Script,
    answer,
    event,
    stream,
)

GOOD = answer({**COMPLETION, "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
CHUNK = event({"choices": [{"delta": {"content": "Hello!"}}]})
GOOD_STREAM = stream(CHUNK, DONE)
CUT = [b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"choices":', CLOSE]

BAD: dict[str, Script] = {
    "400": answer(b'{"error":"no"}', "400 Bad Request"),
    "401": answer(b'{"error":"no"}', "401 Unauthorized"),
    "404": answer(b'{"error":"no"}', "404 Not Found"),
    "429": answer(b'{"error":"no"}', "429 Too Many Requests", "retry-after: 60"),
    "500": answer(b'{"error":"no"}', "500 Internal Server Error"),
    "cut body": CUT,
    "reset": [RESET],
    "closes": [CLOSE],
    "garbage": answer(b"<html>"),
    "wrong json": answer(b"[1]"),
    "not http": [b"+OK ready\r\n", CLOSE],
    "bad gzip": answer(b"x", "200 OK", "content-encoding: gzip"),
    "no choice": answer({"choices": []}),
    "slow head": [HANG],
    "slow body": [b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"cho', HANG],
    "redirect loop": answer(b"", "307 Temporary Redirect", "location: /v1/chat/completions"),
}
BAD_STREAMS: dict[str, Script] = {
    "400": BAD["400"],
    "429": BAD["429"],
    "500": BAD["500"],
    "json": GOOD,
    "closes": [CLOSE],
    "reset": [RESET],
    "empty": stream(DONE),
    "ends at once": stream(),
    "only comments": stream(b": hi\n\n"),
    "bad first event": stream(event(b"{"), CHUNK, DONE),
    "error first": stream(event({"error": {"message": "overloaded"}}), DONE),
    "cut before an event": [STREAM_HEAD + b"transfer-encoding: chunked\r\n\r\n", CLOSE],
    "slow head": [HANG],
    "slow first event": [STREAM_HEAD + b"transfer-encoding: chunked\r\n\r\n", HANG],
}
SECOND = TimeoutsConfig(300, 300, None)


@pytest.mark.parametrize("script", BAD.values(), ids=BAD.keys())
def test_every_fault_moves_on(script: Script) -> None:
    asked = ask({"bad": script, "good": GOOD, "unused": GOOD}, provider_timeouts=SECOND)
    result = asked.answered()
    assert result.response.output == [Text("Hello!")]
    assert (result.model_name, result.provider_name, result.provider_type) == (
        "m",
        "good",
        "openai",
    )
    assert asked.counts() | {"bad": 1} == {"bad": 1, "good": 1, "unused": 0}
    assert asked.took_s < 5


@pytest.mark.parametrize("script", BAD_STREAMS.values(), ids=BAD_STREAMS.keys())
def test_every_fault_before_the_first_chunk_moves_on(script: Script) -> None:
    asked = ask(
        {"bad": script, "good": GOOD_STREAM, "unused": GOOD_STREAM},
        stream=True,
        provider_timeouts=SECOND,
    )
    opened = asked.streamed()
    assert opened.route.config.name == "good"
    assert [item.content[0].text for item in asked.items] == ["Hello!"]
    assert asked.counts()["unused"] == 0


def test_nothing_moves_on_after_the_first_chunk() -> None:
    asked = ask({"cut": stream(CHUNK, end=[CLOSE]), "good": GOOD_STREAM}, stream=True)
    first, error = asked.items
    assert first.content[0].text == "Hello!"
    assert error.kind == "FatalStreamError"
    assert asked.counts() == {"cut": 1, "good": 0}


def test_a_bad_event_after_the_first_chunk_does_not_end_the_stream() -> None:
    asked = ask({"p": stream(CHUNK, event(b"{"), CHUNK, DONE)}, stream=True)
    assert [getattr(item, "kind", "chunk") for item in asked.items] == [
        "chunk",
        "InferenceServer",
        "chunk",
    ]


def test_the_first_that_answers_is_the_only_one_asked() -> None:
    assert ask({"a": GOOD, "b": GOOD}).counts() == {"a": 1, "b": 0}
    assert ask({"a": GOOD_STREAM, "b": GOOD_STREAM}, stream=True).counts() == {"a": 1, "b": 0}


@pytest.mark.parametrize("streams", [False, True])
def test_all_failed(streams: bool) -> None:
    scripts = {
        "first": answer(b"one", "500 Internal Server Error"),
        "second": [CLOSE],
        "third": answer(b"three", "429 Too Many Requests"),
    }
    error = ask(scripts, stream=streams).failed()
    assert isinstance(error, AllModelProvidersFailed)
    assert error.status == 500
    assert error.retryable
    prefix = "All model providers failed to infer with errors: first: "
    assert str(error).startswith(prefix)
    positions = [str(error).index(f"{name}: ") for name in ("first", "second", "third")]
    assert positions == sorted(positions)
    assert [raw.data for raw in error.raw_responses()] == ["one", "three"]
    assert list(error.to_json()["AllModelProvidersFailed"]["provider_errors"]) == list(scripts)


def test_failed_attempts_are_kept_without_id() -> None:
    scripts = {"a": answer(b"one", "500 No"), "b": [CLOSE], "c": answer(b"<html>"), "d": GOOD}
    failed = ask(scripts).answered().failed_raw
    assert [(raw.data, raw.model_inference_id) for raw in failed] == [
        ("one", None),
        ("<html>", None),
    ]
    opened = ask({"a": scripts["a"], "d": GOOD_STREAM}, stream=True).streamed()
    assert [raw.data for raw in opened.failed_raw] == ["one"]


def test_each_attempt_has_an_id_of_its_own() -> None:
    first, second = (ask({"a": BAD["500"], "b": GOOD}).answered().response for _ in range(2))
    assert first.id != second.id
    assert first.raw_usage is not None
    assert first.raw_usage.model_inference_id == first.id
    assert first.id[14] == "7"


def test_each_attempt_sees_its_own_blocks_and_edits() -> None:
    given = request(
        user(
            "hi",
            Unknown({"for": "b"}, "m", "b"),
            Unknown({"for": "m"}, "m"),
            Unknown({"for": "nobody"}, "n"),
        ),
        assistant("a", Thought("t", provider_type="openai"), Thought("x", provider_type="groq")),
        extra_body=(ExtraBody("/x", "b", model_name="m", provider_name="b"),),
        extra_headers=(ExtraHeader("x-b", "1", model_name="m", provider_name="b"),),
    )
    asked = ask({"a": BAD["500"], "b": GOOD}, given=given)
    bodies = {name: orjson.loads(seen[0].body) for name, seen in asked.seen.items()}
    blocks = {
        name: [part.get("for") for part in body["messages"][0]["content"]]
        for name, body in bodies.items()
    }
    assert blocks == {"a": [None, "m"], "b": [None, "b", "m"]}
    assert {name: body.get("x") for name, body in bodies.items()} == {"a": None, "b": "b"}
    assert "x-b" not in asked.seen["a"][0].headers
    assert asked.seen["b"][0].headers["x-b"] == "1"
    assert [body["model"] for body in bodies.values()] == ["a-model", "b-model"]
    assert bodies["b"]["messages"][1]["reasoning_content"] == "t"
    recorded = asked.answered().response.messages
    assert [type(block).__name__ for block in recorded[0].content] == ["Text", "Unknown", "Unknown"]


def test_the_providers_own_edits() -> None:
    providers: Any = {
        "a": {"extra_body": (ExtraBody("/who", "a"),)},
        "b": {"extra_body": (ExtraBody("/who", "b"),)},
    }
    asked = ask({"a": BAD["500"], "b": GOOD}, providers=providers)
    assert [orjson.loads(seen[0].body)["who"] for seen in asked.seen.values()] == ["a", "b"]


@pytest.mark.parametrize("streams", [False, True])
def test_what_fails_before_anything_is_sent_moves_on(streams: bool) -> None:
    providers: Any = {
        "keyless": {"credential": DynamicCredential("k")},
        "badly keyed": {"credential": StaticCredential("a\nb")},
    }
    good = GOOD_STREAM if streams else GOOD
    asked = ask(
        {**dict.fromkeys(providers, good), "good": good}, providers=providers, stream=streams
    )
    assert asked.error is None
    assert asked.counts() == {**dict.fromkeys(providers, 0), "good": 1}


def test_provider_tools_fail_one_attempt() -> None:
    tool = ProviderTool({"type": "web_search"}, "m", "a")
    given = request(tool_config=ToolCallConfig((), provider_tools=(tool,)))
    assert ask({"a": GOOD, "b": GOOD}, given=given).counts() == {"a": 0, "b": 1}


def test_a_refused_key_is_not_replaced_by_its_fallback() -> None:
    pair = FallbackCredential(DynamicCredential("k"), StaticCredential("fallback-key"))
    asked = ask(
        {"a": BAD["401"], "b": GOOD},
        providers={"a": {"credential": pair}},
        credentials={"k": "first-key"},
    )
    assert [seen.headers["authorization"] for seen in asked.seen["a"]] == ["Bearer first-key"]


def test_a_redirect_is_part_of_an_attempt() -> None:
    moved = answer(b"", "307 Temporary Redirect", "location: /elsewhere")
    asked = ask({"a": moved, "b": GOOD})
    assert asked.answered().provider_name == "b"
    assert len(asked.seen["a"]) == 11


def test_a_compressed_answer() -> None:
    script = answer(gzip.compress(orjson.dumps(COMPLETION)), "200 OK", "content-encoding: gzip")
    assert ask({"a": script}).answered().response.output == [Text("Hello!")]
