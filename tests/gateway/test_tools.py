"""Tools of chat functions, json functions and their modes (checklist 27 to 33)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.api import Api
from gateway.provider import CUT, delta, ending, message, tool_call

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
EXTRA = {"name": "extra", "description": "Extra", "parameters": SCHEMA, "strict": True}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
    "strict": False,
}


def calls(api: Api, *made: dict[str, Any]) -> None:
    api.provider.scripts["scripted"] = message(None, "tool_calls", tool_calls=list(made))


def offered(api: Api) -> list[str]:
    return [
        tool["function"]["name"] if tool["type"] == "function" else tool["custom"]["name"]
        for tool in api.provider.last.get("tools", [])
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "checked_name", "checked"),
    [
        ("weather", '{"city": "Lyon"}', "weather", {"city": "Lyon"}),
        ("weather", '{"city": 5}', "weather", None),
        ("weather", "not json", "weather", None),
        ("weather", "", "weather", None),
        ("weather", '{"city":' + "[" * 400 + "]" * 400 + "}", "weather", None),
        ("unknown_tool", '{"city":"Lyon"}', None, None),
    ],
)
def test_tool_calls_are_checked(
    api: Api, name: str, arguments: str, checked_name: str | None, checked: Any
) -> None:
    """Checklist 27: an invalid call is no error."""
    calls(api, tool_call(name, arguments))
    answer = api.ok(function_name="tools")
    block = {
        "type": "tool_call",
        "id": "call_1",
        "raw_name": name,
        "raw_arguments": arguments,
        "name": checked_name,
        "arguments": checked,
    }
    assert answer["content"] == [block]
    assert list(answer["content"][0]) == list(block)
    assert answer["finish_reason"] == "tool_call"
    assert api.row(answer["inference_id"])["output"] == [block]
    assert api.model_row(answer["inference_id"])["output"] == [
        {"type": "tool_call", "id": "call_1", "name": name, "arguments": arguments}
    ]


def test_the_function_s_tools_are_offered_and_recorded(api: Api) -> None:
    """Sections 10 and 15."""
    answer = api.ok(function_name="tools")
    sent = api.provider.last
    assert sent["tools"] == [WEATHER]
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", True)
    row = api.row(answer["inference_id"])
    assert json.loads(row["allowed_tools"]) == {"tools": ["weather"], "choice": "function_default"}
    assert (row["tool_choice"], row["parallel_tool_calls"]) == ("required", True)
    assert (row["dynamic_tools"], row["dynamic_provider_tools"]) == ([], [])
    legacy = json.loads(row["tool_params"])
    assert [tool["name"] for tool in legacy["tools_available"]] == ["weather"]
    assert (legacy["tool_choice"], legacy["parallel_tool_calls"]) == ("required", True)


def test_without_tools_there_is_no_tool_config(api: Api) -> None:
    """Section 10.8: `tool_choice` is dropped silently."""
    answer = api.ok(function_name="chat", tool_choice={"specific": "nope"})
    assert "tools" not in api.provider.last
    assert "tool_choice" not in api.provider.last
    row = api.row(answer["inference_id"])
    assert row["tool_params"] == ""
    assert (row["allowed_tools"], row["tool_choice"], row["parallel_tool_calls"]) == (
        None,
        None,
        None,
    )


def test_tools_of_the_request(api: Api) -> None:
    """Section 5 and 10: after the function's, recorded apart."""
    calls(api, tool_call("extra", '{"x":1}'), tool_call("weather", '{"city":"B"}', "call_2"))
    answer = api.ok(
        function_name="tools",
        additional_tools=[{"type": "client_side_function", **EXTRA}],
        tool_choice={"specific": "extra"},
        parallel_tool_calls=False,
    )
    assert offered(api) == ["weather", "extra"]
    sent = api.provider.last
    assert sent["tools"][1]["strict"] is True
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "extra"}}
    assert sent["parallel_tool_calls"] is False
    assert [block["arguments"] for block in answer["content"]] == [{"x": 1}, {"city": "B"}]
    row = api.row(answer["inference_id"])
    assert [json.loads(tool) for tool in row["dynamic_tools"]] == [
        {
            "type": "function",
            "description": "Extra",
            "parameters": SCHEMA,
            "name": "extra",
            "strict": True,
        }
    ]
    assert json.loads(row["allowed_tools"]) == {
        "tools": ["weather", "extra"],
        "choice": "function_default",
    }
    assert json.loads(row["tool_choice"]) == {"specific": "extra"}


def test_a_tool_whose_parameters_are_no_schema(api: Api) -> None:
    """Section 10: sent as it is, no arguments fit it."""
    calls(api, tool_call("odd", "{}"))
    tool = {"name": "odd", "description": "", "parameters": {"type": "nonsense"}}
    answer = api.ok(function_name="chat", additional_tools=[tool])
    assert api.provider.last["tools"][0]["function"]["parameters"] == {"type": "nonsense"}
    assert (answer["content"][0]["name"], answer["content"][0]["arguments"]) == ("odd", None)


def test_a_schema_that_points_outside_itself_is_never_followed(api: Api) -> None:
    """Section 9.2."""
    calls(api, tool_call("odd", "{}"))
    remote = {"$ref": f"{api.provider.origin}/schema.json"}
    local = {"$ref": "file:///etc/hostname"}
    for parameters in (remote, local):
        tool = {"name": "odd", "description": "", "parameters": parameters}
        answer = api.ok(function_name="chat", additional_tools=[tool])
        assert answer["content"][0]["arguments"] is None
    assert api.provider.fetched == []


def test_custom_tools(api: Api) -> None:
    """Section 5: text in, never parsed."""
    call = {"id": "c", "type": "custom", "custom": {"name": "shell", "input": '{"x":1}'}}
    calls(api, call)
    form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /x/"}}
    custom = {"type": "openai_custom", "name": "shell", "format": form}
    answer = api.ok(function_name="tools", additional_tools=[custom])
    assert offered(api) == ["weather", "shell"]
    assert (answer["content"][0]["name"], answer["content"][0]["arguments"]) == ("shell", None)
    assert answer["content"][0]["raw_arguments"] == '{"x":1}'
    row = api.row(answer["inference_id"])
    assert [json.loads(tool) for tool in row["dynamic_tools"]] == [custom]
    api.refused(
        502, "custom", model_name="dummy::text", additional_tools=[custom], function_name=None
    )


def test_allowed_tools_are_keys(api: Api) -> None:
    """Checklist 28: a display name is no key; a key pulls a configured tool in."""
    body = api.refused(400, function_name="tools", allowed_tools=["time_of_day"])
    assert body == {"error": "Tool not found: time_of_day"}
    answer = api.ok(function_name="tools", allowed_tools=["clock"], tool_choice="auto")
    assert offered(api) == ["weather", "time_of_day"]
    assert api.provider.last["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "auto",
            "tools": [{"type": "function", "function": {"name": "time_of_day"}}],
        },
    }
    row = api.row(answer["inference_id"])
    assert json.loads(row["allowed_tools"]) == {"tools": ["clock"], "choice": "explicit"}


def test_allowed_tools_with_tools_of_the_request_and_none_at_all(api: Api) -> None:
    """Section 10."""
    api.ok(function_name="tools", allowed_tools=["extra"], additional_tools=[EXTRA])
    assert offered(api) == ["weather", "extra"]
    api.ok(function_name="tools", allowed_tools=[], tool_choice="auto")
    assert api.provider.last["tool_choice"]["allowed_tools"]["tools"] == []
    api.ok(function_name="chat", allowed_tools=["weather"])
    assert offered(api) == ["weather"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"additional_tools": [{**EXTRA, "name": "weather"}]}, "Duplicate tool name: weather"),
        ({"additional_tools": [EXTRA, EXTRA]}, "Duplicate tool name: extra"),
        (
            {"additional_tools": [EXTRA, {"type": "openai_custom", "name": "extra"}]},
            "Duplicate tool name: extra",
        ),
        ({"tool_choice": {"specific": "nope"}}, "Tool not found: nope"),
        ({"tool_choice": {"specific": "clock"}}, "Tool not found: clock"),
    ],
)
def test_tools_that_are_refused(api: Api, fields: dict[str, Any], error: str) -> None:
    """Checklist 29."""
    body = api.refused(400, function_name="tools", **fields)
    assert body["error"].startswith(error)
    assert api.provider.requests == []


def test_provider_tools_reach_only_their_scope(api: Api) -> None:
    """Section 5: a provider without such tools fails when one is offered to it."""
    elsewhere = {"tool": {"type": "search"}, "scope": {"model_name": "elsewhere"}}
    answer = api.ok(function_name="chat", provider_tools=[elsewhere])
    row = api.row(answer["inference_id"])
    assert [json.loads(tool) for tool in row["dynamic_provider_tools"]] == [
        {"scope": {"model_name": "elsewhere"}, "tool": {"type": "search"}}
    ]
    for scope in (
        None,
        {"model_name": "scripted"},
        {"model_name": "scripted", "provider_name": "p"},
    ):
        api.refused(
            500,
            "provider",
            function_name="chat",
            variant_name="v",
            provider_tools=[{"tool": {"type": "search"}, "scope": scope}],
        )
    other = {"model_name": "scripted", "model_provider_name": "q"}
    api.ok(function_name="chat", provider_tools=[{"tool": 1, "scope": other}])


@pytest.mark.parametrize(
    "fields",
    [
        {"allowed_tools": []},
        {"additional_tools": []},
        {"tool_choice": "auto"},
        {"parallel_tool_calls": True},
    ],
    ids=str,
)
def test_json_functions_take_no_tools(api: Api, fields: dict[str, Any]) -> None:
    """Checklist 30."""
    api.refused(400, next(iter(fields)), function_name="extract", **fields)
    assert api.ok(function_name="extract", variant_name="v", provider_tools=[{"tool": 1}])


@pytest.mark.parametrize(
    ("content", "raw", "parsed"),
    [
        ('{"name": "Ann"}', '{"name": "Ann"}', {"name": "Ann"}),
        ('{"name": 5}', '{"name": 5}', None),
        ("not json", "not json", None),
        ('```json\n{"name":"Ann"}\n```', '```json\n{"name":"Ann"}\n```', None),
        ('{"name":"a","b":' + "[" * 300 + "]" * 300 + "}", None, None),
        ("", "", None),
        (None, None, None),
    ],
)
def test_answers_of_json_functions(api: Api, content: str | None, raw: Any, parsed: Any) -> None:
    """Checklist 31: no repair, both keys always there."""
    api.provider.scripts["scripted"] = message(content)
    answer = api.ok(function_name="extract", variant_name="v")
    wanted = {"raw": content if raw is None else raw, "parsed": parsed}
    assert answer["output"] == wanted
    assert list(answer["output"]) == ["raw", "parsed"]
    assert "content" not in answer
    row = api.json_row(answer["inference_id"])
    assert row["output"] == wanted
    assert row["auxiliary_content"] == []


@pytest.mark.parametrize(
    ("mode", "sent"),
    [
        (None, {"type": "json_schema"}),
        ("on", {"type": "json_object"}),
        ("off", None),
    ],
)
def test_json_modes_as_the_provider_sees_them(api: Api, mode: str | None, sent: Any) -> None:
    """Section 11.1."""
    params = {} if mode is None else {"chat_completion": {"json_mode": mode}}
    api.ok(function_name="extract", variant_name="v", params=params)
    found = api.provider.last.get("response_format")
    if mode is None:
        assert found["type"] == "json_schema"
        assert found["json_schema"]["strict"] is True
        assert found["json_schema"]["schema"]["required"] == ["name"]
    else:
        assert found == sent


@pytest.mark.parametrize("where", ["variant", "request"])
def test_json_mode_tool_of_a_json_function(api: Api, where: str) -> None:
    """Section 11.1, variants page 12.7: one forced tool with the schema."""
    calls(api, tool_call("respond", '{"name":"Ann"}'))
    if where == "variant":
        answer = api.ok(function_name="extract", variant_name="tool")
    else:
        params = {"chat_completion": {"json_mode": "tool"}}
        answer = api.ok(function_name="extract", variant_name="v", params=params)
    sent = api.provider.last
    (tool,) = sent["tools"]
    assert tool["function"]["name"] == "respond"
    assert tool["function"]["parameters"]["required"] == ["name"]
    assert tool["strict"] is False
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "respond"}}
    assert "response_format" not in sent
    assert "parallel_tool_calls" not in sent
    assert answer["output"] == {"raw": '{"name":"Ann"}', "parsed": {"name": "Ann"}}
    assert api.json_row(answer["inference_id"])["output"] == answer["output"]


def test_the_request_s_schema_replaces_the_function_s(api: Api) -> None:
    """Checklist 32: sent, checked and recorded."""
    api.provider.scripts["scripted"] = message('{"x":1}')
    answer = api.ok(function_name="extract", variant_name="v", output_schema=SCHEMA)
    assert api.provider.last["response_format"]["json_schema"]["schema"] == SCHEMA
    assert answer["output"]["parsed"] == {"x": 1}
    assert json.loads(api.json_row(answer["inference_id"])["output_schema"]) == SCHEMA
    own = api.ok(function_name="extract", variant_name="v")
    assert own["output"]["parsed"] is None
    assert json.loads(api.json_row(own["inference_id"])["output_schema"])["required"] == ["name"]


def test_a_request_schema_that_does_not_compile(api: Api) -> None:
    """Section 11.2: sent and recorded, nothing fits it."""
    api.provider.scripts["scripted"] = message('{"x":1}')
    broken = {"type": "nonsense"}
    answer = api.ok(function_name="extract", variant_name="v", output_schema=broken)
    assert api.provider.last["response_format"]["json_schema"]["schema"] == broken
    assert answer["output"] == {"raw": '{"x":1}', "parsed": None}
    assert json.loads(api.json_row(answer["inference_id"])["output_schema"]) == broken


def test_schema_drafts_and_formats(api: Api) -> None:
    """Section 9.2: by `$schema`; `format` asserts up to draft 7."""
    api.provider.scripts["scripted"] = message('{"when":"not a date"}')
    properties = {"when": {"type": "string", "format": "date"}}
    for draft, fits in (
        ("http://json-schema.org/draft-07/schema#", False),
        ("http://json-schema.org/draft-04/schema#", False),
        ("https://json-schema.org/draft/2020-12/schema", True),
        (None, True),
    ):
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if draft is not None:
            schema["$schema"] = draft
        answer = api.ok(function_name="extract", variant_name="v", output_schema=schema)
        assert (answer["output"]["parsed"] is not None) is fits, draft


def test_the_other_blocks_of_a_json_answer(api: Api) -> None:
    """Section 11.2: recorded as auxiliary content, not returned."""
    answer = api.ok(function_name="extract", variant_name="thinking")
    row = api.json_row(answer["inference_id"])
    assert [block["type"] for block in row["auxiliary_content"]] == ["thought"]
    api.provider.scripts["scripted"] = message(
        "text first", tool_calls=[tool_call("t", '{"name":"B"}')]
    )
    answer = api.ok(function_name="extract", variant_name="v")
    assert answer["output"] == {"raw": '{"name":"B"}', "parsed": {"name": "B"}}
    row = api.json_row(answer["inference_id"])
    assert row["auxiliary_content"] == [{"type": "text", "text": "text first"}]


def test_chat_with_json_mode_tool(api: Api) -> None:
    """Checklist 33: the forced call comes back as text."""
    params = {"chat_completion": {"json_mode": "tool"}}
    calls(api, tool_call("respond", '{"x":"not checked"}'))
    answer = api.ok(function_name="chat", params=params, output_schema=SCHEMA)
    assert api.provider.last["tools"][0]["function"]["parameters"] == SCHEMA
    assert answer["content"] == [{"type": "text", "text": '{"x":"not checked"}'}]
    assert api.row(answer["inference_id"])["output"] == answer["content"]
    assert api.model_row(answer["inference_id"])["output"][0]["type"] == "tool_call"


def test_chat_with_json_mode_tool_streamed(api: Api) -> None:
    """Section 11.3: tool-call deltas become text deltas with the same ids."""
    first = {"index": 0, **tool_call("respond", "")}
    api.provider.scripts["scripted"] = [
        delta(tool_calls=[first]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x"'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]),
        *ending("tool_calls"),
    ]
    params = {"chat_completion": {"json_mode": "tool"}}
    frames = api.stream(function_name="chat", params=params, output_schema=SCHEMA)
    blocks = [block for frame in frames for block in frame["content"]]
    assert {(block["type"], block["id"]) for block in blocks} == {("text", "call_1")}
    assert "".join(block["text"] for block in blocks) == '{"x":1}'
    row = api.row(frames[0]["inference_id"])
    assert row["output"] == [{"type": "text", "text": '{"x":1}'}]


@pytest.mark.parametrize(
    ("function", "fields"),
    [
        ("chat", {"output_schema": None}),
        ("tools", {}),
        ("chat", {"allowed_tools": ["weather"]}),
        ("chat", {"additional_tools": [EXTRA]}),
        ("chat", {"tool_choice": "auto"}),
        ("chat", {"parallel_tool_calls": False}),
        ("chat", {"provider_tools": [{"tool": {}}]}),
    ],
    ids=str,
)
def test_preconditions_of_chat_with_json_mode_tool(
    api: Api, function: str, fields: dict[str, Any]
) -> None:
    """Checklist 33, section 11.3."""
    given = {
        "params": {"chat_completion": {"json_mode": "tool"}},
        "output_schema": SCHEMA,
        **fields,
    }
    api.refused(400, "json_mode", function_name=function, **given)
    assert api.provider.requests == []


def test_a_chat_answer_is_never_held_against_a_schema(api: Api) -> None:
    """Section 11.3: other modes only pass it on, even one that does not compile."""
    params = {"chat_completion": {"json_mode": "strict"}}
    for schema in (SCHEMA, {"type": "nonsense"}):
        answer = api.ok(function_name="chat", params=params, output_schema=schema)
        assert answer["content"] == [{"type": "text", "text": "Hello!"}]
        assert api.provider.last["response_format"]["json_schema"]["schema"] == schema


def test_the_provider_breaks_off_in_a_tool_call(api: Api) -> None:
    """What had arrived is recorded, unchecked arguments are null."""
    first = {"index": 0, **tool_call("weather", '{"ci')}
    api.provider.scripts["scripted"] = [delta(tool_calls=[first]), CUT]
    frames = api.stream(function_name="tools")
    assert "error" in frames[1]
    row = api.row(frames[0]["inference_id"])
    assert row["output"][0]["raw_arguments"] == '{"ci'
    assert row["output"][0]["name"] == "weather"
    assert row["output"][0]["arguments"] is None
