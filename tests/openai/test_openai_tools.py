"""Structured output and tools (checklist 28 to 33)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai_support import OpenAIApi, deltas, joined

from gateway.provider import delta, ending, message, tool_call

SCHEMA = {"type": "object", "properties": {"mail": {"type": "string"}}, "required": ["mail"]}
PERSON = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
CUSTOM = {"type": "custom", "custom": {"name": "calc"}}


def function(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


def asked(api: OpenAIApi, model: str = "chat", **fields: Any) -> tuple[dict[str, Any], Any]:
    """What the provider was sent, and the answer."""
    api.provider.scripts.setdefault("scripted", message("{}"))
    if model == "extract":
        fields["tensorzero::variant_name"] = "v"
    answer = api.completion(model, **fields)
    return api.provider.last, answer


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ({"type": "json_object"}, "on"),
        ({"type": "json_schema", "json_schema": {"name": "x", "strict": False}}, "strict"),
        ({"type": "text"}, "off"),
        (None, None),
    ],
)
def test_modes(api: OpenAIApi, form: Any, mode: str | None) -> None:
    """Checklist 28."""
    for model in ("chat", "extract", "tensorzero::model_name::scripted"):
        _, answer = asked(api, model, response_format=form)
        row = api.row(answer["id"], "JsonInference" if model == "extract" else "ChatInference")
        assert row["inference_params"]["chat_completion"].get("json_mode") == mode


def test_a_schema_on_a_json_function(api: OpenAIApi) -> None:
    """Checklist 29; what breaks the schema is passed on as it is."""
    for raw, parsed in (('{"mail":"a@b"}', {"mail": "a@b"}), ("no JSON", None), ("[1]", None)):
        api.provider.scripts["scripted"] = message(raw)
        sent, answer = asked(api, "extract", response_format=PERSON)
        assert answer["choices"][0]["message"]["content"] == raw
        row = api.json_row(answer["id"])
        assert json.loads(row["output_schema"]) == SCHEMA
        assert row["output"]["parsed"] == parsed
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    api.provider.scripts["scripted"] = message(None)
    _, answer = asked(api, "extract")
    assert answer["choices"][0]["message"]["content"] is None


def test_the_forced_tool(api: OpenAIApi) -> None:
    """Checklist 30: content, plain and streamed."""
    mode = {"tensorzero::params": {"chat_completion": {"json_mode": "tool"}}}
    made = tool_call("respond", '{"mail":"a@b"}')
    api.provider.scripts["scripted"] = message(None, "tool_calls", tool_calls=[made])
    _, answer = asked(api, response_format=PERSON, **mode)
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == '{"mail":"a@b"}'
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "tool_calls"
    api.provider.scripts["scripted"] = [
        delta(tool_calls=[{"index": 0, **tool_call("respond", "")}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"mail":'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '"a@b"}'}}]),
        *ending("tool_calls"),
    ]
    frames = api.frames("chat", response_format=PERSON, **mode)
    assert joined(frames) == '{"mail":"a@b"}'
    assert not any("tool_calls" in one for one in deltas(frames))
    api.turned_away(400, "output_schema", **mode)
    api.turned_away(400, "tool", response_format=PERSON, tools=[function("a")], **mode)


@pytest.mark.parametrize(
    "form",
    [
        "text",
        {"type": "xml"},
        {},
        {"type": "json_schema"},
        {"type": "json_schema", "schema": SCHEMA},
        {"type": "json_schema", "json_schema": {}},
        {"type": "json_schema", "json_schema": {"name": "x", "strict": "yes"}},
    ],
)
def test_response_formats_that_are_none(api: OpenAIApi, form: Any) -> None:
    """Checklist 31."""
    api.turned_away(400, "response_format", response_format=form)


def test_a_schema_that_does_not_compile(api: OpenAIApi) -> None:
    """Section 5: no fault by itself."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 5}}}
    asked(api, response_format=form)
    asked(api, "extract", response_format=form)


def test_tools(api: OpenAIApi) -> None:
    """Section 6: forms and defaults."""
    tools = [
        function("a", description="A", parameters=SCHEMA, strict=True, x=1),
        function("b"),
        function("c", description=None, parameters=None, strict=None),
    ]
    sent, answer = asked(api, tools=tools, parallel_tool_calls=False)
    empty = {"type": "object", "properties": {}}
    assert [tool["function"]["parameters"] for tool in sent["tools"]] == [SCHEMA, empty, empty]
    assert sent["parallel_tool_calls"] is False
    row = api.row(answer["id"])
    dynamic = [json.loads(tool) for tool in row["dynamic_tools"]]
    assert dynamic[0] == {
        "type": "function",
        "description": "A",
        "parameters": SCHEMA,
        "name": "a",
        "strict": True,
    }
    assert [(tool["description"], tool["strict"]) for tool in dynamic[1:]] == [("", False)] * 2


@pytest.mark.parametrize(
    ("choice", "sent_choice"),
    [
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        (None, "auto"),
        (function("a"), function("a")),
    ],
)
def test_choices(api: OpenAIApi, choice: Any, sent_choice: Any) -> None:
    sent, _ = asked(api, tools=[function("a")], tool_choice=choice)
    assert sent["tool_choice"] == sent_choice


def test_allowed_tools(api: OpenAIApi) -> None:
    """Checklist 32."""
    choice = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [function("a"), function("weather")]},
    }
    sent, answer = asked(api, tools=[function("a"), function("b")], tool_choice=choice)
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["weather", "a", "b"]
    assert sent["tool_choice"]["allowed_tools"]["mode"] == "required"
    row = api.row(answer["id"])
    assert json.loads(row["allowed_tools"]) == {"tools": ["a", "weather"], "choice": "explicit"}
    for named in (
        function("zz"),
        {**choice, "allowed_tools": {"mode": "auto", "tools": [function("zz")]}},
    ):
        api.turned_away(400, "Tool not found: zz", tools=[function("a")], tool_choice=named)
    api.turned_away(400, "Duplicate tool name: a", tools=[function("a"), function("a")])


@pytest.mark.parametrize(
    "choice",
    [
        "any",
        7,
        {},
        {"type": "custom", "custom": {"name": "a"}},
        {"type": "function"},
        {"type": "function", "function": {}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "none", "tools": []}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CUSTOM]}},
    ],
)
def test_choices_that_are_none(api: OpenAIApi, choice: Any) -> None:
    api.turned_away(400, "tool_choice", tools=[function("a")], tool_choice=choice)


@pytest.mark.parametrize(
    "tool",
    [
        {},
        {"type": "function"},
        {"type": "web_search"},
        {"type": "function", "function": {}},
        {"type": "function", "function": {"name": "a", "strict": 1}},
        {"type": "function", "function": {"name": "a", "description": 1}},
        {"type": "custom", "custom": {"name": "a", "x": 1}},
        {"type": "custom", "custom": {"name": "a", "type": "function"}},
        {"type": "custom", "custom": {"name": "a", "format": {"type": "xml"}}},
        {
            "type": "custom",
            "custom": {"name": "a", "format": {"type": "grammar", "grammar": {"syntax": "x"}}},
        },
    ],
)
def test_tools_that_are_none(api: OpenAIApi, tool: Any) -> None:
    api.turned_away(400, "tools[0]", tools=[tool])


def test_tools_on_a_json_function(api: OpenAIApi) -> None:
    """Checklist 32: even none."""
    for fields in ({"tools": []}, {"tool_choice": "auto"}, {"parallel_tool_calls": True}):
        api.turned_away(400, model="extract", **fields)
    asked(api, "extract", tools=None)


def test_custom_tools(api: OpenAIApi) -> None:
    """Checklist 33."""
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /[0-9]+/"}}
    custom = {"type": "custom", "custom": {"name": "calc", "format": grammar}}
    made = {"id": "c", "type": "custom", "custom": {"name": "calc", "input": "1+1"}}
    api.provider.scripts["scripted"] = message(None, "tool_calls", tool_calls=[made])
    sent, answer = asked(api, tools=[function("a"), custom])
    assert sent["tools"][1]["custom"]["name"] == "calc"
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert call == {
        "id": "c",
        "type": "function",
        "function": {"name": "calc", "arguments": "1+1"},
    }
    api.turned_away(502, model="tensorzero::model_name::dummy::text", tools=[CUSTOM])


@pytest.mark.parametrize("arguments", ['{"city":5}', "not json", ""])
def test_calls_that_do_not_fit(api: OpenAIApi, arguments: str) -> None:
    """Passed through."""
    for name in ("weather", "nowhere"):
        made = tool_call(name, arguments)
        api.provider.scripts["scripted"] = message(None, "tool_calls", tool_calls=[made])
        _, answer = asked(api, "tools")
        assert answer["choices"][0]["message"]["tool_calls"] == [made]


def test_provider_tools(api: OpenAIApi) -> None:
    """Refused by a provider that has none."""
    tools = [{"scope": {"model_name": "scripted"}, "tool": {"type": "web_search"}}]
    api.turned_away(502, **{"tensorzero::provider_tools": tools})
    tools[0]["scope"] = {"model_name": "another"}
    asked(api, **{"tensorzero::provider_tools": tools})
