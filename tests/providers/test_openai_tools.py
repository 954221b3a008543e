"""Tools in the requests of the ``openai`` provider."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import call, request
from tensorzero.types.errors import ConfigError
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import (
    AllowedTools,
    CustomTool,
    FunctionTool,
    ProviderTool,
    ToolCallConfig,
)

SCHEMA = JSONSchema({"type": "object", "properties": {"city": {"type": "string"}}})
WEATHER = FunctionTool("weather_key", "weather", "The weather", SCHEMA)
TIME = FunctionTool("time", "time", "", JSONSchema({}), strict=True)
GRAMMAR = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
SQL = CustomTool("sql", "Writes SQL", GRAMMAR)
BARE = CustomTool("bare")
WIRE_WEATHER = (
    '{"type":"function","function":{"name":"weather","description":"The weather","parameters":'
    '{"type":"object","properties":{"city":{"type":"string"}}}},"strict":false}'
)
WIRE_TIME = (
    '{"type":"function","function":{"name":"time","description":"","parameters":{}},"strict":true}'
)


def tools(*static: FunctionTool, **fields: Any) -> ToolCallConfig:
    return ToolCallConfig(static_tools=static, **fields)


def sent(config: ToolCallConfig, model: str = "gpt-x") -> str:
    outcome = call(request(tool_config=config), model=model)
    outcome.answered()
    head = f'{{"messages":[{{"role":"user","content":"hi"}}],"model":"{model}","stream":false'
    assert outcome.body.startswith(head)
    return outcome.body.removeprefix(head).removeprefix(",").removesuffix("}")


def choice_of(config: ToolCallConfig) -> Any:
    return orjson.loads("{" + sent(config) + "}")["tool_choice"]


def test_static_then_dynamic_then_custom_tools() -> None:
    config = tools(WEATHER, dynamic_tools=(TIME,), custom_tools=(SQL, BARE))
    assert sent(config) == (
        f'"tools":[{WIRE_WEATHER},{WIRE_TIME},{{"type":"custom","custom":{{"name":"sql",'
        '"description":"Writes SQL","format":{"type":"grammar","grammar":{"syntax":"lark",'
        '"definition":"start: /a/"}}}},{"type":"custom","custom":{"name":"bare"}}],'
        '"tool_choice":"auto"'
    )


def test_custom_tools_alone() -> None:
    assert sent(tools(custom_tools=(BARE,))) == (
        '"tools":[{"type":"custom","custom":{"name":"bare"}}],"tool_choice":"auto"'
    )


def test_without_tools_nothing_about_them_is_sent() -> None:
    assert sent(tools(tool_choice="required", parallel_tool_calls=True)) == ""


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        ({"specific": "weather"}, {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    assert choice_of(tools(WEATHER, TIME, tool_choice=choice)) == expected


FUNCTION = {"type": "function", "function": {"name": "weather"}}
CUSTOM = {"type": "custom", "custom": {"name": "sql"}}


@pytest.mark.parametrize(
    ("choice", "allowed", "expected"),
    [
        ("auto", ("weather_key",), ("auto", [FUNCTION])),
        ("required", ("weather_key",), ("required", [FUNCTION])),
        ({"specific": "time"}, ("weather_key",), ("auto", [FUNCTION])),
        ("auto", ("sql", "weather_key"), ("auto", [FUNCTION, CUSTOM])),
        ("auto", (), ("auto", [])),
    ],
)
def test_explicitly_allowed_tools(choice: Any, allowed: Any, expected: Any) -> None:
    """All tools are sent, and by name which of them are allowed."""
    config = tools(
        WEATHER,
        TIME,
        custom_tools=(SQL,),
        tool_choice=choice,
        allowed_tools=AllowedTools(allowed, "explicit"),
    )
    mode, listed = expected
    body = orjson.loads("{" + sent(config) + "}")
    assert len(body["tools"]) == 3
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": mode, "tools": listed},
    }


def test_allowed_tools_do_not_override_none_and_the_default_list_is_not_sent() -> None:
    explicit = AllowedTools(("weather_key",), "explicit")
    assert choice_of(tools(WEATHER, tool_choice="none", allowed_tools=explicit)) == "none"
    default = AllowedTools(("weather_key",), "function_default")
    assert choice_of(tools(WEATHER, allowed_tools=default)) == "auto"


@pytest.mark.parametrize(
    ("model", "value", "expected"),
    [
        ("gpt-x", True, ',"parallel_tool_calls":true'),
        ("gpt-x", False, ',"parallel_tool_calls":false'),
        ("gpt-x", None, ""),
        ("O1-preview", False, ""),
        ("o1", False, ""),
        ("o1", True, ',"parallel_tool_calls":true'),
        ("gpt-o1", False, ',"parallel_tool_calls":false'),
    ],
)
def test_parallel_tool_calls(model: str, value: Any, expected: str) -> None:
    config = tools(TIME, parallel_tool_calls=value)
    assert sent(config, model) == f'"tools":[{WIRE_TIME}],"tool_choice":"auto"{expected}'


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "scope", [{}, {"model_name": "m"}, {"model_name": "m", "provider_name": "p"}]
)
def test_provider_tools_are_refused_before_anything_is_sent(scope: Any, stream: bool) -> None:
    config = tools(WEATHER, provider_tools=(ProviderTool({"type": "web_search"}, **scope),))
    outcome = call(request(tool_config=config, stream=stream))
    assert isinstance(outcome.failed(), ConfigError)
    assert "Provider `openai` does not support `provider_tools`, but 1 provider" in str(
        outcome.failed()
    )
    assert outcome.seen == []


@pytest.mark.parametrize(
    "scope", [{"model_name": "other"}, {"model_name": "m", "provider_name": "other"}]
)
def test_provider_tools_for_somebody_else_are_left_out(scope: Any) -> None:
    config = tools(TIME, provider_tools=(ProviderTool({"type": "web_search"}, **scope),))
    assert sent(config) == f'"tools":[{WIRE_TIME}],"tool_choice":"auto"'
