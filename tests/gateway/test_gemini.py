"""Gemini as the clients of a running gateway see it, and what is recorded of it."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from gateway.api import Api, text, user
from gateway.scripted import COMPLETION, ENV_KEY, Upstream
from providers.gcp_account import EMAIL, read_jwt
from providers.gemini import STUDIO, USAGE, says
from upstream.scripted import DONE, answer, event, stream

CALL = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "S"}
CODE = {"executableCode": {"language": "PYTHON", "code": "1"}}
TOOL = {"name": "f", "description": "d", "parameters": {"type": "object"}}
BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}}


def part(*parts: Any, finish: str | None = None, usage: Any = None) -> dict[str, Any]:
    return says(*parts, finish=finish, usage=usage)


def texts(chunks: list[Any]) -> str:
    blocks = [block for chunk in chunks for block in chunk.get("content", [])]
    return "".join(block.get("text") or "" for block in blocks)


def test_an_answer_and_its_row(scripted: Api, upstream: Upstream) -> None:
    body = says("Hello!", usage={**USAGE, "cachedContentTokenCount": 3})
    upstream.say(answer(body), model="")
    answered = scripted.ok(model_name="gemini", include_raw_usage=True)
    assert answered["content"] == [text("Hello!")]
    usage = answered["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (4, 29)
    assert usage["provider_cache_read_input_tokens"] == 3
    assert usage["cost"] == pytest.approx(22e-6)
    (raw,) = answered["raw_usage"]
    assert (raw["provider_type"], raw["api_type"]) == (STUDIO, "chat_completions")
    assert raw["data"] == body["usageMetadata"]
    seen = upstream.seen[-1]
    assert seen.line == "POST /v1beta/models/gemini-x:generateContent HTTP/1.1"
    assert seen.headers["x-goog-api-key"] == ENV_KEY
    row = scripted.model_row(answered["inference_id"])
    assert row["raw_request"].encode() == seen.body
    assert row["raw_request"] == (
        '{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":null,"generationConfig":{}}'
    )
    assert orjson.loads(row["raw_response"]) == body
    assert (row["model_provider_name"], row["output_tokens"]) == ("studio", 29)


def test_a_stream_and_its_row(scripted: Api, upstream: Upstream) -> None:
    """Figures are those of the last event; its signature can be sent back."""
    events = [
        part("Hel", usage={"promptTokenCount": 4, "candidatesTokenCount": 1}),
        part("lo", usage={"promptTokenCount": 4, "candidatesTokenCount": 2}),
        part({"text": "", "thoughtSignature": "S"}, finish="MAX_TOKENS", usage=USAGE),
    ]
    upstream.say(stream(*map(event, events)), model="")
    chunks = scripted.stream(model_name="gemini")
    assert texts(chunks) == "Hello"
    assert [one["finish_reason"] for one in chunks if one.get("finish_reason")] == ["length"]
    assert chunks[-1]["usage"]["output_tokens"] == 29
    inference_id = chunks[0]["inference_id"]
    row = scripted.model_row(inference_id)
    assert row["raw_response"].encode() == b"\n".join(map(orjson.dumps, events))
    stored = scripted.row(inference_id)["output"]
    thought = {"type": "thought", "text": None, "signature": "S", "provider_type": STUDIO}
    assert stored == [text("Hello"), thought]

    upstream.say(answer(says("Hi")), model="")
    said = {"role": "assistant", "content": stored}
    scripted.ok(model_name="gemini", input={"messages": [*user(text("Hi"))["messages"], said]})
    parts = orjson.loads(upstream.seen[-1].body)["contents"][1]["parts"]
    assert parts == [{"text": "Hello"}, {"thoughtSignature": "S", "text": ""}]


def test_a_call_and_its_result(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(says(CALL)), model="")
    fields = {"model_name": "gemini", "additional_tools": [TOOL]}
    answered = scripted.ok(**fields)
    thought, call = answered["content"]
    assert (thought["type"], thought["signature"]) == ("thought", "S")
    assert (call["name"], call["arguments"], call["raw_arguments"]) == ("f", {"a": 1}, '{"a":1}')
    assert answered["finish_reason"] == "stop"
    result = {"type": "tool_result", "id": call["id"], "name": "f", "result": "[7]"}
    messages = [
        *user(text("Hi"))["messages"],
        {"role": "assistant", "content": answered["content"]},
        *user(result)["messages"],
    ]
    upstream.say(answer(says("Done")), model="")
    scripted.ok(**fields, input={"messages": messages})
    body = orjson.loads(upstream.seen[-1].body)
    assert [one["parts"] for one in body["contents"][1:]] == [
        [{"thoughtSignature": "S", "function_call": {"name": "f", "args": {"a": 1}}}],
        [
            {
                "function_response": {
                    "name": "f",
                    "response": {"name": "f", "content": "[7]"},
                }
            }
        ],
    ]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "auto"}}


def test_a_file_is_sent_and_its_place_recorded(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(says("A page")), model="")
    data = base64.b64encode(b"%PDF-1.7 of the tests").decode()
    file = {"type": "file", "file_type": "base64", "data": data, "mime_type": "application/pdf"}
    answered = scripted.ok(model_name="gemini", input=user(file))
    ((sent,),) = [one["parts"] for one in orjson.loads(upstream.seen[-1].body)["contents"]]
    assert sent == {"inline_data": {"mime_type": "application/pdf", "data": data}}
    row = scripted.model_row(answered["inference_id"])
    assert row["raw_request"] == upstream.seen[-1].body.decode().replace(
        data, "<TENSORZERO_FILE_0>"
    )


@pytest.mark.parametrize("streams", [False, True])
def test_a_blocked_prompt_is_left_to_the_next_provider(
    scripted: Api, upstream: Upstream, streams: bool
) -> None:
    upstream.say(stream(event(BLOCKED)) if streams else answer(BLOCKED), model="")
    fine = event({"choices": [{"delta": {"content": "Hello!"}}]})
    upstream.say(stream(fine, DONE) if streams else answer(COMPLETION), model="second")
    if streams:
        chunks = scripted.stream(model_name="gemini")
        inference_id, said = chunks[0]["inference_id"], texts(chunks)
    else:
        answered = scripted.ok(model_name="gemini")
        inference_id, said = answered["inference_id"], answered["content"][0]["text"]
    assert said == "Hello!"
    assert scripted.model_row(inference_id)["model_provider_name"] == "second"


@pytest.mark.parametrize("streams", [False, True])
def test_a_refusal_of_both_is_no_stream(scripted: Api, upstream: Upstream, streams: bool) -> None:
    upstream.say(answer(b'{"error":{"code":429}}', "429 Too Many Requests"), model="")
    upstream.say(answer(b"{}", "500 X"), model="second")
    refused = scripted.refused(
        502, STUDIO, "429", '{"error":{"code":429}}', model_name="gemini", stream=streams
    )
    assert ENV_KEY not in refused["error"]


def test_a_bad_event_is_an_error_in_the_stream(scripted: Api, upstream: Upstream) -> None:
    upstream.say(stream(event(part("Hel")), event(b"{nope"), event(part("lo"))), model="")
    chunks = scripted.stream(model_name="gemini")
    (error,) = [one["error"] for one in chunks if "error" in one]
    assert "Error parsing streaming JSON response: " in error
    assert texts(chunks) == "Hello"


def test_vertex_signs_or_takes_the_requests_token(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(says("Hi")), model="")
    scripted.ok(model_name="vertex")
    seen = upstream.seen[-1]
    assert seen.line == (
        "POST /v1/projects/proj/locations/us-central1/publishers/google/models/"
        "gemini-x:generateContent HTTP/1.1"
    )
    _, claims = read_jwt(seen.headers["authorization"])
    assert claims["iss"] == EMAIL
    assert claims["aud"] == "https://us-central1-aiplatform.googleapis.com/"
    scripted.ok(model_name="vertex", credentials={"gcp": "ya29.of-the-request"})
    assert upstream.seen[-1].headers["authorization"] == "Bearer ya29.of-the-request"


def test_unknown_chunks_are_discarded_where_that_is_wanted(
    scripted: Api, upstream: Upstream
) -> None:
    upstream.say(stream(event(part(CODE)), event(part("x", finish="STOP"))), model="")
    chunks = scripted.stream(model_name="vertex")
    blocks = [block["type"] for chunk in chunks for block in chunk["content"]]
    assert blocks == ["text"]


def test_that_hosts_are_looked_for_elsewhere_is_said(scripted: Api) -> None:
    assert "TENSORZERO_UPSTREAM_HOSTS is set: " in scripted.log
