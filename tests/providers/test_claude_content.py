"""Blocks and tools that arrive at hosts of the Messages API."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import assistant, request, user
from providers.claude import (
    ANTHROPIC,
    BOTH,
    NAMES,
    VERTEX,
    VERTEX_OPTIONS,
    ask,
    says,
    sent,
    sent_content,
    text,
    tool,
)
from tensorzero.types.content import Thought, ToolCall, ToolResult, Unknown
from tensorzero.types.files import File, FileData
from tensorzero.types.tools import AllowedTools, CustomTool, ProviderTool, ToolCallConfig
from upstream.scripted import answer

both = pytest.mark.parametrize("type", BOTH)
PNG, PDF = "iVBORw0KGgo=", "JVBERi0xLjQ="
URL = "https://images.example/cat.png"
OTHER = {ANTHROPIC: VERTEX, VERTEX: ANTHROPIC}

# --- blocks ---------------------------------------------------------------------------------------


@both
def test_a_tool_call_and_its_result_stay_in_place(type: str) -> None:
    call = ToolCall("toolu_1", "weather", '{"city": "Lyon", "days": [1, 2.5]}')
    result = ToolResult("toolu_1", "weather", "sunny")
    outcome = ask(type, request(user("Hi"), assistant("Wait", call), user("a", result, "b")))
    assert (
        '{"role":"assistant","content":[{"type":"text","text":"Wait"},{"type":"tool_use",'
        '"id":"toolu_1","name":"weather","input":{"city":"Lyon","days":[1,2.5]}}]},'
        '{"role":"user","content":[{"type":"text","text":"a"},{"type":"tool_result",'
        '"tool_use_id":"toolu_1","content":[{"type":"text","text":"sunny"}]},'
        '{"type":"text","text":"b"}]}'
    ) in outcome.body
    assert outcome.body == outcome.answered().raw_request


ARGUMENTS = [
    ("not json", "Error parsing tool call arguments as JSON Value: "),
    (" ", "Error parsing tool call arguments as JSON Value: "),
    ("[1]", "Tool call arguments must be a JSON object"),
    ('"x"', "Tool call arguments must be a JSON object"),
]


@both
@pytest.mark.parametrize(("arguments", "text"), ARGUMENTS)
def test_arguments_that_are_no_object(type: str, arguments: str, text: str) -> None:
    outcome = ask(type, request(user("Hi"), assistant(ToolCall("1", "f", arguments))))
    error = outcome.failed()
    assert (error.kind, error.status, outcome.seen) == ("InferenceClient", 400, [])
    assert str(error).startswith(f"Error 400 Bad Request from {type} client: {text}")


def test_a_call_without_arguments() -> None:
    (content,) = sent_content(ANTHROPIC, assistant(ToolCall("1", "f", "")))
    assert content == [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]


@both
def test_messages_of_one_role_stay_apart(type: str) -> None:
    content = sent_content(type, user("a"), user("b", "c"), assistant("d"), assistant("e"))
    assert content == [[text("a")], [text("b"), text("c")], [text("d")], [text("e")]]


@both
def test_thoughts_go_back_with_their_signatures(type: str) -> None:
    content = sent_content(
        type,
        assistant(
            Thought("Hm", "sig==", provider_type=type),
            Thought("Unsigned"),
            Thought(None, "hidden==", provider_type=type),
            Thought("", "sig2=="),
            Thought(None, None, summary=[{"type": "summary_text", "text": "s"}]),
            Thought("Theirs", "sig3==", provider_type=OTHER[type]),
            "So:",
        ),
        user(Thought("of a user")),
    )
    assert [orjson.dumps(one) for one in content[0]] == [
        b'{"type":"thinking","thinking":"Hm","signature":"sig=="}',
        b'{"type":"thinking","thinking":"Unsigned","signature":null}',
        b'{"type":"redacted_thinking","data":"hidden=="}',
        b'{"type":"thinking","thinking":"","signature":"sig2=="}',
        b'{"type":"text","text":"So:"}',
    ]
    assert content[1] == [{"type": "thinking", "thinking": "of a user", "signature": None}]


@both
def test_thoughts_of_another_type_leave_an_empty_message(type: str) -> None:
    mine = Thought("Hm", "sig==", provider_type=OTHER[type])
    assert sent_content(type, user("a"), assistant(mine)) == [[text("a")], []]


@both
def test_unknown_blocks_are_sent_as_they_are(type: str) -> None:
    searched = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    content = sent_content(
        type,
        user(Unknown(searched), Unknown({"type": "x"}, "m", "p"), Unknown({"type": "y"}, "m", "q")),
    )
    assert content == [[searched, {"type": "x"}]]


# --- files ----------------------------------------------------------------------------------------


@both
def test_a_url_is_passed_on(type: str) -> None:
    image = File(url=URL, mime_type="image/png")
    document = File(url="https://x.example/a.pdf", mime_type="application/pdf")
    given = request(user(image, document, "What?"))
    outcome = ask(type, given, files={})
    assert given.files is not None and given.files.asked == []  # type: ignore[attr-defined] # Files
    assert orjson.loads(outcome.body)["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "url", "url": URL}},
        {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        text("What?"),
    ]
    assert outcome.body == outcome.raw_request


@both
def test_contents_are_sent_and_not_recorded(type: str) -> None:
    files = [
        File(data=PNG, mime_type="image/png", filename="cat.png"),
        File(data=PDF, mime_type="application/pdf", filename="a.pdf"),
        File(data="aGk=", mime_type="text/plain"),
    ]
    outcome = ask(type, request(user(*files)), files={})
    image = (
        '{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}'
    )
    pdf = (
        '{"type":"document","source":{"type":"base64","media_type":"application/pdf",'
        '"data":"JVBERi0xLjQ="}}'
    )
    plain = '{"type":"document","source":{"type":"base64","media_type":"text/plain","data":"aGk="}}'
    assert f'"content":[{image},{pdf},{plain}]' in outcome.body
    recorded = outcome.body
    for index, data in enumerate((PNG, PDF, "aGk=")):
        recorded = recorded.replace(data, f"<TENSORZERO_FILE_{index}>")
    assert outcome.raw_request == recorded


@both
def test_what_looks_like_a_file_of_a_record_is_a_text(type: str) -> None:
    file = File(data=PNG, mime_type="image/png")
    outcome = ask(type, request(user("<TENSORZERO_FILE_0>", file, file)), files={})
    assert outcome.body.count("<TENSORZERO_FILE_0>") == 1 and outcome.body.count(PNG) == 2
    assert outcome.raw_request == outcome.body.replace(PNG, "<TENSORZERO_FILE_0>")


@both
@pytest.mark.parametrize("known", [True, False])
def test_a_url_is_fetched_when_it_must_be(
    type: str, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Because the configuration says so, or because nobody says what it leads to."""
    given = request(user(File(url=URL, mime_type="image/png" if known else None)))
    given.fetch_files = known
    outcome = ask(type, given, files={URL: FileData(PNG, "image/png")})
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = orjson.loads(outcome.body)["messages"][0]["content"]
    assert content == [{"type": "image", "source": source}]
    assert [NAMES[type] in one for one in caplog.messages] == ([] if known else [True])


@both
@pytest.mark.parametrize("fetched", [False, True])
def test_a_detail_is_not_sent(type: str, fetched: bool, caplog: pytest.LogCaptureFixture) -> None:
    files = {"data": PNG} if fetched else {"url": URL}
    file = File(**files, mime_type="image/png", detail="low")
    outcome = ask(type, request(user(file)), files={})
    assert "detail" not in outcome.body
    (warning,) = caplog.messages
    assert NAMES[type] in warning and "detail" in warning


# --- tools ----------------------------------------------------------------------------------------

ADD, SUB = tool("add"), tool("sub", strict=True, key="minus")


def config(*tools: Any, **fields: Any) -> ToolCallConfig:
    return ToolCallConfig(tuple(tools), **fields)


def test_tools_of_anthropic() -> None:
    outcome = ask(ANTHROPIC, request(tool_config=config(ADD, SUB)))
    assert outcome.body.endswith(
        ',"stream":false,"tool_choice":{"type":"auto","disable_parallel_tool_use":false},"tools":['
        '{"name":"add","description":"does add","input_schema":{"type":"object"},"strict":false},'
        '{"name":"sub","description":"does sub","input_schema":{"type":"object"},"strict":true}]}'
    )


def test_tools_of_vertex_are_not_strict() -> None:
    outcome = ask(VERTEX, request(tool_config=config(SUB)))
    assert outcome.body.endswith(
        '"tools":[{"name":"sub","description":"does sub","input_schema":{"type":"object"}}]}'
    )


CHOICES: list[tuple[Any, bool | None, str]] = [
    ("auto", None, '{"type":"auto","disable_parallel_tool_use":false}'),
    ("auto", True, '{"type":"auto","disable_parallel_tool_use":false}'),
    ("auto", False, '{"type":"auto","disable_parallel_tool_use":true}'),
    ("required", False, '{"type":"any","disable_parallel_tool_use":true}'),
    ({"specific": "add"}, None, '{"type":"tool","name":"add","disable_parallel_tool_use":false}'),
]


@both
@pytest.mark.parametrize(("choice", "parallel", "expected"), CHOICES)
def test_choices(type: str, choice: Any, parallel: bool | None, expected: str) -> None:
    given = config(ADD, tool_choice=choice, parallel_tool_calls=parallel)
    outcome = ask(type, request(tool_config=given))
    assert f'"tool_choice":{expected},"tools":[' in outcome.body


SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
BASH = {"type": "bash_20250124", "name": "bash"}
EDIT = {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}


@both
def test_no_choice_withholds_every_tool(type: str) -> None:
    tools = config(
        ADD,
        provider_tools=(ProviderTool(SEARCH),),
        custom_tools=(CustomTool("c"),),
        tool_choice="none",
    )
    body = sent(type, request(tool_config=tools), options=_with(type, BASH))
    assert not {"tools", "tool_choice"} & body.keys()


@both
def test_only_allowed_tools_are_sent(type: str) -> None:
    allowed = AllowedTools(("minus",), "explicit")
    body = sent(type, request(tool_config=config(ADD, SUB, allowed_tools=allowed)))
    assert [one["name"] for one in body["tools"]] == ["sub"]
    nothing = AllowedTools((), "explicit")
    body = sent(type, request(tool_config=config(ADD, allowed_tools=nothing)))
    assert not {"tools", "tool_choice"} & body.keys()
    asked = config(ADD, allowed_tools=nothing, provider_tools=(ProviderTool(BASH),))
    body = sent(type, request(tool_config=asked))
    assert body["tools"] == [BASH] and body["tool_choice"]["type"] == "auto"


def _with(type: str, *tools: Any) -> dict[str, Any]:
    """Options of the type with provider tools."""
    return {**(VERTEX_OPTIONS if type == VERTEX else {}), "provider_tools": list(tools)}


@both
def test_provider_tools_follow_the_functions(type: str) -> None:
    scoped = (
        ProviderTool(SEARCH),
        ProviderTool({"type": "not mine"}, "other"),
        ProviderTool({"type": "not mine"}, "m", "q"),
        ProviderTool(EDIT, "m", "p"),
    )
    given = request(tool_config=config(ADD, provider_tools=scoped))
    body = sent(type, given, options=_with(type, BASH))
    assert [one.get("type", one["name"]) for one in body["tools"]] == [
        "add",
        "bash_20250124",
        "web_search_20250305",
        "text_editor_20250728",
    ]
    assert body["tools"][1:] == [BASH, SEARCH, EDIT]
    assert body["tool_choice"]["type"] == "auto"


@both
def test_provider_tools_alone(type: str) -> None:
    body = sent(type, options=_with(type, BASH))
    assert body["tools"] == [BASH] and "tool_choice" not in body
    given = request(tool_config=config(provider_tools=(ProviderTool(SEARCH),)))
    body = sent(type, given, options=_with(type, BASH))
    assert body["tools"] == [BASH, SEARCH] and body["tool_choice"]["type"] == "auto"


@both
def test_custom_tools_are_refused(type: str) -> None:
    outcome = ask(type, request(tool_config=config(ADD, custom_tools=(CustomTool("c"),))))
    error = outcome.failed()
    assert (error.kind, error.status, outcome.seen) == ("IncompatibleTool", 400, [])
    assert str(error) == "OpenAI custom tools are not supported by this provider"


@both
def test_what_a_vendors_tool_gave_goes_back(type: str) -> None:
    """Two turns: blocks of a search come as unknown ones and are accepted again."""
    blocks = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"a": 1}]},
    ]
    output = ask(type, None, answer(says(*blocks, "Found."))).answered().output
    assert output[:2] == [Unknown(one, "m", "p") for one in blocks]
    content = sent_content(type, user("Hi"), assistant(*output), user("And?"))
    assert content[1] == [*blocks, text("Found.")]
