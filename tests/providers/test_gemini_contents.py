"""Content blocks as parts: files, calls, results, thoughts and their signatures."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import assistant, request, user
from providers.gemini import BOTH, STUDIO, VERTEX, ask, sent_parts
from tensorzero.types.content import Text, Thought, ToolCall, ToolResult, Unknown
from tensorzero.types.files import File, FileData

DUMMY = "skip_thought_signature_validator"


def signed(signature: str, text: str | None = None) -> Thought:
    return Thought(text, signature, provider_type=STUDIO)


def call_of(name: str = "f", arguments: str = "{}") -> ToolCall:
    return ToolCall("id-1", name, arguments)


@pytest.mark.parametrize("type", BOTH)
def test_calls_and_results(type: str) -> None:
    outcome = ask(
        type,
        request(
            user("go"),
            assistant(call_of("weather", '{ "city" : "Lyon" }')),
            user(ToolResult("id-1", "weather", '{"degrees":7}'), ""),
        ),
    )
    outcome.answered()
    expected = (
        '{"role":"model","parts":[{"thoughtSignature":"skip_thought_signature_validator",'
        '"function_call":{"name":"weather","args":{"city":"Lyon"}}}]},'
        '{"role":"user","parts":[{"function_response":{"name":"weather","response":'
        '{"name":"weather","content":"{\\"degrees\\":7}"}}},{"text":""}]}]'
    )
    assert expected in outcome.body


ARGUMENTS = [
    ("[1]", "Tool call arguments must be a JSON object"),
    ('"x"', "Tool call arguments must be a JSON object"),
    ("{nope", "Error parsing tool call arguments as JSON Value: "),
]


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize(("arguments", "text"), ARGUMENTS)
def test_arguments_that_are_no_object(type: str, arguments: str, text: str) -> None:
    outcome = ask(type, request(assistant(call_of("f", arguments))))
    assert outcome.seen == []
    error = outcome.failed()
    assert (error.kind, error.status) == ("InferenceClient", 400)
    assert str(error).startswith(f"Error 400 Bad Request from {type} client: {text}")


def test_empty_arguments_are_an_empty_object() -> None:
    ((part,),) = sent_parts(assistant(call_of("f", "")))
    assert part["function_call"] == {"name": "f", "args": {}}


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize("mime", ["image/png", "application/pdf", "audio/wav", "video/x-odd"])
def test_files_are_sent_by_content_whatever_they_are(type: str, mime: str) -> None:
    url = File(url="https://example.com/x", mime_type=mime, detail="low", filename="x")
    outcome = ask(
        type,
        request(user(url, File(data="BBBB", mime_type="text/plain"), "look"), assistant(url)),
        files={"https://example.com/x": FileData("AAAA", mime)},
    )
    outcome.answered()
    first = {"inline_data": {"mime_type": mime, "data": "AAAA"}}
    second = {"inline_data": {"mime_type": "text/plain", "data": "BBBB"}}
    contents = orjson.loads(outcome.body)["contents"]
    assert [one["parts"] for one in contents] == [[first, second, {"text": "look"}], [first]]
    recorded = outcome.answered().raw_request
    assert recorded == outcome.body.replace("AAAA", "<TENSORZERO_FILE_0>").replace(
        "BBBB", "<TENSORZERO_FILE_1>"
    )


# --- signatures -----------------------------------------------------------------------------------


def test_only_the_first_unsigned_call_of_a_message_gets_the_substitute() -> None:
    first, second = sent_parts(assistant(call_of("f"), "and", call_of("g")), user(call_of("h")))
    assert [part.get("thoughtSignature") for part in first] == [DUMMY, None, None]
    assert second[0]["thoughtSignature"] == DUMMY


def test_a_signed_call_is_enough() -> None:
    (parts,) = sent_parts(assistant(call_of("f"), signed("S"), call_of("g")))
    assert [list(part) for part in parts] == [
        ["function_call"],
        ["thoughtSignature", "function_call"],
    ]
    assert parts[1]["thoughtSignature"] == "S"


def test_signatures_of_texts_do_not_count_for_calls() -> None:
    (parts,) = sent_parts(assistant(signed("S"), "text", call_of("f"), signed("T", "why")))
    assert parts == [
        {"thoughtSignature": "S", "text": "text"},
        {"thoughtSignature": DUMMY, "function_call": {"name": "f", "args": {}}},
        {"thought": True, "thoughtSignature": "T", "text": "why"},
    ]


def test_a_thought_with_text_is_a_part_of_its_own() -> None:
    (parts,) = sent_parts(assistant(Thought("why"), signed("S", ""), "text"))
    assert parts == [
        {"thought": True, "text": "why"},
        {"thought": True, "thoughtSignature": "S", "text": ""},
        {"text": "text"},
    ]


@pytest.mark.parametrize(
    ("block", "key"),
    [
        (Text("x"), "text"),
        (call_of(), "function_call"),
        (ToolResult("1", "f", "r"), "function_response"),
        (File(data="AAAA", mime_type="image/png"), "inline_data"),
        (Unknown({"executableCode": {}}), "executableCode"),
    ],
)
def test_a_signature_goes_to_the_next_block(block: Any, key: str) -> None:
    outcome = ask(STUDIO, request(assistant(signed("S"), block)), files={})
    ((part,),) = [one["parts"] for one in orjson.loads(outcome.body)["contents"]]
    assert list(part) == ["thoughtSignature", key]
    assert part["thoughtSignature"] == "S"


def test_an_unknown_block_keeps_its_own_signature() -> None:
    data = {"x": 1, "thoughtSignature": "own"}
    assert sent_parts(assistant(signed("S"), Unknown(data))) == [[data]]
    assert data == {"x": 1, "thoughtSignature": "own"}


def test_thoughts_without_text_and_signature_are_left_out() -> None:
    summary = Thought(None, None, [{"type": "summary_text", "text": "s"}])
    assert sent_parts(user("hi"), assistant(Thought(), summary)) == [[{"text": "hi"}]]


@pytest.mark.parametrize("blocks", [("text", signed("S")), ("text", signed("S"), signed("T", "x"))])
def test_a_signature_without_its_block_gets_an_empty_text(blocks: tuple[Any, ...]) -> None:
    """A stored stream ends with one: it can be sent back."""
    (parts,) = sent_parts(assistant(*blocks))
    assert parts[:2] == [{"text": "text"}, {"thoughtSignature": "S", "text": ""}]


LOST = [
    ((), "must be followed by a content block"),
    ((signed("T"),), "cannot be followed by another thought block"),
]


@pytest.mark.parametrize(("rest", "why"), LOST)
@pytest.mark.parametrize("type", BOTH)
def test_a_message_that_is_a_signature_only(type: str, rest: tuple[Any, ...], why: str) -> None:
    outcome = ask(type, request(assistant(Thought(None, "S"), *(Thought(None, "T") for _ in rest))))
    assert outcome.seen == []
    error = outcome.failed()
    assert error.kind == "InferenceServer"
    assert str(error) == f"Error from {type} server: Thought block with signature {why} in {type}"


def test_thoughts_of_another_type_are_left_out() -> None:
    messages = (user("hi"), assistant(signed("S", "of studio"), "text"))
    assert sent_parts(*messages, type=VERTEX)[1] == [{"text": "text"}]
    assert len(sent_parts(*messages, type=STUDIO)[1]) == 2


# --- unknown --------------------------------------------------------------------------------------


def test_unknown_blocks_are_parts() -> None:
    data = {"fileData": {"fileUri": "gs://b/o", "mimeType": "video/mp4"}}
    assert sent_parts(user(Unknown(data), Unknown({"x": 1}, "another"))) == [[data]]


def test_an_unknown_block_that_is_no_object() -> None:
    outcome = ask(STUDIO, request(user(Unknown([1]))))
    assert outcome.seen == []
    assert "its data must be a JSON object" in str(outcome.failed())
