"""What the Gemini types send: address, head and exact bytes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import assistant, request, user
from providers.gemini import (
    BOTH,
    KEY,
    NAMES,
    STUDIO,
    VERTEX,
    VERTEX_OPTIONS,
    ask,
    says,
    sent,
    tool,
)
from tensorzero.config.credentials import NoCredential
from tensorzero.types.errors import ConfigError, IncompatibleTool, InvalidRequest, Serialization
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.model import ModelRequest
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import AllowedTools, CustomTool, ProviderTool, ToolCallConfig
from upstream.scripted import answer, event, stream

HI = '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]'
EVENT = stream(event(says("Hello!")))
PROJECT = "/v1/projects/proj/locations/us-central1"


# --- where ----------------------------------------------------------------------------------------


def test_the_whole_request_of_studio() -> None:
    outcome = ask(STUDIO)
    outcome.answered()
    assert outcome.body == HI + ',"tools":null,"generationConfig":{}}'
    assert (
        outcome.seen[0].head
        == (
            "POST /v1beta/models/gemini-x:generateContent HTTP/1.1\r\n"
            f"host: {outcome.headers['host']}\r\n"
            "content-type: application/json\r\naccept: */*\r\n"
            f"x-goog-api-key: {KEY}\r\nuser-agent: Test/1\r\n"
            f"content-length: {len(outcome.body)}\r\n\r\n"
        ).encode()
    )


def test_the_whole_request_of_vertex() -> None:
    outcome = ask(VERTEX)
    outcome.answered()
    assert outcome.body == HI + ',"generationConfig":{}}'
    path = f"{PROJECT}/publishers/google/models/gemini-x:generateContent"
    assert outcome.seen[0].line == f"POST {path} HTTP/1.1"
    assert outcome.headers["authorization"] == f"Bearer {KEY}"
    assert "x-goog-api-key" not in outcome.headers


@pytest.mark.parametrize("type", BOTH)
def test_a_stream_asks_for_events_by_its_url_only(type: str) -> None:
    whole, streamed = ask(type), ask(type, request(stream=True), EVENT)
    method = ":streamGenerateContent?alt=sse HTTP/1.1"
    assert streamed.seen[0].line == whole.seen[0].line.replace(":generateContent HTTP/1.1", method)
    assert streamed.body == whole.body == streamed.raw_request
    assert streamed.headers["accept"] == "text/event-stream"


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"endpoint_id": "77", "model_id": None}, f"{PROJECT}/endpoints/77"),
        (
            {"location": "global"},
            "/v1/projects/proj/locations/global/publishers/google/models/gemini-x",
        ),
        ({"model_id": "a/b@001"}, f"{PROJECT}/publishers/google/models/a/b@001"),
        ({"model_id": "a b?c"}, f"{PROJECT}/publishers/google/models/a%20b%3Fc"),
    ],
)
def test_places_on_vertex(options: dict[str, Any], path: str) -> None:
    outcome = ask(VERTEX, options={**VERTEX_OPTIONS, **options})
    assert outcome.seen[0].line == f"POST {path}:generateContent HTTP/1.1"


def test_a_name_on_studio_may_hold_anything() -> None:
    outcome = ask(STUDIO, model="tuned/my model")
    line = "POST /v1beta/models/tuned/my%20model:generateContent HTTP/1.1"
    assert outcome.seen[0].line == line


def test_a_key_may_be_left_out_or_replaced() -> None:
    assert "x-goog-api-key" not in ask(STUDIO, credential=NoCredential()).headers
    given = request(extra_headers=(ExtraHeader("X-Goog-Api-Key", "other"),))
    assert ask(STUDIO, given).headers["x-goog-api-key"] == "other"
    given = request(extra_headers=(ExtraHeader("Authorization", "Bearer other"),))
    assert ask(VERTEX, given).headers["authorization"] == "Bearer other"


# --- parameters -----------------------------------------------------------------------------------

PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({"temperature": 0.5}, '"temperature":0.5'),
    ({"max_tokens": 7}, '"maxOutputTokens":7'),
    ({"seed": 0}, '"seed":0'),
    ({"top_p": 0.25}, '"topP":0.25'),
    ({"presence_penalty": -1.5}, '"presencePenalty":-1.5'),
    ({"frequency_penalty": 1.5}, '"frequencyPenalty":1.5'),
    ({"stop_sequences": ("a", "b")}, '"stopSequences":["a","b"]'),
    ({"reasoning_effort": "low"}, '"thinkingConfig":{"thinkingLevel":"low"}'),
    ({"thinking_budget_tokens": 0}, '"thinkingConfig":{"thinkingBudget":0}'),
    ({"thinking_budget_tokens": -1}, '"thinkingConfig":{"thinkingBudget":-1}'),
    (
        {"thinking_budget_tokens": 9, "reasoning_effort": "HIGH"},
        '"thinkingConfig":{"thinkingBudget":9,"thinkingLevel":"HIGH"}',
    ),
]


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize(("params", "expected"), PARAMETERS)
def test_parameters(type: str, params: dict[str, Any], expected: str) -> None:
    tools = ',"tools":null' if type == STUDIO else ""
    # A call that could read files is built another way than one that could not.
    for files in (None, {}):
        body = ask(type, request(**params), files=files).body
        assert body == f'{HI}{tools},"generationConfig":{{{expected}}}}}'


EVERYTHING: dict[str, Any] = {
    "temperature": 1.0,
    "max_tokens": 1,
    "seed": 2,
    "top_p": 0.5,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.25,
    "stop_sequences": (),
    "reasoning_effort": "low",
    "thinking_budget_tokens": 3,
}
ORDERS = {
    STUDIO: '"topP":0.5,"presencePenalty":0.0,"frequencyPenalty":0.25,"maxOutputTokens":1,"seed":2',
    VERTEX: '"maxOutputTokens":1,"topP":0.5,"presencePenalty":0.0,"frequencyPenalty":0.25,"seed":2',
}


@pytest.mark.parametrize("type", BOTH)
def test_the_order_of_keys(type: str) -> None:
    schema = JSONSchema({"type": "object"})
    given = request(
        system="be brief",
        json_mode="strict",
        output_schema=schema,
        tool_config=ToolCallConfig((tool("f"),)),
        **EVERYTHING,
    )
    declared = '{"name":"f","description":"does f","parameters":{"type":"object"}}'
    assert ask(type, given).body == (
        f'{HI},"tools":[{{"functionDeclarations":[{declared}]}}],'
        '"toolConfig":{"functionCallingConfig":{"mode":"auto"}},"generationConfig":{'
        '"stopSequences":[],"temperature":1.0,'
        f'"thinkingConfig":{{"thinkingBudget":3,"thinkingLevel":"low"}},{ORDERS[type]},'
        '"responseMimeType":"application/json","responseSchema":{"type":"object"}},'
        '"systemInstruction":{"role":"model","parts":[{"text":"be brief"}]}}'
    )


@pytest.mark.parametrize("type", BOTH)
def test_what_the_vendor_lacks_is_warned_about(type: str, caplog: pytest.LogCaptureFixture) -> None:
    given = request(service_tier="flex", verbosity="low")
    assert sent(type, given)["generationConfig"] == {}
    for name in ("service_tier", "verbosity"):
        assert (
            caplog.text.count(
                f"{NAMES[type]} does not support the inference parameter `{name}`, so it will be "
                "ignored."
            )
            == 1
        )


# --- extras ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", BOTH)
def test_extra_body_sees_the_vendors_own_names(type: str) -> None:
    given = request(
        top_p=0.5,
        extra_body=(
            ExtraBody("/generationConfig/topP", 0.25),
            ExtraBody("/generationConfig/top_p", 0.75),
            ExtraBody("/generationConfig/thinkingConfig/includeThoughts", True),
            ExtraBody("/tools", [{"googleSearch": {}}]),
        ),
    )
    body = sent(type, given)
    assert body["tools"] == [{"googleSearch": {}}]
    assert body["generationConfig"] == {
        "topP": 0.25,
        "top_p": 0.75,
        "thinkingConfig": {"includeThoughts": True},
    }


def test_extra_body_adds_to_tools_and_leaves_schemas_alone() -> None:
    config = ToolCallConfig((tool("f", {"type": "object", "properties": {}}),))
    pointer = "/tools/0/functionDeclarations/0/parameters/properties/x"
    given = request(
        tool_config=config,
        extra_body=(ExtraBody("/tools/-", {"googleSearch": {}}), ExtraBody(pointer, {})),
    )
    first, search = sent(STUDIO, given)["tools"]
    assert search == {"googleSearch": {}}
    assert first["functionDeclarations"][0]["parameters"]["properties"] == {"x": {}}
    assert config.static_tools[0].parameters.value["properties"] == {}


# --- tools ----------------------------------------------------------------------------------------


def choices() -> list[tuple[Any, tuple[str, ...] | None, dict[str, Any]]]:
    named = {"mode": "any", "allowedFunctionNames": ["g"]}
    both = {"mode": "any", "allowedFunctionNames": ["g", "f"]}
    return [
        ("none", None, {"mode": "none"}),
        ("auto", None, {"mode": "auto"}),
        ("required", None, {"mode": "any"}),
        ({"specific": "g"}, None, named),
        ("none", ("g",), {"mode": "none"}),
        ("auto", ("g", "f"), both),
        ("auto", ("of_g",), named),
        ("required", ("g", "f"), both),
        ({"specific": "g"}, ("f",), named),
        ("auto", (), {"mode": "none"}),
        ("auto", ("gone",), {"mode": "none"}),
    ]


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize(("choice", "allowed", "expected"), choices())
def test_tool_choices(
    type: str, choice: Any, allowed: tuple[str, ...] | None, expected: dict[str, Any]
) -> None:
    key = "of_g" if allowed == ("of_g",) else "g"
    config = ToolCallConfig(
        (tool("f"),),
        (tool("g", key=key),),
        tool_choice=choice,
        parallel_tool_calls=False,
        allowed_tools=AllowedTools(
            allowed or (), "function_default" if allowed is None else "explicit"
        ),
    )
    body = sent(type, request(tool_config=config))
    assert body["toolConfig"] == {"functionCallingConfig": expected}
    (only,) = body["tools"]
    assert [one["name"] for one in only["functionDeclarations"]] == ["f", "g"]
    assert config.tool_choice == choice


@pytest.mark.parametrize("type", BOTH)
def test_without_function_tools_there_is_no_choice_either(type: str) -> None:
    body = sent(type, request(tool_config=ToolCallConfig((), tool_choice="required")))
    assert "toolConfig" not in body
    assert body.get("tools") is None
    assert ("tools" in body) == (type == STUDIO)


SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "ref": {"type": "string", "ref": "x"},
        "additionalProperties": {"additionalProperties": False, "type": "object"},
        "$schema": {"type": "integer"},
        "list": {"type": "array", "items": [{"additionalProperties": False, "const": 1}]},
        "properties": {"type": "object", "properties": {"ref": {}}, "ref": 1},
    },
    "$defs": {"ref": {"$schema": "x", "type": "null"}},
    "additionalProperties": {"type": "string"},
    "required": ["ref", "$schema"],
    "anyOf": [{"$ref": "#/$defs/ref", "additionalProperties": True}],
}
CLEAN = {
    "type": "object",
    "properties": {
        "ref": {"type": "string"},
        "additionalProperties": {"type": "object"},
        "$schema": {"type": "integer"},
        "list": {"type": "array", "items": [{"const": 1}]},
        "properties": {"type": "object", "properties": {"ref": {}}},
    },
    "$defs": {"ref": {"type": "null"}},
    "required": ["ref", "$schema"],
    "anyOf": [{"$ref": "#/$defs/ref"}],
}


@pytest.mark.parametrize("type", BOTH)
def test_schemas_are_cleaned_at_every_depth(type: str) -> None:
    """Keys that are names stay, whatever they are called; so does the order."""
    for _ in range(2):
        given = request(
            tool_config=ToolCallConfig((tool("f", SCHEMA),)),
            json_mode="on",
            output_schema=JSONSchema(SCHEMA),
        )
        outcome = ask(type, given)
        assert outcome.body.count(orjson.dumps(CLEAN).decode()) == 2
        assert given.output_schema is not None and given.output_schema.value == SCHEMA


@pytest.mark.parametrize("type", BOTH)
def test_a_schema_that_is_too_deep_is_refused(type: str) -> None:
    deep: Any = {"type": "object"}
    for _ in range(400):
        deep = {"not": deep}
    given = request(json_mode="on")
    given.output_schema = JSONSchema({"type": "object"})
    given.output_schema.value = deep
    error = ask(type, given).failed()
    assert isinstance(error, Serialization)
    assert f"The request of {type} cannot be written" in str(error)


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize("mode", ["off", "on", "strict"])
@pytest.mark.parametrize("with_schema", [True, False])
def test_json_modes(type: str, mode: Any, with_schema: bool) -> None:
    schema = JSONSchema({"type": "object", "additionalProperties": False})
    given = request(system="plain", json_mode=mode, output_schema=schema if with_schema else None)
    body = sent(type, given)
    config: dict[str, Any] = {}
    if mode != "off":
        config["responseMimeType"] = "application/json"
        if with_schema:
            config["responseSchema"] = {"type": "object"}
    assert body["generationConfig"] == config
    assert body["systemInstruction"]["parts"] == [{"text": "plain"}]


# --- refused before anything is sent --------------------------------------------------------------


def refused(type: str, given: ModelRequest) -> Any:
    outcome = ask(type, given)
    assert outcome.seen == []
    return outcome.failed()


@pytest.mark.parametrize("type", BOTH)
def test_what_cannot_be_asked(type: str) -> None:
    empty = request()
    empty.messages = []
    error = refused(type, empty)
    assert isinstance(error, InvalidRequest)
    assert (str(error), error.status) == (f"{NAMES[type]} requires at least one message", 400)
    custom = ToolCallConfig((), custom_tools=(CustomTool("c"),))
    assert isinstance(refused(type, request(tool_config=custom)), IncompatibleTool)
    searching = ToolCallConfig((), provider_tools=(ProviderTool({"type": "web_search"}),))
    error = refused(type, request(tool_config=searching))
    assert isinstance(error, ConfigError)
    assert str(error).startswith(
        f"Provider `{type}` does not support `provider_tools`, but 1 provider tool(s) were "
        "configured for model `m` / provider `p`."
    )
    elsewhere = ToolCallConfig((), provider_tools=(ProviderTool({}, "m", "other"),))
    ask(type, request(tool_config=elsewhere)).answered()


def test_messages_are_neither_merged_nor_instructed() -> None:
    given = request(user("a"), user("b"), assistant("c"), user(), assistant("d"), json_mode="on")
    contents = sent(VERTEX, given)["contents"]
    assert [(one["role"], one["parts"]) for one in contents] == [
        ("user", [{"text": "a"}]),
        ("user", [{"text": "b"}]),
        ("model", [{"text": "c"}]),
        ("model", [{"text": "d"}]),
    ]
    assert sent(STUDIO, request(user()))["contents"] == []


def test_the_answer_is_recorded_as_it_came() -> None:
    body = orjson.dumps(says("caf\u00e9"), option=orjson.OPT_INDENT_2)
    assert ask(STUDIO, None, answer(body)).answered().raw_response == body.decode()
