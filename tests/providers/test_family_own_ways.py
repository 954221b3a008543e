"""Where a single OpenAI-like type goes its own way."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from providers.calls import MODEL_INFERENCE_ID, assistant, call, request, user
from providers.family import BY_TYPE, SCHEMA, WEATHER
from tensorzero.config.credentials import DynamicCredential, StaticCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.functions.merge import StreamMerger
from tensorzero.providers.azure import AzureProvider
from tensorzero.providers.base import ProviderContext
from tensorzero.types.content import Message, Text, Thought, ToolCall, ToolResult, Unknown
from tensorzero.types.errors import InvalidMessage
from tensorzero.types.files import File, FileData
from tensorzero.types.model import Attempt, TextChunk, ThoughtChunk, ToolCallChunk
from tensorzero.types.tools import ToolCallConfig
from tzcore.client import Pool
from upstream.scripted import DONE, ScriptedServer, answer, event, stream

CALL = ToolCall("call_1", "weather", "{}")
WIRE_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": "{}"},
}


def part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def messages(
    name: str, *given: Message, options: Any = None, model: str = "m1", **fields: Any
) -> Any:
    sheet = BY_TYPE[name]
    own = {**(options or {}), "model_name": model}
    return orjson.loads(sheet.sent(request(*given, **fields), options=own))["messages"]


def completion(**message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def delta(**fields: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields}]})


def streamed(name: str, *events: bytes, **options: Any) -> list[Any]:
    return BY_TYPE[name].call(request(stream=True), stream(*events, DONE), **options).items


def merged(name: str, *events: bytes) -> list[Any]:
    merger = StreamMerger(json=False)
    for one in streamed(name, *events):
        merger.add(one)
    return merger.output()


# --- azure ----------------------------------------------------------------------------------------


def test_the_endpoint_of_a_request() -> None:
    options = {"endpoint": DynamicCredential("where"), "deployment_id": "d"}
    key = StaticCredential("k")
    outcome = call(request(), type="azure", options=options, credential=key)
    error = outcome.failed()
    assert (error.kind, error.status, outcome.seen) == ("DynamicEndpointNotFound", 404, [])
    assert str(error) == "Dynamic endpoint 'where' not found in credentials"
    hostile = ("http://secret:x/", "http:///secret", "http://h\r\nsecret: y/", "http://h/ secret")
    for url in ("ftp://secret", "secret", "http://[secret", *hostile):
        given = {"where": url}
        error = call(request(), type="azure", options=options, credentials=given).failed()
        assert (error.kind, error.status) == ("InvalidDynamicEndpoint", 400)
        assert str(error).startswith("Invalid dynamic endpoint URL: ")
        assert "secret" not in str(error)


def test_an_endpoint_that_comes_with_requests() -> None:
    """Each request goes where it says, with the key of the configuration."""

    async def run() -> list[str]:
        async with (
            ScriptedServer.saying(answer(completion(content="a"))) as first,
            ScriptedServer.saying(answer(completion(content="b"))) as second,
        ):
            pool = Pool(user_agent=b"Test/1", trust_env=False)
            options = {"endpoint": DynamicCredential("where"), "deployment_id": "d"}
            config = ProviderConfig("p", "azure", options, StaticCredential("k"))
            provider = AzureProvider(ProviderContext(pool, 20_000), config)
            texts = []
            for server in (first, second):
                place = {"where": server.url.removesuffix("/v1") + "/sub/?x=1"}
                attempt = Attempt("m", "p", MODEL_INFERENCE_ID, place)
                response = await provider.infer(request(), attempt)
                (text,) = response.output
                assert isinstance(text, Text)
                texts.append(text.text)
                (seen,) = server.seen
                assert seen.headers["api-key"] == "k"
                assert seen.line == (
                    "POST /sub/openai/deployments/d/chat/completions"
                    "?x=1&api-version=2025-04-01-preview HTTP/1.1"
                )
            await pool.aclose()
            return texts

    assert asyncio.run(asyncio.wait_for(run(), 60)) == ["a", "b"]


# --- deepseek -------------------------------------------------------------------------------------


def test_a_reasoner_has_no_system_message() -> None:
    assert messages("deepseek", user("a"), system="s", model="deepseek-reasoner") == [
        {"role": "user", "content": [part("s"), part("a")]}
    ]
    found = messages("deepseek", user("a"), system="s", model="deepseek-reasoner", json_mode="on")
    assert found == [{"role": "user", "content": [part("s"), part("a")]}]


def test_messages_of_one_role_become_one() -> None:
    found = messages(
        "deepseek",
        user("a"),
        user("b", "c"),
        assistant(Thought("t1"), "d"),
        assistant(CALL, Thought("t2")),
        assistant(CALL, "e"),
        user(ToolResult("call_1", "weather", "r1")),
        user(ToolResult("call_1", "weather", "r2"), "f"),
        user("g"),
        system="s",
    )
    result = {"role": "tool", "tool_call_id": "call_1"}
    assert found == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [part("a"), part("b"), part("c")]},
        {
            "role": "assistant",
            "content": [part("d"), part("e")],
            "tool_calls": [WIRE_CALL, WIRE_CALL],
            "reasoning_content": "t1\n\nt2",
        },
        {**result, "content": "r1"},
        {**result, "content": "r2"},
        {"role": "user", "content": [part("f"), part("g")]},
    ]
    assert messages("deepseek", assistant(CALL), assistant("e")) == [
        {"role": "assistant", "content": "e", "tool_calls": [WIRE_CALL]}
    ]


def test_text_stands_before_the_thought_of_one_event() -> None:
    (only,) = streamed("deepseek", delta(content="a", reasoning_content="t"))
    assert only.content == [
        TextChunk("0", "a"),
        ThoughtChunk("0", "t", provider_type="deepseek"),
    ]


# --- groq, openai's rules -------------------------------------------------------------------------


def test_groq_takes_thoughts_with_a_reasoning_format() -> None:
    given = request(assistant(Thought("t"), "a"), user("b"))
    body = BY_TYPE["groq"].sent(given, options={"reasoning_format": "parsed"})
    assert body == (
        '{"messages":[{"role":"assistant","content":"a","reasoning":"t"},'
        '{"role":"user","content":"b"}],"model":"m1","stream":false,'
        '"response_format":{"type":"text"},"reasoning_format":"parsed"}'
    )


@pytest.mark.parametrize("name", ["groq", "openrouter"])
def test_o1_mini_has_no_system_message(name: str) -> None:
    assert messages(name, user("a"), system="s", model="o1-mini")[0]["role"] == "user"
    other = "openai/o1-mini"
    assert messages(name, user("a"), system="s", model=other)[0]["role"] == "system"


def test_rules_of_openais_models_at_openrouter() -> None:
    config = ToolCallConfig((WEATHER,), parallel_tool_calls=False)
    given = request(tool_config=config, json_mode="strict", output_schema=SCHEMA)
    sheet = BY_TYPE["openrouter"]
    old = orjson.loads(sheet.sent(given, options={"model_name": "o1-3.5"}))
    assert "parallel_tool_calls" not in old
    assert old["response_format"] == {"type": "json_object"}
    new = orjson.loads(sheet.sent(given, options={"model_name": "openai/o1"}))
    assert new["parallel_tool_calls"] is False
    assert new["response_format"]["type"] == "json_schema"


# --- mistral --------------------------------------------------------------------------------------

THINKING = {"type": "thinking", "thinking": [part("Hm"), part(", so")]}


def test_content_as_a_list_of_thinking_and_text() -> None:
    content = [
        THINKING,
        part("a"),
        {"type": "reference", "reference_ids": [1]},
        part(""),
        {"type": "thinking", "thinking": []},
        part("b"),
    ]
    assert BY_TYPE["mistral"].call(
        request(), answer(completion(content=content))
    ).answered().output == [
        Thought("Hm, so", provider_type="mistral"),
        Text("a"),
        Text("b"),
    ]
    empty = completion(content="", tool_calls=[WIRE_CALL])
    assert BY_TYPE["mistral"].call(request(), answer(empty)).answered().output == [CALL]
    nothing = completion(content="")
    assert BY_TYPE["mistral"].call(request(), answer(nothing)).answered().output == []


def test_thinking_in_a_stream() -> None:
    chunks = streamed(
        "mistral",
        delta(role="assistant", content=[]),
        delta(content=[THINKING]),
        delta(content=[THINKING, part("a")]),
        delta(content="b"),
        delta(content=[{"type": "thinking", "thinking": None}]),
    )
    thought = ThoughtChunk("thinking", "Hm, so", provider_type="mistral")
    assert [getattr(one, "content", None) for one in chunks] == [
        [],
        [thought],
        [thought, TextChunk("0", "a")],
        [TextChunk("0", "b")],
        None,
    ]
    assert "`thinking` is not a list" in str(chunks[-1])


def test_names_of_streamed_calls_count_once() -> None:
    """Each delta repeats id and name; two calls of one tool stay two."""

    def piece(call_id: str, arguments: str, index: int) -> bytes:
        function = {"name": "f", "arguments": arguments}
        return delta(tool_calls=[{"id": call_id, "function": function, "index": index}])

    events = [piece("a", '{"x"', 0), piece("a", ":1}", 0), piece("b", "{}", 1)]
    chunks = streamed("mistral", *events)
    assert [one.content for one in chunks] == [
        [ToolCallChunk("a", "f", '{"x"')],
        [ToolCallChunk("a", None, ":1}")],
        [ToolCallChunk("b", "f", "{}")],
    ]
    assert merged("mistral", *events) == [ToolCall("a", "f", '{"x":1}'), ToolCall("b", "f", "{}")]


def test_prompt_mode_keeps_thinking_in_its_place() -> None:
    options = {"prompt_mode": "reasoning"}
    found = messages(
        "mistral",
        user("q"),
        assistant(Thought("t1"), "a", Thought("t2"), "b", Unknown({"x": 1})),
        assistant("c"),
        assistant(CALL),
        assistant(Unknown({"x": 1})),
        assistant(Thought("t3")),
        options=options,
    )

    def thinking(text: str) -> dict[str, Any]:
        return {"type": "thinking", "thinking": [part(text)]}

    assert found == [
        {"role": "user", "content": "q"},
        {
            "role": "assistant",
            "content": [thinking("t1"), part("a"), thinking("t2"), part("b")],
        },
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": None, "tool_calls": [WIRE_CALL]},
        {"role": "assistant", "content": [thinking("t3")]},
    ]
    body = BY_TYPE["mistral"].sent(request(stop_sequences=("x",)), options=options)
    assert body.endswith('"stream":false,"stop":["x"],"prompt_mode":"reasoning"}')
    wrong = assistant(ToolResult("1", "f", "r"))
    outcome = BY_TYPE["mistral"].call(request(wrong), options=options)
    assert isinstance(outcome.failed(), InvalidMessage)


# --- openrouter -----------------------------------------------------------------------------------

DETAILS = [
    {
        "type": "reasoning.text",
        "text": "Hm",
        "signature": "sig",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    {"type": "reasoning.summary", "summary": "In short", "format": "openai-responses-v1"},
    {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1", "id": "rs_1"},
    {"type": "reasoning.text", "text": "bare"},
]
SUMMARY = [{"type": "summary_text", "text": "In short"}]
THOUGHTS = [
    Thought("Hm", "sig", None, "openrouter", {"format": "anthropic-claude-v1"}),
    Thought(None, None, SUMMARY, "openrouter", {"format": "openai-responses-v1"}),
    Thought(None, "gAAA", None, "openrouter", {"format": "openai-responses-v1", "encrypted": True}),
    Thought("bare", provider_type="openrouter"),
]


def test_reasoning_details_make_the_round_trip() -> None:
    body = completion(content="a", reasoning="Hm", reasoning_details=DETAILS)
    outcome = BY_TYPE["openrouter"].call(request(), answer(body))
    assert outcome.answered().output == [*THOUGHTS, Text("a")]
    (found,) = messages("openrouter", assistant(*THOUGHTS))
    unneeded = ("index", "id")
    assert found == {
        "role": "assistant",
        "reasoning_details": [
            {key: value for key, value in one.items() if key not in unneeded} for one in DETAILS
        ],
    }


def test_other_forms_of_thoughts_at_openrouter(caplog: pytest.LogCaptureFixture) -> None:
    both = Thought("t", None, SUMMARY, "openrouter")
    sealed = Thought(None, "s", None, "openrouter", {"encrypted": True})
    unsealed = Thought("t", None, None, "openrouter", {"encrypted": True})
    (found,) = messages("openrouter", assistant("a", both, sealed, unsealed, Thought("foreign")))
    assert found == {
        "role": "assistant",
        "content": "a",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "t"},
            {"type": "reasoning.summary", "summary": "In short"},
            {"type": "reasoning.encrypted", "data": "s", "format": "raw"},
        ],
    }
    assert "not from openrouter" in caplog.text


def test_reasoning_details_in_a_stream() -> None:
    events = [
        delta(content="", reasoning="H", reasoning_details=[{**DETAILS[0], "text": "H"}]),
        delta(reasoning_details=[{"type": "reasoning.text", "text": "m", "index": 0}]),
        delta(reasoning_details=[{**DETAILS[1], "index": 1}, {"type": "reasoning.new"}]),
        delta(reasoning_details=[{"type": "reasoning.text", "text": "p"}, DETAILS[2]]),
        delta(content="a", reasoning=None, reasoning_details=[]),
    ]
    chunks = streamed("openrouter", *events)
    claude, openai = {"format": "anthropic-claude-v1"}, {"format": "openai-responses-v1"}
    own = "openrouter"
    assert [one.content for one in chunks] == [
        [ThoughtChunk("0", "H", "sig", provider_type=own, extra_data=claude), TextChunk("0", "")],
        [ThoughtChunk("0", "m", provider_type=own)],
        [
            ThoughtChunk(
                "1", summary_id="1", summary_text="In short", provider_type=own, extra_data=openai
            )
        ],
        [
            ThoughtChunk("0", "p", provider_type=own),
            ThoughtChunk(
                "1", None, "gAAA", provider_type=own, extra_data={**openai, "encrypted": True}
            ),
        ],
        [TextChunk("0", "a")],
    ]


@pytest.mark.parametrize(
    "details",
    ["x", [1], [{"type": "reasoning.encrypted"}], [{"type": "reasoning.summary", "summary": 1}]],
)
def test_reasoning_details_that_cannot_be_read(details: Any) -> None:
    body = completion(content="a", reasoning_details=details)
    error = BY_TYPE["openrouter"].call(request(), answer(body)).failed()
    assert error.kind == "InferenceServer"
    (bad,) = streamed("openrouter", delta(reasoning_details=details))
    assert "Error parsing chunk" in str(bad)


def test_openrouter_is_told_who_asks() -> None:
    outcome = BY_TYPE["openrouter"].call(request())
    assert outcome.headers["x-title"] == "TensorZero"
    assert outcome.headers["http-referer"] == "https://www.tensorzero.com/"


# --- servers of one's own, xai --------------------------------------------------------------------


@pytest.mark.parametrize(("reasoning", "content"), [("a", None), (None, "a"), ("a", "b")])
def test_vllm_reads_either_field(reasoning: str | None, content: str | None) -> None:
    body = completion(content="so", reasoning=reasoning, reasoning_content=content)
    output = BY_TYPE["vllm"].call(request(), answer(body)).answered().output
    assert output == [Thought("a", provider_type="vllm"), Text("so")]
    (only,) = streamed("vllm", delta(reasoning=reasoning, reasoning_content=content))
    assert only.content == [ThoughtChunk("1", "a", provider_type="vllm")]


def test_sglang_may_leave_out_the_index() -> None:
    first = {"id": "a", "function": {"name": "f", "arguments": ""}}
    for index in ({}, {"index": None}):
        events = [
            delta(tool_calls=[{**index, **first}]),
            delta(tool_calls=[{**index, "function": {"arguments": "{}"}}]),
        ]
        assert merged("sglang", *events) == [ToolCall("a", "f", "{}")]


def test_arguments_of_tgi_are_values() -> None:
    for arguments, text in (({"city": "Lyon"}, '{"city":"Lyon"}'), ('{"a":1}', '{"a":1}')):
        one = {"id": "0", "type": "function", "function": {"name": "f", "arguments": arguments}}
        body = completion(content=None, tool_calls=[one])
        output = BY_TYPE["tgi"].call(request(), answer(body)).answered().output
        assert output == [ToolCall("0", "f", text)]


def test_content_of_xai_is_always_a_list() -> None:
    found = messages("xai", user("a"), assistant("b", Thought("t")), system="s")
    assert found == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [part("a")]},
        {"role": "assistant", "content": [part("b")], "reasoning_content": "t"},
    ]


@pytest.mark.parametrize(
    ("system", "message", "expected"),
    [
        (None, user("a"), "Respond using JSON."),
        (None, user("as JSON"), None),
        (None, user(ToolResult("1", "f", "json"), "a"), "Respond using JSON."),
        ("s", user("a"), "Respond using JSON.\n\ns"),
        ("s", assistant("json"), "s"),
        ("json", user("a"), "json"),
    ],
)
def test_the_json_instruction_of_xai(system: str | None, message: Message, expected: Any) -> None:
    first = messages("xai", message, system=system, json_mode="on")[0]
    assert (first["content"] if first["role"] == "system" else None) == expected


def test_reasoning_tokens_of_xai_count_in_streams_too() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    for details, output in ((None, 4), ({}, 4), ({"reasoning_tokens": 5}, 9)):
        full = {**usage, "completion_tokens_details": details}
        (only,) = streamed("xai", event({"choices": [], "usage": full}))
        assert only.usage.output_tokens == output


def test_a_file_between_texts_and_results() -> None:
    picture = File(data="iVBO", mime_type="image/png")
    given = request(user("a", picture, ToolResult("1", "f", "r"), "b"))
    files = {"": FileData("", "")}
    body = orjson.loads(BY_TYPE["xai"].call(given, files=files).body)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    assert [one["role"] for one in body["messages"]] == ["user", "tool", "user"]
    assert body["messages"][0]["content"] == [part("a"), image]
