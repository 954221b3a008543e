"""What becomes of answers of the Messages API, and of everything that is none."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import MODEL_INFERENCE_ID, request, user
from providers.claude import ANTHROPIC, BOTH, KEY, SCHEMA, ask, says, text
from tensorzero.types.content import Text, Thought, ToolCall, Unknown
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import CLOSE, answer

both = pytest.mark.parametrize("type", BOTH)


def output(type: str, *content: Any) -> list[Any]:
    return ask(type, None, answer(says(*content))).answered().output


@both
def test_a_text(type: str) -> None:
    body = orjson.dumps(says("Hello!"))
    response = ask(type, None, answer(body)).answered()
    assert response.output == [Text("Hello!")]
    assert response.raw_response == body.decode()
    assert (response.usage, response.finish_reason) == (Usage(10, 25), "stop")
    usage = {"input_tokens": 10, "output_tokens": 25}
    assert response.raw_usage == RawUsage(MODEL_INFERENCE_ID, type, "chat_completions", usage)


@both
def test_every_kind_of_block(type: str) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, {"b": "é"}]}}
    blocks = [
        {"type": "thinking", "thinking": "Hm", "signature": "sig=="},
        {"type": "redacted_thinking", "data": "hidden=="},
        {**text("Hi"), "citations": [{"type": "page_location"}]},
        text(""),
        call,
        {**call, "id": "toolu_2", "input": {}},
    ]
    assert output(type, *blocks) == [
        Thought("Hm", "sig==", provider_type=type),
        Thought(None, "hidden==", provider_type=type),
        Text("Hi"),
        Text(""),
        ToolCall("toolu_1", "f", '{"a":[1,{"b":"é"}]}'),
        ToolCall("toolu_2", "f", "{}"),
    ]


@both
def test_a_thought_without_signature(type: str) -> None:
    for block in ({"thinking": "Hm"}, {"thinking": "Hm", "signature": None}):
        assert output(type, {"type": "thinking", **block}) == [Thought("Hm", provider_type=type)]


STRANGE: list[Any] = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    {"type": "text"},
    {"type": "tool_use", "id": "x", "name": "f"},
    {"type": "tool_use", "id": 7, "name": "f", "input": {}},
    {"type": "thinking", "signature": "sig"},
    {"type": "thinking", "thinking": "Hm", "signature": 7},
    {"type": "redacted_thinking"},
    {"type": "from_the_future"},
    {"no": "type"},
    7,
    None,
]


@both
@pytest.mark.parametrize("block", STRANGE)
def test_blocks_of_unknown_forms(type: str, block: Any) -> None:
    assert output(type, block, "Hi") == [Unknown(block, "m", "p"), Text("Hi")]


def test_an_answer_without_content() -> None:
    assert output(ANTHROPIC) == []


# --- figures --------------------------------------------------------------------------------------

USAGES: list[tuple[Any, Usage]] = [
    (
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 85,
            "output_tokens": 3,
        },
        Usage(100, 3, 85, 5),
    ),
    ({"input_tokens": 0, "output_tokens": 0}, Usage(0, 0)),
    ({"cache_read_input_tokens": 7}, Usage(7, None, 7, None)),
    ({"cache_creation_input_tokens": 7, "input_tokens": None}, Usage(7, None, None, 7)),
    ({"output_tokens": 3}, Usage(None, 3)),
    ({"input_tokens": "1", "output_tokens": -1}, Usage()),
    (None, Usage()),
]


@pytest.mark.parametrize(("usage", "expected"), USAGES)
def test_usage(usage: Any, expected: Usage) -> None:
    for content in (["Hi"], ["Hi", "there"]):
        response = ask(ANTHROPIC, None, answer(says(*content, usage=usage))).answered()
        assert response.usage == expected
        data = None if response.raw_usage is None else response.raw_usage.data
        assert data == usage


REASONS = [
    ("end_turn", "stop"),
    ("max_tokens", "length"),
    ("stop_sequence", "stop_sequence"),
    ("tool_use", "tool_call"),
    ("refusal", "unknown"),
    ("pause_turn", "unknown"),
    ("model_context_window_exceeded", "unknown"),
    (None, None),
]


@pytest.mark.parametrize(("reason", "expected"), REASONS)
def test_stop_reasons(reason: str | None, expected: str | None) -> None:
    for content in (["Hi"], ["Hi", "there"]):
        response = ask(ANTHROPIC, None, answer(says(*content, stop=reason))).answered()
        assert response.finish_reason == expected


def test_only_the_content_is_needed() -> None:
    response = ask(ANTHROPIC, None, answer({"content": [text("Hi"), text("!")]})).answered()
    assert response.output == [Text("Hi"), Text("!")]
    assert (response.usage, response.raw_usage, response.finish_reason) == (Usage(), None, None)


# --- answers that were begun ----------------------------------------------------------------------

BEGUN = [
    (['"a": 1}'], [Text('{"a": 1}')]),
    ([' \n"a": 1} \n'], [Text('{"a": 1}')]),
    ([{"type": "thinking", "thinking": "Hm"}, '"a":1}'], [None, Text('{"a":1}')]),
    ([' "a":', " 1}"], [Text('{"a":'), Text(" 1}")]),
]


@pytest.mark.parametrize(("content", "expected"), BEGUN)
def test_the_brace_is_given_back(content: Any, expected: Any) -> None:
    given = request(json_mode="on", function_type="json", output_schema=SCHEMA)
    response = ask(ANTHROPIC, given, answer(says(*content))).answered()
    assert [one if isinstance(one, Text) else None for one in response.output] == expected
    assert '"a' in response.raw_response and '{\\"a' not in response.raw_response


def test_a_begun_answer_without_text(caplog: pytest.LogCaptureFixture) -> None:
    given = request(json_mode="on", function_type="json")
    block = {"type": "redacted_thinking", "data": "x"}
    response = ask(ANTHROPIC, given, answer(says(block))).answered()
    assert response.output == [Thought(None, "x", provider_type=ANTHROPIC)]
    assert "Expected a single text block in the response from Anthropic" in caplog.text


# --- refusals -------------------------------------------------------------------------------------


def fault(kind: str, message: str) -> bytes:
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}})


STATUSES = [
    ("400 Bad Request", "invalid_request_error", True),
    ("401 Unauthorized", "authentication_error", True),
    ("413 Request Entity Too Large", "request_too_large", True),
    ("429 Too Many Requests", "rate_limit_error", True),
    ("403 Forbidden", "permission_error", False),
    ("404 Not Found", "not_found_error", False),
    ("500 Internal Server Error", "api_error", False),
    ("529 Overloaded", "overloaded_error", False),
]


@both
@pytest.mark.parametrize(("status", "kind", "client"), STATUSES)
def test_statuses(type: str, status: str, kind: str, client: bool) -> None:
    body = fault(kind, "no")
    outcome = ask(type, None, answer(body, status))
    error = outcome.failed()
    if client:
        assert (error.kind, error.status) == ("InferenceClient", int(status[:3]))
        assert str(error) == f"Error {status} from {type} client: {body.decode()}"
    else:
        assert (error.kind, error.status) == ("InferenceServer", 500)
        assert str(error) == f"Error from {type} server: {body.decode()}"
    assert [raw.data for raw in error.raw_responses()] == [body.decode()]


def test_a_key_is_never_shown() -> None:
    body = fault("authentication_error", f"invalid x-api-key {KEY}")
    error = ask(ANTHROPIC, None, answer(body, "401 Unauthorized"), debug=True).failed()
    assert "invalid x-api-key [redacted]" in str(error) and KEY not in str(error)


UNREADABLE: list[tuple[bytes, str]] = [
    (b"", "empty document"),
    (b"<html>", "unexpected character"),
    (b"[]", "missing field `content`"),
    (b'{"type":"error","error":{"type":"api_error"}}', "missing field `content`"),
    (b'{"content":{}}', "missing field `content`"),
    (b'{"content":"Hi"}', "missing field `content`"),
    (b"\xff\xfe", "Error parsing JSON response: "),
]


@both
@pytest.mark.parametrize(("body", "reason"), UNREADABLE)
def test_unreadable_answers(type: str, body: bytes, reason: str) -> None:
    error = ask(type, None, answer(body)).failed()
    assert error.kind == "InferenceServer"
    shown = body.decode("utf-8", "replace")
    assert str(error).startswith(f"Error from {type} server: Error parsing JSON response: ")
    assert reason in str(error) and str(error).endswith(f": {shown}")


@both
def test_no_answer(type: str) -> None:
    error = ask(type, None, [CLOSE]).failed()
    assert error.kind == "InferenceClient"
    assert str(error).startswith(f"Error from {type} client: Error sending request: ")


def test_the_raw_bodies_are_shown_when_asked_for() -> None:
    error = ask(ANTHROPIC, request(user("Hi")), answer(b"no", "500 Oh"), debug=True).failed()
    assert '"text":"Hi"' in str(error) and "Raw response: no" in str(error)
