"""What the Gemini types make of answers: blocks, figures, reasons, faults."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
import pytest

from providers.calls import MODEL_INFERENCE_ID, request, user
from providers.gemini import BOTH, KEY, NAMES, STUDIO, USAGE, VERTEX, ask, says
from tensorzero.types.content import Message, Text, Thought, ToolCall, Unknown
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import CLOSE, RESET, Script, answer

# https://ai.google.dev/gemini-api/docs/function-calling and …/thinking, …/code-execution
CALL = {"functionCall": {"name": "set_light", "args": {"brightness": 25, "color": "warm"}}}
CODE = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}


def blocks(*parts: Any, type: str = STUDIO) -> list[Any]:
    return ask(type, None, answer(says(*parts))).answered().output


@pytest.mark.parametrize("type", BOTH)
def test_a_text_with_its_figures(type: str) -> None:
    response = ask(type, None, answer(says("Hello!"))).answered()
    assert response.output == [Text("Hello!")]
    assert response.finish_reason == "stop"
    assert response.usage == Usage(4, 29)
    assert response.raw_usage == RawUsage(MODEL_INFERENCE_ID, type, "chat_completions", USAGE)
    assert orjson.loads(response.raw_response) == says("Hello!")


def test_calls_get_ids_of_ours_and_compact_arguments() -> None:
    named = {"functionCall": {"id": "vendors", "name": "now"}}
    none = {"functionCall": {"name": "now", "args": None}}
    output = blocks("Sure.", CALL, named, none)
    assert output[0] == Text("Sure.")
    assert [(one.name, one.arguments) for one in output[1:]] == [
        ("set_light", '{"brightness":25,"color":"warm"}'),
        ("now", "{}"),
        ("now", "{}"),
    ]
    assert len({UUID(one.id).version for one in output[1:]}) == 1
    assert len({one.id for one in output[1:]}) == 3


@pytest.mark.parametrize("type", BOTH)
def test_thoughts_and_signatures(type: str) -> None:
    output = blocks(
        {"thought": True, "text": "Hm."},
        {"thought": True, "text": "So.", "thoughtSignature": "A"},
        {"thought": True, "thoughtSignature": "B"},
        {"thought": True},
        {"text": "Hi", "thoughtSignature": "C"},
        {"thought": False, **CALL, "thoughtSignature": "D"},
        {"thoughtSignature": "E"},
        {"text": "", "thoughtSignature": "F"},
        type=type,
    )
    call = output.pop(7)
    assert isinstance(call, ToolCall)
    assert call.name == "set_light"
    assert output == [
        Thought("Hm.", provider_type=type),
        Thought("So.", "A", provider_type=type),
        Thought(None, "B", provider_type=type),
        Thought(None, None, provider_type=type),
        Thought(None, "C", provider_type=type),
        Text("Hi"),
        Thought(None, "D", provider_type=type),
        Thought(None, "E", provider_type=type),
        Thought(None, "F", provider_type=type),
        Text(""),
    ]


@pytest.mark.parametrize("type", BOTH)
def test_other_parts_are_unknown_blocks_of_this_provider(type: str) -> None:
    inline = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    output = blocks(CODE, RESULT, {**inline, "thoughtSignature": "S"}, {}, type=type)
    assert output == [
        Unknown(CODE, "m", "p"),
        Unknown(RESULT, "m", "p"),
        Thought(None, "S", provider_type=type),
        Unknown(inline, "m", "p"),
    ]


def test_data_in_a_thought_is_kept_whole() -> None:
    (one, other) = blocks(
        {"thought": True, **CODE}, {"thoughtSignature": "S", "thought": True, **CODE}
    )
    assert one.data == {"thought": True, "thoughtSignature": None, **CODE}
    assert list(one.data) == ["thought", "thoughtSignature", "executableCode"]
    assert other.data["thoughtSignature"] == "S"


def test_a_known_part_may_have_more_beside_it() -> None:
    output = blocks({"text": "x", "videoMetadata": {}}, {**CALL, "partMetadata": {}})
    assert output[0] == Text("x")
    assert output[1].name == "set_light"


def test_an_answer_can_be_sent_back() -> None:
    """Each part comes back as it was: signatures stand where they stood."""
    parts = [
        {"thought": True, "thoughtSignature": "A", "text": "Hm."},
        {"thoughtSignature": "B", "text": "Hi"},
        {"thoughtSignature": "C", **CALL},
        {**CALL},
        {"thoughtSignature": "D", **CODE},
        {"thoughtSignature": "E", "text": ""},
    ]
    output = blocks(*parts)
    given = request(user("hi"), Message("assistant", output), user("on"))
    back = orjson.loads(ask(STUDIO, given).body)["contents"][1]["parts"]
    renamed = [
        {"function_call" if k == "functionCall" else k: v for k, v in part.items()}
        for part in parts
    ]
    assert back == renamed


# --- reasons and figures --------------------------------------------------------------------------

REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "RECITATION": "tool_call",
    "MALFORMED_FUNCTION_CALL": "tool_call",
    "OTHER": "unknown",
    "FINISH_REASON_UNSPECIFIED": "unknown",
    "UNEXPECTED_TOOL_CALL": "unknown",
    "": "unknown",
}


@pytest.mark.parametrize(("reason", "ours"), REASONS.items())
def test_finish_reasons(reason: str, ours: str) -> None:
    for parts in (["text"], [CALL], []):
        assert (
            ask(STUDIO, None, answer(says(*parts, finish=reason))).answered().finish_reason == ours
        )


def test_no_finish_reason() -> None:
    assert ask(STUDIO, None, answer(says("x", finish=None))).answered().finish_reason is None


FIGURES: list[tuple[Any, Usage]] = [
    ({}, Usage()),
    ({"promptTokenCount": 0}, Usage(0, None)),
    (
        {"promptTokenCount": 9, "cachedContentTokenCount": 5, "candidatesTokenCount": 1},
        Usage(9, 1, 5),
    ),
    ({"thoughtsTokenCount": 7}, Usage(None, 7)),
    ({"promptTokenCount": 3, "toolUsePromptTokenCount": 100, "totalTokenCount": 103}, Usage(3)),
    ({"promptTokenCount": "3", "candidatesTokenCount": -1}, Usage()),
]


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize(("usage", "ours"), FIGURES)
def test_figures(type: str, usage: Any, ours: Usage) -> None:
    response = ask(type, None, answer(says("x", usage=usage))).answered()
    assert response.usage == ours
    assert response.raw_usage is not None and response.raw_usage.data == usage


@pytest.mark.parametrize("type", BOTH)
def test_an_answer_without_figures(type: str) -> None:
    response = ask(type, None, answer(says("x", usage=None))).answered()
    assert (response.usage, response.raw_usage) == (Usage(), None)


# --- odd answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "candidate",
    [
        {"finishReason": "SAFETY"},
        {"finishReason": "SAFETY", "content": {}},
        {"finishReason": "SAFETY", "content": {"role": "model", "parts": []}},
        {"finishReason": "SAFETY", "content": None},
    ],
)
def test_a_candidate_without_content(candidate: Any) -> None:
    response = ask(VERTEX, None, answer({"candidates": [candidate]})).answered()
    assert (response.output, response.finish_reason) == ([], "content_filter")


def test_only_the_first_candidate_counts() -> None:
    whole = says("one")
    whole["candidates"] += says("two")["candidates"] + [7]
    assert ask(STUDIO, None, answer(whole)).answered().output == [Text("one")]


# https://ai.google.dev/api/generate-content#PromptFeedback
BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}

FAULTS: list[tuple[Any, str]] = [
    (BLOCKED, "missing field `candidates`: the prompt was blocked (SAFETY)"),
    ({"error": {"code": 500}}, 'missing field `candidates`: {"code":500}'),
    ({"usageMetadata": USAGE}, "missing field `candidates`"),
    ([], "not an object"),
    ({"candidates": {}}, "`candidates` is not a list"),
    ({"candidates": [7]}, "a candidate is not an object"),
    ({"candidates": [{"content": 7}]}, "`content` is not an object"),
    ({"candidates": [{"content": {"parts": {}}}]}, "`parts` is not a list"),
    (says(7), "a part is not an object"),
    (says({"text": 7}), "`text` is not a string"),
    (says({"text": "x", "thoughtSignature": 7}), "`thoughtSignature` is not a string"),
    (b"{nope", ""),
    (b"", ""),
    (b"\xff\xfe", ""),
]


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize(("body", "reason"), FAULTS)
def test_answers_that_cannot_be_read(type: str, body: Any, reason: str) -> None:
    error: Any = ask(type, None, answer(body)).failed()
    assert error.kind == "InferenceServer"
    prefix = f"Error from {type} server: Error parsing JSON response: "
    assert str(error).startswith(prefix + reason)
    expected = body if isinstance(body, bytes) else orjson.dumps(body)
    assert error.raw.data == expected.decode("utf-8", "replace")


@pytest.mark.parametrize("type", BOTH)
def test_no_candidates(type: str) -> None:
    error = ask(type, None, answer({"candidates": []})).failed()
    assert str(error) == f"Error from {type} server: {NAMES[type]} response has no candidates"


# --- errors ---------------------------------------------------------------------------------------

REFUSAL = b'{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}'


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, "Bad Request"), (401, "Unauthorized"), (429, "Too Many Requests")],
)
def test_statuses_that_are_the_clients(type: str, status: int, reason: str) -> None:
    error: Any = ask(type, None, answer(REFUSAL, f"{status} {reason}")).failed()
    assert (error.kind, error.status) == ("InferenceClient", status)
    assert str(error) == f"Error {status} {reason} from {type} client: {REFUSAL.decode()}"
    assert error.raw.data == REFUSAL.decode()


@pytest.mark.parametrize("type", BOTH)
def test_a_request_that_is_too_large_is_the_clients(type: str) -> None:
    error = ask(type, None, answer(REFUSAL, "413 X")).failed()
    assert error.status == 413
    assert str(error).startswith("Error 413 ")


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize("status", ["403 Forbidden", "500 X", "503 X"])
def test_other_statuses_are_the_servers(type: str, status: str) -> None:
    error: Any = ask(type, None, answer(REFUSAL, status)).failed()
    assert (error.kind, error.status) == ("InferenceServer", 500)
    assert str(error) == f"Error from {type} server: {REFUSAL.decode()}"


def test_what_vertex_does_not_find_is_explained() -> None:
    error: Any = ask(VERTEX, None, answer(b"<html>", "404 Not Found")).failed()
    assert str(error) == (
        "Error from gcp_vertex_gemini server: Model or endpoint not found. You may be specifying "
        "the wrong one of these. Standard GCP models should use a `model_id` and not an "
        "`endpoint_id`, while fine-tuned models should use an `endpoint_id`."
    )
    assert error.raw.data == "<html>"
    error = ask(STUDIO, None, answer(b"<html>", "404 Not Found")).failed()
    assert str(error) == "Error from google_ai_studio_gemini server: <html>"


@pytest.mark.parametrize("type", BOTH)
def test_a_key_that_is_echoed_is_not_shown(type: str) -> None:
    error = ask(type, None, answer(f"bad key {KEY}".encode(), "400 Bad Request")).failed()
    assert KEY not in str(error)
    assert "bad key [redacted]" in str(error)


@pytest.mark.parametrize("script", [[CLOSE], [RESET]], ids=["closed", "reset"])
def test_no_answer_at_all(script: Script) -> None:
    error = ask(STUDIO, None, script).failed()
    assert str(error).startswith("Error from google_ai_studio_gemini client: Error sending request")
