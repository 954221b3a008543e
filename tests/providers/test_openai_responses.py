"""The Responses API: exact requests, and its items and events as blocks and chunks.

Bytes of answers and events follow OpenAI's published API reference.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import MODEL_INFERENCE_ID, Outcome, assistant, call, request, user
from tensorzero.config.credentials import NoCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.functions.merge import StreamMerger
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.openai_responses import OpenAIResponsesProvider
from tensorzero.providers.responses.events import ResponsesReader
from tensorzero.types.content import Text, Thought, ToolCall, ToolResult, Unknown
from tensorzero.types.errors import InvalidMessage
from tensorzero.types.files import File, FileData
from tensorzero.types.model import (
    Attempt,
    ModelRequest,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
    UnknownChunk,
)
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import (
    AllowedTools,
    CustomTool,
    FunctionTool,
    ProviderTool,
    ToolCallConfig,
)
from tensorzero.types.usage import RawUsage, Usage
from tzcore.client import Pool
from upstream.scripted import CLOSE, HANG, STREAM_HEAD, Script, answer, chunk, event, stream

USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 123,
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello!", "annotations": []}],
}
SCHEMA = JSONSchema({"type": "object"})
WEATHER = FunctionTool("weather_key", "weather", "The weather", SCHEMA, strict=True)
SQL = CustomTool(
    "sql", "Writes SQL", {"type": "grammar", "grammar": {"syntax": "lark", "definition": "s: /a/"}}
)


def response(*output: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": list(output),
        "usage": USAGE,
        **fields,
    }


def ask(given: ModelRequest, *scripts: Script, **options: Any) -> Outcome:
    own = {"api_type": "responses", **options.pop("options", {})}
    return call(given, *(scripts or [answer(response(MESSAGE))]), options=own, **options)


def sent(given: ModelRequest, **options: Any) -> str:
    outcome = ask(given, **options)
    assert outcome.answered().raw_request == outcome.body
    return outcome.body


def items(*messages: Any, **fields: Any) -> Any:
    return orjson.loads(sent(request(*messages, **fields)))["input"]


HI = (
    '"input":[{"type":"message","role":"user","id":null,"content":'
    '[{"type":"input_text","text":"hi"}]}]'
)
TEXT = '"text":{"format":{"type":"text"}}'


def test_the_whole_request() -> None:
    outcome = ask(request())
    assert outcome.seen[0].line == "POST /v1/responses HTTP/1.1"
    assert outcome.body == f'{{"model":"gpt-x",{HI},{TEXT},"tools":[],"stream":false}}'
    assert outcome.answered().output == [Text("Hello!")]


def test_every_parameter_in_order(caplog: pytest.LogCaptureFixture) -> None:
    given = request(
        temperature=0.5,
        max_tokens=7,
        seed=1,
        top_p=0.25,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        reasoning_effort="low",
        service_tier="flex",
        verbosity="high",
        stop_sequences=("x",),
        thinking_budget_tokens=9,
        json_mode="strict",
        output_schema=SCHEMA,
        tool_config=ToolCallConfig((WEATHER,), parallel_tool_calls=True),
    )
    assert sent(given, options={"include_encrypted_reasoning": True}) == (
        f'{{"model":"gpt-x",{HI},"text":{{"format":{{"type":"json_schema","name":'
        '"response_schema","schema":{"type":"object"},"strict":true},"verbosity":"high"},'
        '"tools":[{"type":"function","name":"weather","description":"The weather","parameters":'
        '{"type":"object"},"strict":true}],"parallel_tool_calls":true,"tool_choice":"auto",'
        '"temperature":0.5,"max_output_tokens":7,"seed":1,"top_p":0.25,"presence_penalty":0.5,'
        '"frequency_penalty":-0.5,"include":["reasoning.encrypted_content"],'
        '"reasoning":{"effort":"low"},"service_tier":"flex","stream":false}'
    )
    for name in ("stop_sequences", "thinking_budget_tokens"):
        assert f"has no `{name}`" in caplog.text


@pytest.mark.parametrize(
    ("mode", "schema", "expected"),
    [
        ("off", SCHEMA, {"type": "text"}),
        ("on", SCHEMA, {"type": "json_object"}),
        ("strict", None, {"type": "json_object"}),
    ],
)
def test_text_formats(mode: Any, schema: Any, expected: Any) -> None:
    body = orjson.loads(sent(request(json_mode=mode, output_schema=schema)))
    assert body["text"] == {"format": expected}


def text_item(role: str, text: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": "message", "role": role, "id": None, "content": [{"type": kind, "text": text}]}


def test_every_block_is_an_item() -> None:
    signed = Thought("t", "enc", [{"type": "summary_text", "text": "s"}], "openai")
    found = items(
        user("a", ToolResult("call_1", "f", "r"), "b", Unknown({"x": 1}), Thought("no")),
        assistant("c", signed, Thought("unsigned"), ToolCall("call_2", "g", "{}")),
        system="sys",
    )
    assert found == [
        text_item("system", "sys"),
        text_item("user", "a"),
        {"type": "function_call_output", "call_id": "call_1", "output": "r"},
        text_item("user", "b"),
        {"x": 1},
        text_item("assistant", "c", "output_text"),
        {
            "type": "reasoning",
            "encrypted_content": "enc",
            "summary": [{"type": "summary_text", "text": "s"}],
        },
        {"type": "function_call", "call_id": "call_2", "name": "g", "arguments": "{}"},
    ]


@pytest.mark.parametrize(
    ("system", "message", "expected"),
    [
        (None, user("json"), "Respond using JSON."),
        ("be brief", user("a"), "Respond using JSON.\n\nbe brief"),
        ("use Json", user("a"), "use Json"),
        ("be brief", user("as JSON"), "be brief"),
        ("be brief", assistant("as JSON"), "Respond using JSON.\n\nbe brief"),
        ("be brief", user(ToolResult("1", "f", "json")), "Respond using JSON.\n\nbe brief"),
    ],
)
def test_json_instruction(system: str | None, message: Any, expected: str) -> None:
    assert items(message, system=system, json_mode="on")[0] == text_item("system", expected)


def test_files() -> None:
    files = {
        "http://h/doc": FileData("UERG", "application/pdf"),
        "http://h/wav": FileData("UklGRg==", "audio/wav"),
    }
    picture = File(url="http://h/a.png", mime_type="image/png", detail="low")
    inline = File(data="iVBO", mime_type="image/png")
    pdf = File(url="http://h/doc", mime_type="application/pdf")
    outcome = ask(request(user(picture, inline, pdf)), files=files)
    parts = [item["content"][0] for item in orjson.loads(outcome.body)["input"]]
    assert parts == [
        {"type": "input_image", "image_url": "http://h/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
        {
            "type": "input_file",
            "file_data": "data:application/pdf;base64,UERG",
            "filename": "input.pdf",
        },
    ]
    raw = outcome.answered().raw_request
    assert "<TENSORZERO_FILE_0>" in raw and "<TENSORZERO_FILE_1>" in raw and "UERG" not in raw
    wav = File(url="http://h/wav", mime_type="audio/wav")
    for message in (user(wav), assistant(picture)):
        refused = ask(request(message), files=files)
        assert isinstance(refused.failed(), InvalidMessage)
        assert refused.seen == []


@pytest.mark.parametrize(
    "message", [user(ToolCall("1", "f", "{}")), assistant(ToolResult("1", "f", "r"))]
)
def test_tool_blocks_in_the_wrong_role(message: Any) -> None:
    assert isinstance(ask(request(message)).failed(), InvalidMessage)


def test_tools_of_every_kind() -> None:
    config = ToolCallConfig(
        (WEATHER,),
        custom_tools=(SQL, CustomTool("bare")),
        provider_tools=(
            ProviderTool({"type": "file_search"}),
            ProviderTool({"type": "mine"}, "m", "p"),
            ProviderTool({"type": "other"}, "elsewhere"),
        ),
    )
    body = sent(request(tool_config=config), options={"provider_tools": [{"type": "web_search"}]})
    assert orjson.loads(body)["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "The weather",
            "parameters": {"type": "object"},
            "strict": True,
        },
        {
            "type": "custom",
            "name": "sql",
            "description": "Writes SQL",
            "format": {"type": "grammar", "syntax": "lark", "definition": "s: /a/"},
        },
        {"type": "custom", "name": "bare"},
        {"type": "web_search"},
        {"type": "file_search"},
        {"type": "mine"},
    ]
    alone = sent(request(), options={"provider_tools": [{"type": "web_search"}]})
    assert orjson.loads(alone)["tools"] == [{"type": "web_search"}]


def allowed(mode: str, *names: dict[str, str]) -> Any:
    return {"mode": mode, "tools": list(names), "type": "allowed_tools"}


WEATHER_NAME = {"type": "function", "name": "weather"}


@pytest.mark.parametrize(
    ("choice", "explicit", "expected"),
    [
        ("none", (), "none"),
        ("required", (), "required"),
        ({"specific": "weather"}, (), allowed("required", WEATHER_NAME)),
        ({"specific": "sql"}, (), allowed("required", {"type": "custom", "name": "sql"})),
        ("auto", ("weather_key",), allowed("auto", WEATHER_NAME)),
        ("required", ("weather_key",), allowed("required", WEATHER_NAME)),
        ("none", ("weather_key",), allowed("auto", WEATHER_NAME)),
    ],
)
def test_tool_choices(choice: Any, explicit: tuple[str, ...], expected: Any) -> None:
    tools = AllowedTools(explicit, "explicit" if explicit else "function_default")
    config = ToolCallConfig(
        (WEATHER,), custom_tools=(SQL,), tool_choice=choice, allowed_tools=tools
    )
    assert orjson.loads(sent(request(tool_config=config)))["tool_choice"] == expected


def test_o1_is_not_told_to_call_one_by_one() -> None:
    config = ToolCallConfig((WEATHER,), parallel_tool_calls=False)
    assert "parallel_tool_calls" not in sent(request(tool_config=config), model="o1-pro")
    assert '"parallel_tool_calls":false' in sent(request(tool_config=config))


# --- answers --------------------------------------------------------------------------------------

REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Thinking"}],
    "encrypted_content": "gAAAA",
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Lyon"}',
    "status": "completed",
}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
REFUSAL = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "refusal", "refusal": "No."}],
}


def test_every_kind_of_item() -> None:
    custom = {"type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "SELECT"}
    bare = {"type": "reasoning", "id": "rs_2", "summary": []}
    body = response(REASONING, MESSAGE, CALL, custom, SEARCH, REFUSAL, bare)
    answered = ask(request(), answer(body)).answered()
    assert answered.output == [
        Thought(None, "gAAAA", [{"type": "summary_text", "text": "Thinking"}], "openai"),
        Text("Hello!"),
        ToolCall("call_1", "weather", '{"city":"Lyon"}'),
        ToolCall("call_2", "sql", "SELECT"),
        Unknown(SEARCH, "m", "p"),
        Unknown(REFUSAL, "m", "p"),
        Thought(None, None, [], "openai"),
    ]
    assert answered.usage == Usage(36, 87, 4)
    assert answered.raw_usage == RawUsage(MODEL_INFERENCE_ID, "openai", "responses", USAGE)
    assert answered.finish_reason is None


def test_an_answer_that_ran_into_its_limit() -> None:
    for reason, expected in (("max_output_tokens", "length"), ("content_filter", None)):
        body = response(MESSAGE, incomplete_details={"reason": reason}, usage=None)
        answered = ask(request(), answer(body)).answered()
        assert (answered.finish_reason, answered.usage, answered.raw_usage) == (
            expected,
            Usage(),
            None,
        )


BAD_ANSWERS: list[tuple[Any, str]] = [
    (b"{", "Error parsing JSON response: "),
    ([], "not an object"),
    ({}, "missing field `output`"),
    ({"output": {}}, "`output` is not a list"),
    ({"output": [1]}, "an output item is not an object"),
    ({"output": [], "error": {"message": "down"}}, '{"message":"down"}'),
    (response({**MESSAGE, "role": "user"}), "expected `assistant`"),
    (response({**MESSAGE, "content": [{"type": "input_text", "text": "a"}]}), "`input_text`"),
    (response({**MESSAGE, "content": [{"type": "output_text"}]}), "`text` is not a string"),
    (response({"type": "function_call", "name": "f", "arguments": "{}"}), "`call_id`"),
    (response({"type": "reasoning", "summary": ["x"]}), "unexpected form"),
]


@pytest.mark.parametrize(("body", "text"), BAD_ANSWERS)
def test_an_answer_that_cannot_be_read(body: Any, text: str) -> None:
    error = ask(request(), answer(body)).failed()
    assert error.kind == "InferenceServer"
    assert str(error).startswith("Error from openai server: Error parsing JSON response: ")
    assert text in str(error)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("401 Unauthorized", "Error 401 Unauthorized from openai client: no [request_id: req_1]"),
        ("429 Too Many Requests", "Error 429 Too Many Requests from openai client: no"),
        ("500 Internal Server Error", "Error from openai server: no [request_id: req_1]"),
    ],
)
def test_refusals(status: str, text: str) -> None:
    error = ask(request(), answer(b"no", status, "x-request-id: req_1")).failed()
    assert str(error).startswith(text)
    assert error.raw_responses()[0].api_type == "responses"
    opened = ask(request(stream=True), answer(b"no", status, "x-request-id: req_1")).failed()
    assert f"Invalid status code: {status}: no [request_id: req_1]" in str(opened)


# --- streams --------------------------------------------------------------------------------------


def said(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "sequence_number": 1, **fields}


EMPTY_CALL = {**CALL, "arguments": "", "status": "in_progress"}
OPEN_REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}
EVENTS = [
    said("created", response={}),
    said("in_progress", response={}),
    said("output_item.added", output_index=0, item=OPEN_REASONING),
    said("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="Think"),
    said("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="ing \u20ac"),
    said("reasoning_summary_text.done", output_index=0, summary_index=0, text="Thinking \u20ac"),
    said("output_item.done", output_index=0, item=REASONING),
    said("output_item.added", output_index=1, item={**MESSAGE, "content": []}),
    said("content_part.added", output_index=1, content_index=0, part={}),
    said("output_text.delta", item_id="msg_1", output_index=1, content_index=0, delta="Hel"),
    said("output_text.delta", item_id="msg_1", output_index=1, content_index=0, delta="lo!"),
    said("output_text.done", output_index=1, content_index=0, text="Hello!"),
    said("content_part.done", output_index=1, content_index=0, part={}),
    said("output_item.done", output_index=1, item=MESSAGE),
    said("output_item.added", output_index=2, item=EMPTY_CALL),
    said("function_call_arguments.delta", item_id="fc_1", output_index=2, delta='{"city":'),
    said("function_call_arguments.delta", item_id="fc_1", output_index=2, delta='"Lyon"}'),
    said("function_call_arguments.done", item_id="fc_1", output_index=2, arguments="x"),
    said("output_item.done", output_index=2, item=CALL),
    said("completed", response=response(REASONING, MESSAGE, CALL)),
]
CHUNKS = [
    [UnknownChunk("0", OPEN_REASONING, "m", "p")],
    [ThoughtChunk("0", summary_id="0", summary_text="Think", provider_type="openai")],
    [ThoughtChunk("0", summary_id="0", summary_text="ing \u20ac", provider_type="openai")],
    [UnknownChunk("0", REASONING, "m", "p")],
    [TextChunk("0", "Hel")],
    [TextChunk("0", "lo!")],
    [ToolCallChunk("call_1", "weather", "")],
    [ToolCallChunk("call_1", None, '{"city":')],
    [ToolCallChunk("call_1", None, '"Lyon"}')],
    [ToolCallChunk("call_1", None, "")],
    [ThoughtChunk("0", signature="gAAAA", provider_type="openai")],
]


def named(data: dict[str, Any]) -> bytes:
    return b"event: " + data["type"].encode() + b"\n" + event(data)


def streamed(*events: Any, **options: Any) -> list[Any]:
    payload = b"".join(event(one) if isinstance(one, bytes) else named(one) for one in events)
    return ask(request(stream=True), stream(payload), **options).items


def test_a_stream() -> None:
    chunks = streamed(*EVENTS)
    assert [one.content for one in chunks] == CHUNKS
    assert [one.finish_reason for one in chunks] == [None] * 10 + ["stop"]
    assert chunks[-1].usage == Usage(36, 87, 4)
    assert chunks[-1].raw_usage == RawUsage(MODEL_INFERENCE_ID, "openai", "responses", USAGE)
    assert chunks[4].raw == orjson.dumps(EVENTS[9]).decode()
    merger = StreamMerger(json=False)
    for one in chunks:
        merger.add(one)
    assert merger.output()[1:] == [
        Thought(None, "gAAAA", [{"type": "summary_text", "text": "Thinking \u20ac"}], "openai"),
        Text("Hello!"),
        ToolCall("call_1", "weather", '{"city":"Lyon"}'),
    ]


def test_cut_at_every_byte() -> None:
    lines = b"".join(named(one) for one in [EVENTS[4], EVENTS[9], *EVENTS[14:17]])
    whole = STREAM_HEAD + b"content-length: %d\r\n\r\n" % len(lines) + lines
    expected = ask(request(stream=True), [whole]).items
    assert len(expected) == 5
    one_by_one: list[Any] = []
    for at in range(len(whole)):
        one_by_one += [whole[at : at + 1], 0.0]
    assert ask(request(stream=True), one_by_one).items == expected


@pytest.mark.parametrize("last", ["completed", "incomplete", "failed"])
def test_the_stream_ends_with_its_last_event(last: str) -> None:
    """The server leaves the connection open, and says more."""
    end = said(last, response=response(error={"code": "x", "message": "no"}))
    rest: Script = [chunk(event(EVENTS[9])), HANG]
    *_, item = ask(request(stream=True), stream(named(EVENTS[9]), named(end), end=rest)).items
    assert item.kind == "InferenceServer" if last == "failed" else item.finish_reason


def test_servers_that_end_with_done(caplog: pytest.LogCaptureFixture) -> None:
    (only,) = streamed(EVENTS[9], b"[DONE]", EVENTS[10])
    assert only.content == CHUNKS[4]
    assert not caplog.records


def test_a_stream_that_ran_into_its_limit() -> None:
    details = {"reason": "max_output_tokens"}
    for kind in ("incomplete", "completed"):
        (only,) = streamed(said(kind, response=response(incomplete_details=details)))
        assert (only.finish_reason, only.usage) == ("length", Usage(36, 87, 4))


FAILURES: list[tuple[dict[str, Any], str]] = [
    (said("failed", response={"error": {"code": "server_error", "message": "Oh no"}}), "Oh no"),
    (said("refusal.delta", delta="I can't"), "refused: I can't"),
    (said("refusal.done", refusal="I can't."), "refused: I can't."),
    ({"type": "error", "code": "rate_limit", "message": "slow down"}, '"message":"slow down"'),
    ({"type": "error", "error": {"message": "slow down"}}, '{"message":"slow down"}'),
]


@pytest.mark.parametrize(("bad", "text"), FAILURES)
def test_events_that_end_it_with_an_error(bad: dict[str, Any], text: str) -> None:
    first, error = streamed(EVENTS[9], bad, EVENTS[10])
    assert first.content == CHUNKS[4]
    assert error.kind == "InferenceServer" and text in str(error)


def test_an_event_that_cannot_be_read_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert [one.content for one in streamed(b"{", b"[]", EVENTS[9], b"{}")] == [CHUNKS[4]]
    assert caplog.text.count("cannot be read") == 3


@pytest.mark.parametrize(
    "bad",
    [
        said("output_text.delta", content_index=0),
        said("function_call_arguments.delta", delta="{"),
        said("output_item.added", output_index=0, item={"type": "function_call", "name": "f"}),
        said("reasoning_summary_text.delta", delta="x"),
        said("completed", response=None),
    ],
)
def test_an_event_of_a_wrong_form_is_an_error(bad: dict[str, Any]) -> None:
    error = streamed(bad)[0]
    assert error.kind == "InferenceServer" and "Error parsing chunk" in str(error)


def test_unknown_events_are_passed_on_or_discarded(caplog: pytest.LogCaptureFixture) -> None:
    news = said("web_search_call.searching", item_id="ws_1", output_index=0)
    added = said("output_item.added", output_index=3, item=SEARCH)
    assert [one.content for one in streamed(news, added)] == [
        [UnknownChunk("unknown", news, "m", "p")],
        [UnknownChunk("3", SEARCH, "m", "p")],
    ]
    assert streamed(news, added, EVENTS[9], discard_unknown_chunks=True)[0].content == CHUNKS[4]
    assert "response.web_search_call.searching" in caplog.text


def test_two_calls_and_a_custom_one_stay_apart() -> None:
    second = {**EMPTY_CALL, "id": "fc_2", "call_id": "call_2", "name": "time"}
    custom = {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_3", "name": "sql"}
    merger = StreamMerger(json=False)
    for one in streamed(
        said("output_item.added", output_index=0, item=EMPTY_CALL),
        said("output_item.added", output_index=1, item=second),
        said("output_item.added", output_index=2, item=custom),
        said("function_call_arguments.delta", item_id="fc_1", delta="1"),
        said("custom_tool_call_input.delta", item_id="ct_1", delta="SEL"),
        said("function_call_arguments.delta", item_id="fc_2", delta="2"),
        said("custom_tool_call_input.delta", item_id="ct_1", delta="ECT"),
        said("custom_tool_call_input.done", item_id="ct_1", input="SELECT"),
    ):
        merger.add(one)
    assert merger.output() == [
        ToolCall("call_1", "weather", "1"),
        ToolCall("call_2", "time", "2"),
        ToolCall("call_3", "sql", "SELECT"),
    ]


def test_a_broken_stream() -> None:
    first, error = ask(request(stream=True), stream(named(EVENTS[9]), end=[CLOSE])).items
    assert first.content == CHUNKS[4]
    assert error.kind == "FatalStreamError"


def test_the_short_ways_are_the_general_ways() -> None:
    config = ProviderConfig("p", "openai", {"model_name": "m"}, NoCredential())
    context = ProviderContext(Pool(user_agent=b"test"), 1000)
    provider = OpenAIResponsesProvider(context, config, "http://h/v1")
    attempt = Attempt("m", "p", MODEL_INFERENCE_ID, {})
    said_before = [user("a", ToolResult("1", "f", "r")), assistant("b", ToolCall("1", "f", "{}"))]
    for mode in ("off", "on", "strict"):
        given = request(
            *said_before, system="s", json_mode=mode, output_schema=SCHEMA, temperature=0.5
        )
        for _ in range(2):  # made, then taken from what was kept
            plain = provider.plain_body(given, given.messages)
            assert plain == orjson.dumps(provider.body_for(given, given.messages, {}, attempt))
    body = response(MESSAGE)
    assert provider.plain_answer(orjson.dumps(body)) == provider.answer(body, attempt)
    for other in (
        response(MESSAGE, MESSAGE),
        response(REFUSAL),
        response(REASONING),
        response(MESSAGE, incomplete_details={"reason": "max_output_tokens"}),
        response(MESSAGE, error={"message": "no"}),
        response({**MESSAGE, "role": "user"}),
    ):
        assert provider.plain_answer(orjson.dumps(other)) is None
    data = orjson.dumps(EVENTS[9])
    reader = ResponsesReader(attempt, discards_unknown=False)
    assert reader.chunk(data) == reader.any_chunk(data)
