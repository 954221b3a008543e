"""What ``aws_bedrock`` makes of complete answers, of refusals and of silence."""

from __future__ import annotations

import time
from calendar import timegm
from email.utils import formatdate
from typing import Any

import orjson
import pytest

from providers.aws_calls import BEARER, TOKEN, converse
from providers.calls import MODEL_INFERENCE_ID, Outcome, call, request
from tensorzero.types.content import OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.errors import GatewayError
from tensorzero.types.extra import ExtraHeader
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import CLOSE, HANG, Script, answer

USAGE = {"inputTokens": 10, "outputTokens": 4, "totalTokens": 14}


def said(*content: Any, **changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": list(content)}
    body = {"output": {"message": message}, "stopReason": "end_turn", "usage": USAGE}
    return {**body, **changes}


def answered(body: object, **fields: Any) -> Outcome:
    return converse(request(**fields), answer(body))


def failed(script: Script, **options: Any) -> GatewayError:
    return converse(request(), script, **options).failed()


def test_a_text() -> None:
    body = said({"text": "Hello!"}, metrics={"latencyMs": 5}, trace={})
    response = answered(body).answered()
    assert response.output == [Text("Hello!")]
    assert response.finish_reason == "stop"
    assert response.usage == Usage(10, 4)
    assert response.raw_usage == RawUsage(
        MODEL_INFERENCE_ID, "aws_bedrock", "chat_completions", USAGE
    )
    assert response.raw_response == orjson.dumps(body).decode()


BLOCKS: list[tuple[Any, OutputBlock]] = [
    ({"text": ""}, Text("")),
    ({"text": "a \u20ac"}, Text("a \u20ac")),
    (
        {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Lyon", "n": [1]}}},
        ToolCall("t1", "weather", '{"city":"Lyon","n":[1]}'),
    ),
    (
        {"reasoningContent": {"reasoningText": {"text": "why", "signature": "sig"}}},
        Thought("why", "sig", provider_type="aws_bedrock"),
    ),
    (
        {"reasoningContent": {"reasoningText": {"text": "why"}}},
        Thought("why", provider_type="aws_bedrock"),
    ),
    (
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        Thought(None, "c2VjcmV0", provider_type="aws_bedrock"),
    ),
]
UNKNOWN = [
    {"citationsContent": {"content": []}},
    {"reasoningContent": {"other": 1}},
    {"toolUse": {"name": "without an id"}},
    {"text": 7},
    "a string",
    None,
]


def test_every_block() -> None:
    body = said(*(block for block, _ in BLOCKS), *UNKNOWN)
    assert answered(body).answered().output == [
        *(expected for _, expected in BLOCKS),
        *(Unknown(block, "m", "p") for block in UNKNOWN),
    ]


@pytest.mark.parametrize("block", [one for one, _ in BLOCKS])
def test_each_block_alone(block: Any) -> None:
    """The short way of reading leaves to the general one what it does not know."""
    expected = next(made for given, made in BLOCKS if given == block)
    assert answered(said(block)).answered().output == [expected]


def test_a_text_with_more_in_it_is_no_plain_text() -> None:
    block = {"citationsContent": {}, "text": None}
    assert answered(said(block)).answered().output == [Unknown(block, "m", "p")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_call"),
        ("content_filtered", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("model_context_window_exceeded", "unknown"),
    ],
)
@pytest.mark.parametrize("content", [[{"text": "x"}], []])
def test_stop_reasons(given: str, expected: str, content: list[Any]) -> None:
    assert answered(said(*content, stopReason=given)).answered().finish_reason == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"inputTokens": 10, "outputTokens": 1, "cacheReadInputTokens": 85},
            Usage(95, 1, 85, None),
        ),
        (
            {
                "inputTokens": 10,
                "outputTokens": 1,
                "cacheReadInputTokens": 85,
                "cacheWriteInputTokens": 5,
            },
            Usage(100, 1, 85, 5),
        ),
        (
            {"inputTokens": 0, "outputTokens": 0, "cacheReadInputTokens": 0},
            Usage(0, 0, 0, None),
        ),
        ({"outputTokens": 1}, Usage(None, 1)),
        ({"inputTokens": -1, "outputTokens": "1"}, Usage()),
        (None, Usage()),
    ],
)
def test_usage(usage: Any, expected: Usage) -> None:
    for content in ([{"text": "x"}], []):
        assert answered(said(*content, usage=usage)).answered().usage == expected


@pytest.mark.parametrize("mode", ["on", "strict"])
def test_the_brace_of_a_prefill_comes_back(mode: Any) -> None:
    fields: dict[str, Any] = {"json_mode": mode, "function_type": "json"}
    plain = answered(said({"text": ' \n"a":1}\n '}), **fields).answered()
    assert plain.output == [Text('{"a":1}')]
    thought = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    after = answered(said(thought, {"text": '"a":1}'}), **fields).answered()
    assert after.output[1] == Text('{"a":1}')


def test_a_prefilled_answer_without_text(caplog: pytest.LogCaptureFixture) -> None:
    block, expected = BLOCKS[2]
    outcome = answered(said(block), json_mode="on", function_type="json")
    assert outcome.answered().output == [expected]
    assert "has no text" in caplog.text


# --- errors -------------------------------------------------------------------------------------

STATUSES = [
    "400 Bad Request",
    "403 Forbidden",
    "404 Not Found",
    "424 Failed Dependency",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "503 Service Unavailable",
]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("keys", [TOKEN, BEARER], ids=["signed", "bearer"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_refusal(status: str, keys: Any, streams: bool) -> None:
    body = b'{"message":"The security token included in the request is invalid."}'
    outcome = converse(request(stream=streams), answer(body, status), keys=keys)
    error = outcome.failed()
    assert (error.kind, error.status) == ("InferenceServer", 500)
    assert str(error) == (
        f"Error from aws_bedrock server: AWS Bedrock returned error status {status}: "
        f"{body.decode()}"
    )
    assert [raw.data for raw in error.raw_responses()] == [body.decode()]
    assert len(outcome.seen) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff", b"<html>"])
def test_garbage(body: bytes) -> None:
    error = failed(answer(body))
    assert error.kind == "InferenceServer"
    wanted = "Error from aws_bedrock server: Error parsing response from AWS Bedrock: "
    assert str(error).startswith(wanted)


@pytest.mark.parametrize(
    "body",
    [{}, {"output": None}, {"output": {}}, {"output": {"message": None}, "stopReason": "end_turn"}],
)
def test_no_message(body: Any) -> None:
    text = "Error from aws_bedrock server: AWS Bedrock returned an empty message."
    assert str(failed(answer(body))) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"output": {"message": {}}, "stopReason": "end_turn"}, "missing field `content`"),
        ({"output": {"message": {"content": [{"text": "x"}]}}}, "missing field `stopReason`"),
        ({"output": {"message": 7}, "stopReason": "end_turn"}, "missing field `content`"),
    ],
)
def test_an_incomplete_answer(body: Any, text: str) -> None:
    assert text in str(failed(answer(body)))


def test_no_answer_at_all() -> None:
    error = failed([CLOSE])
    assert error.kind == "InferenceServer"
    assert "Error from aws_bedrock server: Error sending request to AWS Bedrock: " in str(error)


def test_a_cut_answer() -> None:
    error = failed([b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", CLOSE])
    assert error.kind == "InferenceServer"
    assert [raw.data for raw in error.raw_responses()] == ["{"]


def test_the_global_timeout() -> None:
    error = failed([HANG], global_timeout_ms=50)
    assert error.kind == "InferenceServer"
    assert "gateway.global_outbound_http_timeout_ms" in str(error)


def test_secrets_are_not_repeated() -> None:
    """AWS shows the canonical request, with the session token in it."""
    body = b'{"message":"should have been POST x-amz-security-token:a-session-token"}'
    error = failed(answer(body, "403 Forbidden"), keys=TOKEN)
    assert "a-session-token" not in str(error)
    assert "x-amz-security-token:[redacted]" in str(error)
    error = failed(answer(b"no: a-bearer-token", "403 Forbidden"), keys=BEARER)
    assert "a-bearer-token" not in str(error)


# --- clocks -------------------------------------------------------------------------------------


def dated(seconds: float, status: str, body: object, *headers: str) -> Script:
    date = formatdate(time.time() + seconds, usegmt=True)
    return answer(body, status, f"date: {date}", *headers)


EXPIRED = {"message": "Signature expired: is now earlier than"}
FINE = answer(said({"text": "Hello!"}))


def signed_at(outcome: Outcome) -> list[float]:
    """How far the signatures' dates are from now, in seconds."""
    dates = [seen.headers["x-amz-date"] for seen in outcome.seen]
    stamps = [timegm(time.strptime(one, "%Y%m%dT%H%M%SZ")) for one in dates]
    return [stamp - time.time() for stamp in stamps]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("offset", [-7200, 7200, 86_400])
def test_a_wrong_clock_is_corrected(offset: int, streams: bool) -> None:
    outcome = converse(
        request(stream=streams),
        dated(offset, "403 Forbidden", EXPIRED),
        FINE if not streams else answer(b"", "200 OK", "content-type: x/y"),
        times=2,
        keys=TOKEN,
    )
    first, second, *later = signed_at(outcome)
    assert abs(first) < 60
    assert abs(second - offset) < 60
    # The offset is remembered: the next call is right at once.
    assert [abs(one - offset) < 60 for one in later] == [True]
    tokens = [seen.head.count(b"a-session-token") for seen in outcome.seen]
    assert tokens == [1, 1, 1]
    assert [seen.head.count(b"authorization:") for seen in outcome.seen] == [1, 1, 1]


def test_a_wrong_clock_is_corrected_once_a_call() -> None:
    outcome = converse(
        request(),
        dated(7200, "403 Forbidden", EXPIRED),
        dated(-7200, "403 Forbidden", EXPIRED),
    )
    assert outcome.failed().kind == "InferenceServer"
    assert len(outcome.seen) == 2


def test_other_refusals_are_final() -> None:
    for script in (
        dated(10, "403 Forbidden", EXPIRED),
        dated(7200, "400 Bad Request", EXPIRED),
        answer(EXPIRED, "403 Forbidden"),
        answer(EXPIRED, "403 Forbidden", "date: yesterday"),
    ):
        assert len(converse(request(), script).seen) == 1


def test_what_the_caller_signed_is_not_signed_again() -> None:
    extra = (ExtraHeader("authorization", "theirs"),)
    script = dated(7200, "403 Forbidden", EXPIRED)
    assert len(converse(request(extra_headers=extra), script).seen) == 1
    assert len(converse(request(), script, keys=BEARER).seen) == 1


def test_other_types_do_not_sign() -> None:
    script = dated(7200, "403 Forbidden", EXPIRED)
    assert len(call(request(), script).seen) == 1
