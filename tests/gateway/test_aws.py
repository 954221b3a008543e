"""Bedrock as the clients of a running gateway see it, and what is recorded of it."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.api import Api
from gateway.scripted import ENV_KEY, Upstream
from providers.aws_calls import event_frame, exception_frame, frames
from upstream.scripted import DONE, answer, event, stream

USAGE = {"inputTokens": 10, "outputTokens": 4, "totalTokens": 14, "cacheReadInputTokens": 5}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello!"}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
}
EVENTS: list[tuple[str, Any]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "lo"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "max_tokens"}),
    ("metadata", {"usage": USAGE}),
]
THROTTLED = exception_frame("throttlingException", {"message": "Too many requests"})


def made(*events: tuple[str, Any]) -> list[bytes]:
    return [event_frame(kind, data) for kind, data in events]


def test_an_answer_and_its_row(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(ANSWER), model="")
    answered = scripted.ok(model_name="claude", include_raw_usage=True)
    assert answered["content"] == [{"type": "text", "text": "Hello!"}]
    assert answered["usage"]["input_tokens"] == 15
    assert answered["usage"]["provider_cache_read_input_tokens"] == 5
    (raw,) = answered["raw_usage"]
    assert (raw["provider_type"], raw["data"]) == ("aws_bedrock", USAGE)
    seen = upstream.seen[-1]
    assert seen.line == (
        "POST /v1/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse HTTP/1.1"
    )
    assert seen.headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={ENV_KEY}/")
    row = scripted.model_row(answered["inference_id"])
    assert row["raw_request"].encode() == seen.body
    assert orjson.loads(row["raw_response"]) == ANSWER
    assert (row["model_provider_name"], row["input_tokens"], row["output_tokens"]) == (
        "bedrock",
        15,
        4,
    )


def test_a_stream_and_its_row(scripted: Api, upstream: Upstream) -> None:
    """The usage comes after the reason to stop, and reaches the client."""
    upstream.say(frames(*made(*EVENTS)), model="")
    chunks = scripted.stream(model_name="claude")
    texts = [block["text"] for chunk in chunks for block in chunk["content"]]
    assert "".join(texts) == "Hello"
    assert [one["finish_reason"] for one in chunks if one.get("finish_reason")] == ["length"]
    usage = chunks[-1]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (15, 4)
    row = scripted.model_row(chunks[0]["inference_id"])
    silent = ("messageStart", "contentBlockStop")
    payloads = [orjson.dumps(data).decode() for kind, data in EVENTS if kind not in silent]
    assert row["raw_response"] == "\n".join(payloads)
    assert row["raw_request"].encode() == upstream.seen[-1].body


def test_a_first_read_with_nothing_to_show(scripted: Api, upstream: Upstream) -> None:
    head, first, *others = frames(*made(*EVENTS))
    upstream.say([head, first, 0.3, *others], model="")
    chunks = scripted.stream(model_name="claude")
    assert "".join(block["text"] for chunk in chunks for block in chunk["content"]) == "Hello"


def test_an_exception_first_is_answered_by_the_next_provider(
    scripted: Api, upstream: Upstream
) -> None:
    upstream.say(frames(THROTTLED), model="")
    fine = {"choices": [{"delta": {"content": "from the second"}}]}
    fine = event({"choices": [{"delta": {"content": "from the second"}}]})
    upstream.say(stream(fine, DONE), model="second")
    chunks = scripted.stream(model_name="claude")
    assert chunks[0]["content"][0]["text"] == "from the second"
    row = scripted.model_row(chunks[0]["inference_id"])
    assert row["model_provider_name"] == "second"


def test_a_later_exception_is_an_event_of_the_stream(scripted: Api, upstream: Upstream) -> None:
    upstream.say(frames(*made(*EVENTS[:3]), THROTTLED, *made(*EVENTS[3:])), model="")
    chunks = scripted.stream(model_name="claude")
    assert "".join(one["content"][0]["text"] for one in chunks[:2]) == "Hello"
    assert "AWS Bedrock streaming exception: throttlingException" in chunks[2]["error"]
    # What follows is the end of our own stream, nothing of Bedrock's.
    assert [one["content"] for one in chunks[3:]] == [[]]


def test_a_refusal_of_both(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(b'{"message":"no access"}', "403 Forbidden"), model="")
    upstream.say(answer(b"{}", "500 Internal Server Error"), model="second")
    for streams in (False, True):
        body = scripted.refused(
            502,
            "aws_bedrock server: AWS Bedrock returned error status 403 Forbidden: "
            '{"message":"no access"}',
            model_name="claude",
            stream=streams,
        )
        assert ENV_KEY not in body["error"]
