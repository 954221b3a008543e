"""Columns of rows, old spellings included, and what is shown of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tensorzero.gateway.stored.input import read_input, request_form
from tensorzero.gateway.stored.output import read_chat_output, read_json_output
from tensorzero.gateway.stored.tools import read_tools
from tensorzero.types.errors import ClickHouseDeserialization

POINTER = {"kind": {"type": "filesystem", "path": "/files"}, "path": "observability/a.png"}
FILE = {"type": "file", "source_url": None, "mime_type": "image/png", "storage_path": POINTER}

TODAY = [
    {"type": "text", "text": 'say "hi"'},
    {"type": "template", "name": "user", "arguments": {"b": 1, "a": [1.5, None]}},
    {"type": "tool_call", "id": "c", "name": "t", "arguments": '{"x": 1}'},
    {"type": "tool_result", "name": "t", "result": "r", "id": "c"},
    {"type": "raw_text", "value": "{{ raw }}"},
    {"type": "thought", "text": None, "signature": "s"},
    {
        "type": "thought",
        "text": "t",
        "summary": [{"type": "summary_text", "text": "sum"}],
        "provider_type": "anthropic",
        "extra_data": {"k": 1},
    },
    {**FILE, "source_url": "https://example.com/a.png", "detail": "low", "filename": "a.png"},
    FILE,
    {"type": "unknown", "data": {"z": 1}, "model_name": "m", "provider_name": "p"},
    {"type": "unknown", "data": None},
]


def stored(*blocks: Any, role: str = "user", **rest: Any) -> str:
    return orjson.dumps({**rest, "messages": [{"role": role, "content": list(blocks)}]}).decode()


def test_todays_input_is_shown_as_it_is_stored() -> None:
    for rest in ({"system": {"tone": "dry"}}, {"system": "text"}, {}):
        text = stored(*TODAY, **rest)
        assert orjson.dumps(read_input(text).to_json()).decode() == text


def test_the_request_form_tags_file_pointers() -> None:
    form = request_form(read_input(stored(*TODAY)))
    blocks = form["messages"][0]["content"]
    assert list(blocks[8])[:2] == ["type", "file_type"]
    assert blocks[8]["file_type"] == "object_storage_pointer"
    assert [block for block in blocks if block["type"] != "file"] == [
        block for block in TODAY if block["type"] != "file"
    ]


@pytest.mark.parametrize(
    ("old", "now"),
    [
        ({"type": "text", "value": "v"}, {"type": "text", "text": "v"}),
        (
            {"type": "text", "value": {"topic": "rain"}},
            {"type": "template", "name": "assistant", "arguments": {"topic": "rain"}},
        ),
        (
            {
                "type": "image",
                "image": {"url": "https://example.com/a.png", "mime_type": "image/png"},
                "storage_path": POINTER,
            },
            {**FILE, "source_url": "https://example.com/a.png"},
        ),
        (
            {
                "type": "file",
                "file": {"source_url": None, "mime_type": "image/png"},
                "storage_path": POINTER,
            },
            FILE,
        ),
        (
            {"type": "file", "url": "https://x.org/a", "mime_type": "a/b", "storage_path": POINTER},
            {
                "type": "file",
                "source_url": "https://x.org/a",
                "mime_type": "a/b",
                "storage_path": POINTER,
            },
        ),
        (
            {"type": "thought", "text": "t", "_internal_provider_type": "openai"},
            {"type": "thought", "text": "t", "provider_type": "openai"},
        ),
        (
            {
                "type": "unknown",
                "data": 1,
                "model_provider_name": "tensorzero::model_name::m::provider_name::p",
            },
            {"type": "unknown", "data": 1, "model_name": "m", "provider_name": "p"},
        ),
        (
            {"type": "tool_call", "id": "c", "name": "t", "arguments": {"x": 1}},
            {"type": "tool_call", "id": "c", "name": "t", "arguments": '{"x":1}'},
        ),
    ],
)
def test_old_blocks_are_shown_in_todays_form(old: Any, now: Any) -> None:
    read = read_input(stored(old, role="assistant"))
    assert read.to_json() == {"messages": [{"role": "assistant", "content": [now]}]}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        stored({"type": "text", "value": 7}),
        stored({"type": "text", "value": ["a"]}),
        stored({"type": "nothing"}),
        stored({"text": "no type"}),
        stored({"type": "text", "text": "x"}, role="system"),
        stored({"type": "file", "mime_type": "a/b", "storage_path": {"kind": {"type": "ftp"}}}),
    ],
)
def test_input_that_nothing_wrote_is_no_input(text: str) -> None:
    with pytest.raises(ClickHouseDeserialization, match="input"):
        read_input(text)


def test_chat_output() -> None:
    blocks = [
        {"type": "text", "text": "t"},
        {
            "type": "tool_call",
            "id": "c",
            "raw_name": "t",
            "raw_arguments": "{",
            "name": None,
            "arguments": None,
        },
        {"type": "thought", "text": "t"},
        {"type": "unknown", "data": 1},
    ]
    text = orjson.dumps(blocks).decode()
    assert [block.to_json() for block in read_chat_output(text)] == blocks
    short = '[{"type":"tool_call","id":"c","raw_name":"t","raw_arguments":"{"}]'
    assert read_chat_output(short)[0].to_json() == blocks[1]
    assert read_chat_output("") == []
    for wrong in ("no json", "{}", '[{"type":"file"}]', '[{"type":"tool_call","id":"c"}]'):
        with pytest.raises(ClickHouseDeserialization, match="output"):
            read_chat_output(wrong)


def test_json_output() -> None:
    assert read_json_output('{"raw":"1","parsed":1}').to_json() == {"raw": "1", "parsed": 1}
    assert read_json_output('{"raw":null}').to_json() == {"raw": None, "parsed": None}
    assert read_json_output("").to_json() == {"raw": None, "parsed": None}
    for wrong in ("no json", "[]", '{"raw":1}'):
        with pytest.raises(ClickHouseDeserialization, match="output"):
            read_json_output(wrong)


FUNCTION_TOOL = {
    "type": "function",
    "description": "d",
    "parameters": {"type": "object"},
    "name": "t",
    "strict": True,
}
LEGACY = (
    '{"tools_available":[{"description":"d","parameters":{},"name":"t","strict":false}],'
    '"tool_choice":{"specific":"t"},"parallel_tool_calls":true}'
)


def columns(**given: Any) -> dict[str, Any]:
    return {
        "tool_params": "",
        "dynamic_tools": [],
        "dynamic_provider_tools": [],
        "allowed_tools": None,
        "tool_choice": None,
        "parallel_tool_calls": None,
        **given,
    }


def test_a_row_without_tools_shows_none() -> None:
    assert read_tools(columns()).to_json() == {"provider_tools": []}


def test_tools_come_back_under_their_request_names() -> None:
    custom = {"type": "openai_custom", "name": "c", "description": "d"}
    scoped = {"scope": {"model_name": "m", "provider_name": "p"}, "tool": {"type": "web_search"}}
    tools = read_tools(
        columns(
            tool_params=LEGACY,
            dynamic_tools=[orjson.dumps(tool).decode() for tool in (FUNCTION_TOOL, custom)],
            dynamic_provider_tools=[
                orjson.dumps(scoped).decode(),
                '{"scope":null,"tool":1}',
                '{"scope":{"model_name":"m"},"tool":2}',
            ],
            allowed_tools='{"tools":["t","c"],"choice":"explicit"}',
            tool_choice='{"specific":"t"}',
            parallel_tool_calls=False,
        )
    )
    assert list(tools.to_json().items()) == [
        ("allowed_tools", ["t", "c"]),
        ("additional_tools", [FUNCTION_TOOL, custom]),
        ("tool_choice", {"specific": "t"}),
        ("parallel_tool_calls", False),
        (
            "provider_tools",
            [
                scoped,
                {"scope": None, "tool": 1},
                {"scope": {"model_name": "m"}, "tool": 2},
            ],
        ),
    ]


@pytest.mark.parametrize("word", ["auto", "none", "required", '"auto"'])
def test_the_functions_own_tools_are_not_spelled_out(word: str) -> None:
    allowed = '{"tools":["configured"],"choice":"function_default"}'
    shown = read_tools(columns(allowed_tools=allowed, tool_choice=word)).to_json()
    assert shown == {"tool_choice": word.strip('"'), "provider_tools": []}


def test_old_spellings_of_tools() -> None:
    old = '{"tools":["t"],"choice":"dynamic_allowed_tools"}'
    bare = {key: FUNCTION_TOOL[key] for key in ("description", "parameters", "name")}
    for tool in (bare, {**bare, "type": "client_side_function"}):
        text = orjson.dumps(tool).decode()
        row = columns(dynamic_tools=[text], allowed_tools=old, tool_choice="auto")
        shown = read_tools(row).to_json()
        assert shown["allowed_tools"] == ["t"]
        assert shown["additional_tools"] == [{**FUNCTION_TOOL, "strict": False}]


def test_of_legacy_columns_only_the_choice_is_shown() -> None:
    assert read_tools(columns(tool_params=LEGACY)).to_json() == {
        "tool_choice": {"specific": "t"},
        "parallel_tool_calls": True,
        "provider_tools": [],
    }


def test_half_of_the_columns_is_enough() -> None:
    assert read_tools(columns(tool_choice="none")).to_json()["tool_choice"] == "none"
    half = columns(allowed_tools='{"tools":[],"choice":"explicit"}')
    assert read_tools(half).to_json()["tool_choice"] == "auto"
    assert read_tools(half).to_json()["allowed_tools"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"tool_choice": ""},
        {"allowed_tools": '{"tools":[],"choice":"some"}', "tool_choice": "auto"},
        {"allowed_tools": '{"tools":[],"choice":"explicit"}', "tool_choice": "maybe"},
        {
            "allowed_tools": '{"tools":[],"choice":"explicit"}',
            "tool_choice": "auto",
            "dynamic_tools": ["{}"],
        },
        {
            "allowed_tools": '{"tools":[],"choice":"explicit"}',
            "tool_choice": "auto",
            "dynamic_tools": ["{"],
        },
        {"tool_params": "{}"},
    ],
)
def test_tool_columns_that_nothing_wrote(wrong: dict[str, Any]) -> None:
    with pytest.raises(ClickHouseDeserialization):
        read_tools(columns(**wrong))
