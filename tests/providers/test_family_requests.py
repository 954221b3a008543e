"""What the OpenAI-like types send: each type's sheet, byte for byte."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.calls import assistant, request, user
from providers.family import BY_TYPE, LISTED_HI, NAMES, SCHEMA, SHEETS, TIME, WEATHER, Sheet
from providers.family import everything as everything_request
from tensorzero.config.credentials import (
    DynamicCredential,
    FallbackCredential,
    NoCredential,
    StaticCredential,
)
from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.registry import PROVIDERS, make_provider
from tensorzero.types.content import Message, Text, Thought, ToolCall, ToolResult, Unknown
from tensorzero.types.errors import ConfigError, IncompatibleTool, InvalidMessage
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.files import File, FileData
from tensorzero.types.model import ModelRequest
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.tools import AllowedTools, CustomTool, ProviderTool, ToolCallConfig
from tzcore.client import Pool
from upstream.scripted import answer

of_each_type = pytest.mark.parametrize("sheet", SHEETS, ids=NAMES)
KEY = StaticCredential("key-of-a-test")


def provider_of(sheet: Sheet, **options: Any) -> ChatCompletionsProvider:
    own = {"model_name": "m1", "api_base": "http://h/v1", "endpoint": "https://r.openai.azure.com"}
    if PROVIDERS[sheet.type].api_base:  # type: ignore[attr-defined]  # classes, for this family
        del own["api_base"]
    config = ProviderConfig("p", sheet.type, {**own, **sheet.options, **options}, NoCredential())
    provider = make_provider(ProviderContext(Pool(user_agent=b"test"), 1000), config)
    assert isinstance(provider, ChatCompletionsProvider)
    return provider


def test_every_type_of_the_family_has_its_sheet() -> None:
    family = {
        name
        for name, made in PROVIDERS.items()
        if isinstance(made, type) and issubclass(made, ChatCompletionsProvider)
    }
    assert set(NAMES) == {name for name in family if not name.startswith("aws_")}


@of_each_type
def test_the_address(sheet: Sheet) -> None:
    assert provider_of(sheet).url(stream=False) == sheet.url
    assert sheet.call(request()).seen[0].line == f"POST {sheet.path} HTTP/1.1"


@of_each_type
def test_the_smallest_request(sheet: Sheet) -> None:
    outcome = sheet.call(request(), credential=KEY)
    assert outcome.answered().raw_request == outcome.body
    assert outcome.body == f"{{{sheet.hi},{sheet.minimal}}}"
    shown = "key-of-a-test" if sheet.key_header == "api-key" else "Bearer key-of-a-test"
    assert outcome.headers[sheet.key_header] == shown
    assert outcome.headers["content-type"] == "application/json"
    assert "key-of-a-test" not in outcome.body


@of_each_type
def test_a_stream_is_asked_for(sheet: Sheet) -> None:
    outcome = sheet.call(request(stream=True), answer(b"", "500 no"))
    assert outcome.body == f"{{{sheet.hi},{sheet.streaming}}}"
    assert outcome.headers["accept"] == "text/event-stream"


@of_each_type
def test_every_parameter_in_the_vendors_order(
    sheet: Sheet, caplog: pytest.LogCaptureFixture
) -> None:
    assert sheet.sent(everything_request()) == f"{{{sheet.hi},{sheet.everything}}}"
    for name in sheet.drops:
        assert caplog.text.count(name) == 1, caplog.text
    assert len(caplog.records) == len(sheet.drops)


@pytest.mark.parametrize(
    ("name", "tier", "sent"),
    [
        ("azure", "default", True),
        ("azure", "flex", False),
        ("azure", "priority", False),
        ("groq", "flex", True),
        ("groq", "default", False),
        ("together", "auto", False),
    ],
)
def test_service_tiers(name: str, tier: Any, sent: bool, caplog: pytest.LogCaptureFixture) -> None:
    body = orjson.loads(BY_TYPE[name].sent(request(service_tier=tier)))
    assert body.get("service_tier") == (tier if sent else None)
    assert ("service" in caplog.text) == (not sent)


@of_each_type
@pytest.mark.parametrize("credential", ["none", "dynamic", "pair"])
def test_credentials(sheet: Sheet, credential: str, caplog: pytest.LogCaptureFixture) -> None:
    if credential == "none":
        outcome = sheet.call(request(), credential=NoCredential())
        assert sheet.key_header not in outcome.headers
        return
    default = DynamicCredential("k")
    chosen = default if credential == "dynamic" else FallbackCredential(default, KEY)
    brought = sheet.call(request(), credential=chosen, credentials={"k": "mine"})
    assert brought.headers[sheet.key_header].endswith("mine")
    missing = sheet.call(request(), credential=chosen)
    if credential == "dynamic":
        error = missing.failed()
        assert (error.kind, error.status) == ("ApiKeyMissing", 400)
        assert str(error).endswith(": Dynamic api key `k` is missing")
        assert missing.seen == []
    else:
        assert missing.headers[sheet.key_header].endswith("key-of-a-test")
        assert "using the fallback credential" in caplog.text


@of_each_type
def test_extra_body_and_headers(sheet: Sheet) -> None:
    given_request = request(
        variant_extra_body=(ExtraBody("/a", 1), ExtraBody("/stream", delete=True)),
        extra_headers=(ExtraHeader("X-Mine", "1"), ExtraHeader(sheet.key_header, "other")),
    )
    outcome = sheet.call(
        given_request, credential=KEY, extra_body=(ExtraBody("/messages/-", {"role": "x"}),)
    )
    body = orjson.loads(outcome.body)
    assert (body["a"], body["messages"][-1]) == (1, {"role": "x"})
    assert "stream" not in body
    assert (outcome.headers["x-mine"], outcome.headers[sheet.key_header]) == ("1", "other")


# --- messages -------------------------------------------------------------------------------------


def messages_of(sheet: Sheet, *messages: Message, **fields: Any) -> Any:
    return orjson.loads(sheet.sent(request(*messages, **fields)))["messages"]


def content(sheet: Sheet, text: str) -> Any:
    """One text as the type sends it."""
    return [{"type": "text", "text": text}] if sheet.hi == LISTED_HI else text


CALL = ToolCall("call_1", "weather", '{"city":"Lyon"}')
WIRE_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Lyon"}'},
}


@of_each_type
def test_a_conversation_with_tools(sheet: Sheet) -> None:
    found = messages_of(
        sheet,
        user("weather?"),
        assistant("wait", CALL),
        user(ToolResult("call_1", "weather", "rain"), "and?"),
        assistant("so"),
        system="be brief",
    )
    assert found == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": content(sheet, "weather?")},
        {"role": "assistant", "content": content(sheet, "wait"), "tool_calls": [WIRE_CALL]},
        {"role": "tool", "content": "rain", "tool_call_id": "call_1"},
        {"role": "user", "content": content(sheet, "and?")},
        {"role": "assistant", "content": content(sheet, "so")},
    ]


@of_each_type
def test_the_order_of_tool_results_and_texts(sheet: Sheet) -> None:
    found = messages_of(sheet, user("a", ToolResult("1", "f", "r"), "b"))
    result = {"role": "tool", "content": "r", "tool_call_id": "1"}
    a, b = {"type": "text", "text": "a"}, {"type": "text", "text": "b"}
    if sheet.type == "xai":
        wanted = [{"role": "user", "content": [a]}, result, {"role": "user", "content": [b]}]
    else:
        wanted = [result, {"role": "user", "content": [a, b]}]
    assert found == wanted


@of_each_type
def test_unknown_blocks_by_their_scope(sheet: Sheet) -> None:
    found = messages_of(
        sheet, user("a", Unknown({"n": 1}), Unknown({"n": 2}, "m", "p"), Unknown({"n": 3}, "x"))
    )
    assert found == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"n": 1}, {"n": 2}]}
    ]


@of_each_type
@pytest.mark.parametrize(
    "message", [user(CALL), assistant(ToolResult("1", "f", "r"))], ids=["user", "assistant"]
)
def test_tool_blocks_in_the_wrong_role(sheet: Sheet, message: Message) -> None:
    outcome = sheet.call(request(message))
    assert isinstance(outcome.failed(), InvalidMessage)
    assert outcome.seen == []


@of_each_type
def test_thoughts_of_ones_own_go_back(sheet: Sheet, caplog: pytest.LogCaptureFixture) -> None:
    own = [Thought(text, provider_type=sheet.type) for text in ("t1", "t2")]
    other = Thought("x", provider_type="other")
    message = assistant(own[0], "a", other, own[1])
    (found,) = messages_of(sheet, message)
    wanted = {"role": "assistant", "content": content(sheet, "a")}
    if sheet.writes is not None:
        wanted[sheet.writes] = "t1\n\nt2"
    elif sheet.type == "openrouter":
        wanted["reasoning_details"] = [
            {"type": "reasoning.text", "text": text} for text in ("t1", "t2")
        ]
    else:
        assert "not sent" in caplog.text
    assert found == wanted


@of_each_type
def test_thoughts_alone_are_no_message(sheet: Sheet, caplog: pytest.LogCaptureFixture) -> None:
    found = messages_of(sheet, assistant(Thought("t")), user("a", Thought("u")))
    assert found == [{"role": "user", "content": content(sheet, "a")}]
    assert caplog.text.count("not sent") == 2


FILES = {
    "http://h/doc": FileData("UERG", "application/pdf"),
    "http://h/wav": FileData("UklGRg==", "audio/wav"),
}
PDF = {"file_data": "data:application/pdf;base64,UERG", "filename": "input.pdf"}


@of_each_type
def test_files(sheet: Sheet, caplog: pytest.LogCaptureFixture) -> None:
    message = user(
        File(url="http://h/a.png", mime_type="image/png", detail="low"),
        File(data="iVBO", mime_type="image/png"),
        File(url="http://h/doc", mime_type="application/pdf"),
        File(url="http://h/wav", mime_type="audio/wav"),
    )
    outcome = sheet.call(request(message), files=FILES)
    parts = orjson.loads(outcome.body)["messages"][0]["content"]
    first = {"url": "http://h/a.png"}
    if sheet.type in ("azure", "xai"):
        first["detail"] = "low"
    else:
        assert "no image detail" in caplog.text
    wanted = [
        {"type": "image_url", "image_url": first},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        {"type": "file", "file": PDF},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    if sheet.type == "groq":
        for place, data in ((2, PDF["file_data"]), (3, "data:audio/wav;base64,UklGRg==")):
            wanted[place] = {"type": "image_url", "image_url": {"url": data}}
    assert parts == wanted
    recorded = outcome.answered().raw_request
    assert "<TENSORZERO_FILE_0>" in recorded and "<TENSORZERO_FILE_2>" in recorded
    assert "UERG" not in recorded and "http://h/a.png" in recorded


@pytest.mark.parametrize("name", ["groq", "openrouter"])
def test_a_url_without_mime_type_gets_a_hint(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    BY_TYPE[name].call(request(user(File(url="http://h/x"))), files={}).answered()
    assert "give its `mime_type`" in caplog.text


# --- JSON -----------------------------------------------------------------------------------------


def first_role(body: str) -> str:
    return str(orjson.loads(body)["messages"][0]["role"])


@of_each_type
def test_json_mode_on(sheet: Sheet) -> None:
    plain = sheet.sent(request(user("hi"), output_schema=SCHEMA))
    body = sheet.sent(request(user("hi"), json_mode="on", output_schema=SCHEMA))
    assert (first_role(body) == "system") == sheet.on_instruction
    if sheet.on_instruction:
        assert orjson.loads(body)["messages"][0]["content"] == "Respond using JSON."
    for one in ("response_format", "guided_json"):
        wanted = orjson.loads(f"{{{sheet.on or ''}}}").get(one)
        assert orjson.loads(body).get(one) == wanted
    assert '"schema"' not in plain and "guided_json" not in plain


@of_each_type
def test_json_modes_without_a_schema(sheet: Sheet) -> None:
    for mode in ("on", "strict"):
        outcome = sheet.call(request(json_mode=mode))
        if sheet.type == "sglang":
            error = outcome.failed()
            assert (error.kind, error.status, outcome.seen) == ("InvalidRequest", 400, [])
            continue
        found = orjson.loads(outcome.body)
        wanted = {"type": "json_object"} if sheet.on and "guided" not in sheet.on else None
        assert found.get("response_format") == wanted and "guided_json" not in found


@of_each_type
@pytest.mark.parametrize("system", ["be brief", "use Json"])
def test_the_json_instruction_where_json_is_spoken_of(sheet: Sheet, system: str) -> None:
    fields: dict[str, Any] = {"json_mode": "on", "output_schema": SCHEMA, "system": system}
    (found, _) = messages_of(sheet, user("hi"), **fields)
    added = sheet.on_instruction and system == "be brief"
    assert found["content"] == ("Respond using JSON.\n\n" if added else "") + system
    (found, _) = messages_of(sheet, user("as JSON"), **fields)
    assert found["content"] == system


# --- tools ----------------------------------------------------------------------------------------


def tools_of(sheet: Sheet, **fields: Any) -> dict[str, Any]:
    config = ToolCallConfig((WEATHER, TIME), **fields)
    body: dict[str, Any] = orjson.loads(sheet.sent(request(tool_config=config)))
    return body


@of_each_type
@pytest.mark.parametrize("choice", ["none", "auto", "required", {"specific": "time"}], ids=str)
def test_tool_choices(sheet: Sheet, choice: Any) -> None:
    body = tools_of(sheet, tool_choice=choice)
    if not sheet.tools or (sheet.type == "together" and choice == "none"):
        assert "tools" not in body and "tool_choice" not in body
        return
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather", "time"]
    strict = [tool.get("strict") for tool in body["tools"]]
    assert strict == ([None] * 2 if sheet.type in ("fireworks", "mistral") else [True, False])
    wanted = (
        {"type": "function", "function": {"name": "time"}}
        if choice == {"specific": "time"}
        else choice
    )
    assert body["tool_choice"] == (sheet.required if choice == "required" else wanted)


@of_each_type
@pytest.mark.parametrize("choice", ["auto", "required", "none"])
def test_an_explicit_list_of_allowed_tools(sheet: Sheet, choice: Any) -> None:
    body = tools_of(sheet, tool_choice=choice, allowed_tools=AllowedTools(("time",), "explicit"))
    if not sheet.tools or (sheet.type == "together" and choice == "none"):
        assert "tools" not in body
        return
    names = [tool["function"]["name"] for tool in body["tools"]]
    if not sheet.restricts:
        assert names == ["time"]
        assert body["tool_choice"] == (sheet.required if choice == "required" else choice)
        return
    assert names == ["weather", "time"]
    allowed = {"mode": choice, "tools": [{"type": "function", "function": {"name": "time"}}]}
    if choice == "none":
        assert body["tool_choice"] == "none"
    else:
        assert body["tool_choice"] == {"type": "allowed_tools", "allowed_tools": allowed}


@of_each_type
@pytest.mark.parametrize("parallel", [True, False, None])
def test_parallel_tool_calls(sheet: Sheet, parallel: bool | None) -> None:
    body = tools_of(sheet, parallel_tool_calls=parallel)
    sent = sheet.tools and sheet.parallel
    assert body.get("parallel_tool_calls") == (parallel if sent else None)
    alone = orjson.loads(
        sheet.sent(request(tool_config=ToolCallConfig((), parallel_tool_calls=True)))
    )
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(alone)


@of_each_type
def test_tools_that_the_type_does_not_have(sheet: Sheet) -> None:
    config = ToolCallConfig((), custom_tools=(CustomTool("sql"),))
    outcome = sheet.call(request(tool_config=config))
    assert isinstance(outcome.failed(), IncompatibleTool)
    assert f"not supported by the provider type `{sheet.type}`" in str(outcome.failed())
    config = ToolCallConfig((), provider_tools=(ProviderTool({"type": "web_search"}),))
    refused = sheet.call(request(tool_config=config))
    assert isinstance(refused.failed(), ConfigError)
    assert f"Provider `{sheet.type}` does not support `provider_tools`" in str(refused.failed())
    assert outcome.seen == refused.seen == []
    elsewhere = ToolCallConfig((), provider_tools=(ProviderTool({"x": 1}, "other"),))
    sheet.call(request(tool_config=elsewhere)).answered()


# --- the short way is the general way -------------------------------------------------------------

texts = st.text(max_size=12) | st.sampled_from(["json", "<think>a</think>", "a"])
said = st.builds(
    Message,
    st.sampled_from(["user", "assistant"]),
    st.lists(texts.map(Text), min_size=1, max_size=2),
)
params = st.builds(
    ChatCompletionParams,
    temperature=st.none() | st.floats(0, 2),
    max_tokens=st.none() | st.integers(0, 100),
    seed=st.none() | st.integers(0, 100),
    stop_sequences=st.none() | st.lists(texts, max_size=2).map(tuple),
    reasoning_effort=st.none() | texts,
    thinking_budget_tokens=st.none() | st.integers(0, 9),
)
PLAIN = [provider_of(sheet) for sheet in SHEETS] + [
    provider_of(BY_TYPE["deepseek"], model_name="deepseek-reasoner"),
    provider_of(BY_TYPE["groq"], model_name="o1-mini", reasoning_format="parsed"),
    provider_of(BY_TYPE["mistral"], prompt_mode="reasoning"),
    provider_of(BY_TYPE["openrouter"], model_name="o1-mini"),
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(said, max_size=3),
    st.none() | texts,
    params,
    st.booleans(),
    st.sampled_from(["off", "strict", "on"]),
)
def test_plain_bodies_are_what_the_general_way_makes(
    messages: list[Message], system: str | None, chosen: Any, stream: bool, mode: Any
) -> None:
    given_request = ModelRequest(
        messages, system, params=chosen, stream=stream, json_mode=mode, output_schema=SCHEMA
    )
    for provider in PLAIN:
        plain = provider.plain_body(given_request, messages)
        if plain is not None:
            assert plain == orjson.dumps(provider.body(given_request, messages, {})), provider.type


@of_each_type
def test_the_common_call_goes_the_short_way(sheet: Sheet) -> None:
    provider = provider_of(sheet)
    messages = [user("a"), assistant("b"), user("c")]
    assert provider.plain_body(request(*messages, system="s", temperature=0.5), messages)
