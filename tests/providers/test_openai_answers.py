"""What the ``openai`` provider makes of complete answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.calls import MODEL_INFERENCE_ID, Outcome, call, request
from tensorzero.providers.chat_completions.answers import AnswerReader
from tensorzero.providers.chat_completions.events import ChatCompletionsReader
from tensorzero.types.content import Text, Thought, ToolCall
from tensorzero.types.model import ProviderChunk
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import CLOSE, answer


def completion(message: Any, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **fields}


def answered(body: Any, **options: Any) -> Outcome:
    return call(request(), answer(body), **options)


def output(message: dict[str, Any]) -> list[Any]:
    return answered(completion(message)).answered().output


FUNCTION = {"name": "f", "arguments": '{"a": 1}'}
OUTPUTS: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("text", {"content": "Hello"}, [Text("Hello")]),
    ("an empty text is a block", {"content": ""}, [Text("")]),
    ("null is none", {"content": None}, []),
    ("nothing at all", {}, []),
    ("a refusal is not passed on", {"content": None, "refusal": "no"}, []),
    ("unknown fields are ignored", {"content": "a", "audio": {}, "annotations": [1]}, [Text("a")]),
    (
        "reasoning_content",
        {"content": "a", "reasoning_content": "why"},
        [Thought("why", provider_type="openai"), Text("a")],
    ),
    (
        "reasoning wins over reasoning_content",
        {"content": "a", "reasoning": "r", "reasoning_content": "c"},
        [Thought("r", provider_type="openai"), Text("a")],
    ),
    (
        "a null reasoning does not hide the other",
        {"content": "a", "reasoning": None, "reasoning_content": "c"},
        [Thought("c", provider_type="openai"), Text("a")],
    ),
    ("an empty reasoning is none", {"content": "a", "reasoning": ""}, [Text("a")]),
    (
        "tool calls come last, arguments as they are",
        {
            "content": "a",
            "tool_calls": [
                {"id": "1", "type": "function", "function": FUNCTION},
                {"id": "2", "function": {"name": "g", "arguments": "not JSON"}},
            ],
        },
        [Text("a"), ToolCall("1", "f", '{"a": 1}'), ToolCall("2", "g", "not JSON")],
    ),
    (
        "custom tool calls",
        {
            "content": None,
            "tool_calls": [
                {"id": "1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
            ],
        },
        [ToolCall("1", "sql", "SELECT 1")],
    ),
    (
        "arguments that are no text",
        {
            "tool_calls": [
                {"id": "1", "function": {"name": "f", "arguments": {"a": 1}}},
                {"id": "2", "function": {"name": "f"}},
            ]
        },
        [ToolCall("1", "f", '{"a":1}'), ToolCall("2", "f", "")],
    ),
    ("no tool calls", {"content": "a", "tool_calls": None}, [Text("a")]),
    ("an empty list of tool calls", {"content": "a", "tool_calls": []}, [Text("a")]),
]


@pytest.mark.parametrize(
    ("message", "expected"), [row[1:] for row in OUTPUTS], ids=[row[0] for row in OUTPUTS]
)
def test_output(message: dict[str, Any], expected: list[Any]) -> None:
    assert output(message) == expected


def test_an_answer_without_content_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    output({"content": "a"})
    assert "without content" not in caplog.text
    output({"content": None, "refusal": "no"})
    assert "without content" in caplog.text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_call"),
        ("function_call", "tool_call"),
        ("something_new", "unknown"),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_finish_reasons(value: Any, expected: Any) -> None:
    body = {"choices": [{"message": {"content": "a"}, "finish_reason": value}]}
    assert answered(body).answered().finish_reason == expected


def test_a_missing_finish_reason_is_none() -> None:
    assert answered({"choices": [{"message": {}}]}).answered().finish_reason is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 0}, Usage(3, 0)),
        (
            {
                "prompt_tokens": 30,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 12, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 4},
            },
            Usage(30, 5, 12),
        ),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0}}, Usage(3, None, 0)),
        ({"prompt_tokens": 3, "prompt_tokens_details": None}, Usage(3)),
        ({"prompt_tokens": -1, "completion_tokens": "7"}, Usage()),
        ({"prompt_tokens": 2**32, "completion_tokens": 2**32 - 1}, Usage(None, 2**32 - 1)),
        ({"prompt_tokens": True}, Usage()),
        ({}, Usage()),
        ([], Usage()),
    ],
)
def test_usage(usage: Any, expected: Usage) -> None:
    response = answered(completion({"content": "a"}, usage=usage)).answered()
    assert response.usage == expected
    assert response.raw_usage == RawUsage(MODEL_INFERENCE_ID, "openai", "chat_completions", usage)


@pytest.mark.parametrize("fields", [{}, {"usage": None}])
def test_no_usage_is_unknown(fields: Any) -> None:
    response = answered(completion({"content": "a"}, **fields)).answered()
    assert response.usage == Usage()
    assert response.raw_usage is None


def test_the_raw_answer_is_kept_as_it_came() -> None:
    raw = '{ "choices":[{"message":{"content":"caf\u00e9 \\u20ac"} } ]}\n'
    response = call(request(), answer(raw.encode())).answered()
    assert response.raw_response == raw
    assert response.output == [Text("caf\u00e9 \u20ac")]
    assert response.id == MODEL_INFERENCE_ID


# --- what cannot be used --------------------------------------------------------------------------

UNREADABLE: list[tuple[bytes, str]] = [
    (b"", "Error parsing JSON response: "),
    (b"<html>", "Error parsing JSON response: "),
    (b'{"choices":[', "Error parsing JSON response: "),
    (b'{"choices":[{"message":{"content":"\xff"}}]}', "Error parsing JSON response: "),
    (b"[" * 5000, "Error parsing JSON response: "),
    (b"null", "missing field `choices`"),
    (b"[]", "missing field `choices`"),
    (b"{}", "missing field `choices`"),
    (b'{"error":{"message":"no"}}', 'missing field `choices`: {"message":"no"}'),
    (b'{"choices":{}}', "missing field `choices`"),
    (b'{"choices":[]}', "invalid number of choices: 0"),
    (b'{"choices":[{},{}]}', "invalid number of choices: 2"),
    (b'{"choices":[null]}', "missing field `message`"),
    (b'{"choices":[{"message":"a"}]}', "missing field `message`"),
    (b'{"choices":[{"message":{"content":["a"]}}]}', "`content` is not a string"),
    (b'{"choices":[{"message":{"tool_calls":7}}]}', "`tool_calls` is not a list"),
    (b'{"choices":[{"message":{"tool_calls":["a"]}}]}', "not an object"),
    (b'{"choices":[{"message":{"tool_calls":[{"id":"1"}]}}]}', "without `function`"),
    (b'{"choices":[{"message":{"tool_calls":[{"function":{}}]}}]}', "`name` is not a string"),
    (b'{"choices":[{"message":{"tool_calls":[{"type":"custom"}]}}]}', "without `custom`"),
    (b'{"choices":[{"message":{"tool_calls":[{"id":5,"function":{}}]}}]}', "`id` is not a string"),
]


@pytest.mark.parametrize(("body", "text"), UNREADABLE)
def test_garbage_is_the_servers_fault(body: bytes, text: str) -> None:
    error = call(request(), answer(body)).failed()
    assert error.kind == "InferenceServer"
    assert error.status == 500
    assert str(error).startswith("Error from openai server: Error parsing JSON response: ")
    assert text in str(error)
    (raw,) = error.raw_responses()
    assert (raw.provider_type, raw.api_type) == ("openai", "chat_completions")
    assert raw.data == body.decode("utf-8", "replace")
    assert raw.model_inference_id is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
MESSAGE = st.dictionaries(
    st.sampled_from(["content", "reasoning", "reasoning_content", "tool_calls", "refusal"]),
    JSON
    | st.lists(
        st.dictionaries(st.sampled_from(["id", "index", "type", "function", "custom"]), JSON)
        | st.fixed_dictionaries(
            {"id": JSON, "index": JSON, "function": st.fixed_dictionaries({"name": JSON})}
        ),
        max_size=2,
    ),
)


@settings(max_examples=300, deadline=None)
@given(JSON | MESSAGE, JSON, st.sampled_from(["message", "delta"]))
def test_no_form_of_answer_is_more_than_an_error(message: Any, usage: Any, key: str) -> None:
    """Whatever JSON comes, it is read or refused with a reason."""
    body = {"choices": [{key: message, "finish_reason": usage}], "usage": usage}
    try:
        if key == "message":
            AnswerReader("openai").read(body)
        else:
            reader = ChatCompletionsReader(AnswerReader("openai"), MODEL_INFERENCE_ID)
            assert isinstance(reader.chunk(orjson.dumps(body)), ProviderChunk)
    except ValueError as error:
        assert str(error)
    except TypeError as error:  # an integer of 65 bits or more in what hypothesis made
        assert "64-bit" in str(error)


STATUSES: list[tuple[str, str, str, int]] = [
    ("400 Bad Request", "InferenceClient", "Error 400 Bad Request from openai client: ", 400),
    ("401 No", "InferenceClient", "Error 401 Unauthorized from openai client: ", 401),
    ("403 No", "InferenceClient", "Error 403 Forbidden from openai client: ", 403),
    ("429 No", "InferenceClient", "Error 429 Too Many Requests from openai client: ", 429),
    ("404 No", "InferenceServer", "Error from openai server: ", 500),
    ("422 No", "InferenceServer", "Error from openai server: ", 500),
    ("500 No", "InferenceServer", "Error from openai server: ", 500),
    ("503 No", "InferenceServer", "Error from openai server: ", 500),
    ("599 No", "InferenceServer", "Error from openai server: ", 500),
    ("304 No", "InferenceServer", "Error from openai server: ", 500),
]


@pytest.mark.parametrize(("status", "kind", "prefix", "own"), STATUSES)
def test_statuses(status: str, kind: str, prefix: str, own: int) -> None:
    body = b"" if status.startswith("304") else b'{"error":{"message":"no"}}'
    error = call(request(), answer(body, status)).failed()
    assert (error.kind, error.status) == (kind, own)
    assert str(error) == prefix + body.decode()
    assert [raw.data for raw in error.raw_responses()] == [body.decode()]


@pytest.mark.parametrize("status", ["401 No", "500 No", "200 OK"])
def test_the_request_id_is_named(status: str) -> None:
    body = b'{"error":"no"}'
    error = call(request(), answer(body, status, "X-Request-Id: req_1")).failed()
    assert str(error).endswith(" [request_id: req_1]")
    assert [raw.data for raw in error.raw_responses()] == [body.decode()]


def test_a_success_of_another_kind_is_read() -> None:
    assert call(request(), answer(completion({"content": "a"}), "201 Created")).answered()


def test_debug_shows_what_was_sent_and_received() -> None:
    error = call(request(), answer(b"no", "401 No"), debug=True).failed()
    text = str(error)
    assert text.startswith("Error from openai client: no")
    assert '"messages":[{"role":"user","content":"hi"}]' in text
    assert "Raw response: no" in text
    details = error.to_json()["InferenceClient"]
    assert details["status_code"] == 401
    assert details["raw_response"] == "no"


def test_without_debug_the_prompt_is_not_shown() -> None:
    error = call(request(), answer(b"no", "401 No")).failed()
    assert '"content":"hi"' not in str(error)
    details = error.to_json()["InferenceClient"]
    assert (details["raw_request"], details["raw_response"]) == (None, None)


def test_a_server_that_just_closes() -> None:
    outcome = call(request(), [CLOSE])
    error = outcome.failed()
    assert error.kind == "InferenceClient"
    assert error.status == 500
    assert str(error).startswith("Error from openai client: Error sending request: ")
    assert "closed the connection before it answered" in str(error)
    assert error.raw_responses() == []
    assert len(outcome.seen) == 1, "a POST is not sent twice to a server that may have acted on it"
