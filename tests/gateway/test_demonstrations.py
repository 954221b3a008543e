"""Demonstrations: the contract's feedback page, 1.5 and its checklist (14 to 18)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.api import Api
from gateway.feedback_calls import given, inference, refused, row
from gateway.provider import message
from tensorzero.config.function import FunctionConfig
from tensorzero.gateway.demonstration import json_demonstration, recorded_tools
from tensorzero.types.errors import InvalidRequest, ToolNotFound
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import FunctionTool

STRING_OR_BLOCKS = "Demonstration must be a string or an array of content blocks"
BAD_BLOCK = "Invalid demonstration content block: "
BAD_NAME = "Demonstration contains invalid tool name"
BAD_ARGUMENTS = "Demonstration contains invalid tool call arguments"
UNFIT = "Demonstration does not fit function output schema: "
ARGUMENTS = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
EXTRA = {"name": "extra", "description": "Extra", "parameters": ARGUMENTS}
FREE = {"type": "openai_custom", "name": "free"}
LYON = {"type": "tool_call", "id": "1", "name": "weather", "arguments": {"city": "Lyon"}}


def demonstrated(api: Api, target: str, value: Any) -> Any:
    """The stored value of a demonstration that is taken."""
    id_ = given(api, metric_name="demonstration", value=value, inference_id=target)
    found = row(api, "DemonstrationFeedback", id_)
    assert found["inference_id"] == target
    return json.loads(found["value"])


def not_taken(api: Api, target: str, value: Any, text: str) -> None:
    refused(api, 400, text, metric_name="demonstration", value=value, inference_id=target)


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": "1", "name": name, "arguments": arguments}


def stored(name: str, raw: str, arguments: Any) -> dict[str, Any]:
    return {
        "type": "tool_call",
        "id": "1",
        "raw_name": name,
        "raw_arguments": raw,
        "name": name,
        "arguments": arguments,
    }


@pytest.fixture(scope="module")
def tools(api: Api) -> dict[str, str]:
    """Inferences by what they offered: the target of each."""
    return {
        "own": inference(api, function_name="tools", variant_name="v")["inference_id"],
        "more": inference(
            *(api,),
            function_name="tools",
            variant_name="v",
            additional_tools=[EXTRA, FREE],
            tool_choice="auto",
            provider_tools=[{"scope": {"model_name": "other"}, "tool": {"type": "own"}}],
        )["inference_id"],
        "chosen": inference(
            *(api,),
            function_name="two",
            allowed_tools=["clock"],
            tool_choice={"specific": "time_of_day"},
        )["inference_id"],
        "none": inference(api)["inference_id"],
        "default": inference(api, function_name=None, variant_name=None, model_name="dummy::text")[
            "inference_id"
        ],
    }


@pytest.mark.parametrize("visible", [False, True])
def test_text(api: Api, tools: dict[str, str], visible: bool) -> None:
    """On an inference that is still in the spool, and on one in the database."""
    target = tools["default"] if visible else inference(api)["inference_id"]
    if visible:
        api.row(target)
    assert demonstrated(api, target, "It is sunny.") == [{"type": "text", "text": "It is sunny."}]
    assert demonstrated(api, target, []) == []
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": ""}]
    assert demonstrated(api, target, blocks) == blocks


def test_tool_calls(api: Api, tools: dict[str, str]) -> None:
    wanted = stored("weather", '{"city":"Lyon"}', {"city": "Lyon"})
    assert demonstrated(api, tools["own"], [LYON]) == [wanted]
    # An answer's own block can be sent back.
    again = demonstrated(api, tools["own"], [wanted | {"more": 1}, {"type": "text", "text": "x"}])
    assert again == [wanted, {"type": "text", "text": "x"}]


def test_the_tools_of_the_recorded_inference_count(api: Api, tools: dict[str, str]) -> None:
    assert demonstrated(api, tools["more"], [call("extra", {"x": 5}), LYON]) == [
        stored("extra", '{"x":5}', {"x": 5}),
        stored("weather", '{"city":"Lyon"}', {"city": "Lyon"}),
    ]
    assert demonstrated(api, tools["chosen"], [call("time_of_day", {})])
    for target, block in (
        ("own", call("extra", {"x": 5})),
        ("chosen", call("clock", {})),
        ("chosen", call("weather", {"city": "Lyon"})),
        ("none", LYON),
        ("default", LYON),
    ):
        not_taken(api, tools[target], [block], BAD_NAME)
    for target, block in (
        ("own", call("weather", {"city": 5})),
        ("own", call("weather", '{"city":"Lyon"}')),
        ("own", call("weather", None)),
        ("more", call("extra", {"x": "5"})),
        ("more", call("free", "anything")),
    ):
        not_taken(api, tools[target], [block], BAD_ARGUMENTS)


@pytest.mark.parametrize("value", [{"type": "text", "text": "x"}, 1, None, True])
def test_neither_text_nor_blocks(api: Api, tools: dict[str, str], value: Any) -> None:
    not_taken(api, tools["own"], value, STRING_OR_BLOCKS)


@pytest.mark.parametrize(
    "block",
    [
        "text",
        {},
        {"type": 1},
        {"type": "text"},
        {"type": "text", "text": 1},
        {"type": "text", "text": "x", "more": 1},
        {"type": "thought", "text": "x"},
        {"type": "unknown", "data": 1},
        {key: value for key, value in LYON.items() if key != "id"},
        {key: value for key, value in LYON.items() if key != "name"},
        {key: value for key, value in LYON.items() if key != "arguments"},
        LYON | {"id": None},
    ],
)
def test_blocks_that_are_none(api: Api, tools: dict[str, str], block: Any) -> None:
    not_taken(api, tools["own"], [{"type": "text", "text": "fine"}, block], BAD_BLOCK)


def test_json_functions(api: Api) -> None:
    api.provider.scripts["scripted"] = message('{"name":"Ann"}')
    ask = {"function_name": "extract", "variant_name": "v"}
    target = inference(api, **ask)["inference_id"]
    value = {"z": [1.0, {"b": "é", "a": None}], "name": "Bob"}
    for known in (False, True):
        if known:
            api.json_row(target)
        found = demonstrated(api, target, value)
        assert found == {"raw": '{"z":[1.0,{"b":"é","a":null}],"name":"Bob"}', "parsed": value}
        not_taken(api, target, {"name": 5}, UNFIT)
        not_taken(api, target, '{"name":"Bob"}', UNFIT)
    # What the request asked for counts.
    own = inference(api, **ask, output_schema={"type": "integer"})["inference_id"]
    assert demonstrated(api, own, 7) == {"raw": "7", "parsed": 7}
    not_taken(api, own, {"name": "Bob"}, UNFIT)


def test_a_tool_that_is_gone_since() -> None:
    function = FunctionConfig("f", "chat", {})
    row = {"allowed_tools": '{"tools":["gone"],"choice":"explicit"}', "tool_choice": "auto"}
    with pytest.raises(ToolNotFound, match="Tool not found: gone"):
        recorded_tools(row, function, {})
    weather = FunctionTool("weather", "weather", "Weather", JSONSchema(ARGUMENTS))
    bare = {"allowed_tools": None, "tool_choice": None, "dynamic_tools": []}
    offered = recorded_tools(bare, FunctionConfig("f", "chat", {}, tools=(weather,)), {})
    assert offered is not None
    assert offered.find("weather") is weather


def test_old_judges_are_answered_with_a_score_alone() -> None:
    schema = json.dumps(
        {
            "type": "object",
            "properties": {"thinking": {"type": "string"}, "score": {"type": "number"}},
            "required": ["thinking", "score"],
            "additionalProperties": False,
        }
    )
    judge = "tensorzero::llm_judge::quality::fluent"
    assert json_demonstration({"score": 0.5}, judge, schema)
    with pytest.raises(InvalidRequest, match=UNFIT):
        json_demonstration({"score": "0.5"}, judge, schema)
    with pytest.raises(InvalidRequest, match=UNFIT):
        json_demonstration({"score": 0.5}, "another", schema)
