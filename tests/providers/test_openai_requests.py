"""What the ``openai`` provider sends: the exact bytes for each parameter and message form."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.calls import assistant, call, request, user
from tensorzero.types.content import Message, Text, Thought, ToolCall, ToolResult, Unknown
from tensorzero.types.errors import InvalidMessage
from tensorzero.types.model import ModelRequest
from tensorzero.types.schema import JSONSchema

HI = '"messages":[{"role":"user","content":"hi"}],"model":"gpt-x"'


def sent(given_request: ModelRequest, **options: Any) -> str:
    """The body that arrives; it is also what is recorded, byte for byte.

    A call that could read files is built another way than one that could not: both are the same.
    """
    bodies = set()
    for files in (None, {}):
        outcome = call(given_request, files=files, **options)
        assert outcome.answered().raw_request == outcome.body
        bodies.add(outcome.body)
    (body,) = bodies
    return body


def sent_messages(*messages: Message, **fields: Any) -> Any:
    return orjson.loads(sent(request(*messages, **fields)))["messages"]


def test_the_whole_request() -> None:
    outcome = call(request())
    outcome.answered()
    port = outcome.headers["host"].rpartition(":")[2]
    assert (
        outcome.seen[0].head
        == (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
            "content-type: application/json\r\naccept: */*\r\nuser-agent: Test/1\r\n"
            f"content-length: {len(outcome.body)}\r\n\r\n"
        ).encode()
    )
    assert outcome.body == f'{{{HI},"stream":false}}'


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions/chat/completions"),
        ("/deep?key=1#part", "/v1/deep/chat/completions"),
    ],
)
def test_api_base_is_joined_with_one_slash(base: str, path: str) -> None:
    assert call(request(), base=base).seen[0].line == f"POST {path} HTTP/1.1"


PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({"temperature": 0.5}, '"temperature":0.5,"stream":false'),
    ({"max_tokens": 7}, '"max_completion_tokens":7,"stream":false'),
    ({"seed": 0}, '"seed":0,"stream":false'),
    ({"top_p": 0.25}, '"top_p":0.25,"stream":false'),
    ({"presence_penalty": -1.5}, '"presence_penalty":-1.5,"stream":false'),
    ({"frequency_penalty": 1.5}, '"frequency_penalty":1.5,"stream":false'),
    ({"stop_sequences": ("a", "b")}, '"stream":false,"stop":["a","b"]'),
    ({"stop_sequences": ()}, '"stream":false,"stop":[]'),
    ({"reasoning_effort": "minimal"}, '"stream":false,"reasoning_effort":"minimal"'),
    ({"service_tier": "flex"}, '"stream":false,"service_tier":"flex"'),
    ({"verbosity": "low"}, '"stream":false,"verbosity":"low"'),
    ({"thinking_budget_tokens": 9}, '"stream":false'),
]


@pytest.mark.parametrize(("fields", "expected"), PARAMETERS)
def test_each_parameter(fields: dict[str, Any], expected: str) -> None:
    assert sent(request(**fields)) == f"{{{HI},{expected}}}"


def test_all_parameters_in_the_order_of_the_contract() -> None:
    everything = {key: value for fields, _ in PARAMETERS for key, value in fields.items()}
    body = sent(
        request(
            **everything,
            json_mode="strict",
            output_schema=JSONSchema({"type": "object"}),
        )
    )
    assert body == (
        f'{{{HI},"temperature":0.5,"max_completion_tokens":7,"seed":0,"top_p":0.25,'
        '"presence_penalty":-1.5,"frequency_penalty":1.5,"stream":false,"response_format":'
        '{"type":"json_schema","json_schema":{"name":"response","strict":true,"schema":'
        '{"type":"object"}}},"stop":[],"reasoning_effort":"minimal","service_tier":"flex",'
        '"verbosity":"low"}'
    )


def test_a_parameter_that_openai_lacks_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    sent(request(thinking_budget_tokens=9))
    assert "thinking_budget_tokens" in caplog.text


CALL = ToolCall("call_1", "weather", '{"city":"Lyon"}')
WIRE_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Lyon"}'},
}
MESSAGES: list[tuple[str, list[Message], list[Any]]] = [
    ("one text is a string", [user("a")], [{"role": "user", "content": "a"}]),
    (
        "two texts are a list",
        [user("a", "b")],
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            }
        ],
    ),
    ("an empty text is sent", [user("")], [{"role": "user", "content": ""}]),
    (
        "a message without content is left out",
        [user(), user("a")],
        [{"role": "user", "content": "a"}],
    ),
    (
        "equal roles stay apart",
        [user("a"), user("b"), assistant("c")],
        [
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "c"},
        ],
    ),
    (
        "tool results come before the user's text",
        [user("a", ToolResult("1", "f", "r1"), "b", ToolResult("2", "f", "r2"))],
        [
            {"role": "tool", "content": "r1", "tool_call_id": "1"},
            {"role": "tool", "content": "r2", "tool_call_id": "2"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
        ],
    ),
    (
        "one text beside a tool result is a string",
        [user(ToolResult("1", "f", "r"), "a")],
        [
            {"role": "tool", "content": "r", "tool_call_id": "1"},
            {"role": "user", "content": "a"},
        ],
    ),
    (
        "only a tool result",
        [user(ToolResult("1", "f", "r"))],
        [{"role": "tool", "content": "r", "tool_call_id": "1"}],
    ),
    ("a tool call alone", [assistant(CALL)], [{"role": "assistant", "tool_calls": [WIRE_CALL]}]),
    (
        "text and tool calls",
        [assistant("so", CALL, CALL)],
        [{"role": "assistant", "content": "so", "tool_calls": [WIRE_CALL, WIRE_CALL]}],
    ),
    (
        "thoughts are joined beside the content",
        [assistant(Thought("t1"), "a", Thought("t2"))],
        [{"role": "assistant", "content": "a", "reasoning_content": "t1\n\nt2"}],
    ),
    (
        "thoughts alone are left out",
        [assistant(Thought("t")), user("a")],
        [{"role": "user", "content": "a"}],
    ),
    ("a user's thought is left out", [user(Thought("t"), "a")], [{"role": "user", "content": "a"}]),
    (
        "a thought of openai's own comes back, another's does not",
        [
            assistant(
                "a", Thought("mine", provider_type="openai"), Thought("x", provider_type="groq")
            )
        ],
        [{"role": "assistant", "content": "a", "reasoning_content": "mine"}],
    ),
    (
        "unknown blocks are content verbatim",
        [user("a", Unknown({"type": "x", "n": [1]})), assistant(Unknown({"y": None}))],
        [
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "x", "n": [1]}]},
            {"role": "assistant", "content": [{"y": None}]},
        ],
    ),
    (
        "an unknown block that looks like text stays a block",
        [user(Unknown({"type": "text", "text": "a"}))],
        [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
    ),
    (
        "unknown blocks of other models and providers are left out",
        [
            user(
                "a",
                Unknown({"n": 1}, "m", "p"),
                Unknown({"n": 2}, "m"),
                Unknown({"n": 3}, "other"),
                Unknown({"n": 4}, "m", "other"),
                Unknown({"n": 5}, None, "other"),
            )
        ],
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"n": 1}, {"n": 2}]}],
    ),
    (
        "a trailing assistant message is sent",
        [user("a"), assistant("b")],
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    ),
]


@pytest.mark.parametrize(
    ("messages", "expected"), [row[1:] for row in MESSAGES], ids=[row[0] for row in MESSAGES]
)
def test_messages(messages: list[Message], expected: list[Any]) -> None:
    assert sent_messages(*messages) == expected


def test_an_assistant_message_in_the_order_of_the_contract() -> None:
    body = sent(request(assistant(Thought("t"), CALL, "a")))
    assert body.startswith(
        '{"messages":[{"role":"assistant","content":"a","tool_calls":[{"id":"call_1","type":'
        '"function","function":{"name":"weather","arguments":"{\\"city\\":\\"Lyon\\"}"}}],'
        '"reasoning_content":"t"}],"model":"gpt-x"'
    )


@pytest.mark.parametrize(
    "message", [user(CALL), assistant(ToolResult("1", "f", "r"))], ids=["user", "assistant"]
)
def test_tool_blocks_in_the_wrong_role_are_refused(message: Message) -> None:
    outcome = call(request(message))
    assert isinstance(outcome.failed(), InvalidMessage)
    assert outcome.seen == []


def test_system_comes_first() -> None:
    assert sent_messages(user("a"), system="be brief")[0] == {
        "role": "system",
        "content": "be brief",
    }
    assert sent_messages(user("a"), system="")[0] == {"role": "system", "content": ""}


JSON_INSTRUCTION: list[tuple[str | None, Message, str | None]] = [
    (None, user("a"), "Respond using JSON."),
    (None, user("as JSON please"), "Respond using JSON."),
    ("be brief", user("a"), "Respond using JSON.\n\nbe brief"),
    ("use Json", user("a"), "use Json"),
    ("be brief", user("as jSON"), "be brief"),
    ("be brief", user(ToolResult("1", "f", "some json"), "a"), "be brief"),
    ("be brief", user("a", Unknown({"x": "json"})), "Respond using JSON.\n\nbe brief"),
    ("be brief", assistant("a", Thought("json")), "Respond using JSON.\n\nbe brief"),
]


@pytest.mark.parametrize(("system", "message", "expected"), JSON_INSTRUCTION)
def test_json_instruction(system: str | None, message: Message, expected: str | None) -> None:
    assert sent_messages(message, system=system, json_mode="on")[0] == {
        "role": "system",
        "content": expected,
    }


def test_no_json_instruction_in_other_modes() -> None:
    for mode in ("off", "strict"):
        assert sent_messages(user("a"), json_mode=mode) == [{"role": "user", "content": "a"}]


SCHEMA = JSONSchema({"type": "object", "properties": {"b": {}, "a": {}}})
OBJECT = {"type": "json_object"}
STRICT = {
    "type": "json_schema",
    "json_schema": {"name": "response", "strict": True, "schema": SCHEMA.value},
}


@pytest.mark.parametrize(
    ("mode", "schema", "model", "expected"),
    [
        ("off", SCHEMA, "gpt-x", None),
        ("on", SCHEMA, "gpt-x", OBJECT),
        ("on", None, "gpt-x", OBJECT),
        ("strict", SCHEMA, "gpt-x", STRICT),
        ("strict", None, "gpt-x", OBJECT),
        ("strict", SCHEMA, "gpt-3.5-turbo", OBJECT),
        ("on", SCHEMA, "gpt-3.5-turbo", OBJECT),
        ("off", SCHEMA, "gpt-3.5-turbo", None),
    ],
)
def test_response_format(mode: Any, schema: Any, model: str, expected: Any) -> None:
    body = orjson.loads(sent(request(json_mode=mode, output_schema=schema), model=model))
    assert body.get("response_format") == expected


def test_o1_mini_has_no_system_role() -> None:
    body = sent(request(system="be brief"), model="o1-mini-2024")
    assert body.startswith('{"messages":[{"role":"user","content":"be brief"},{"role":"user"')
    assert '"role":"system"' in sent(request(system="be brief"), model="o1-preview")


def test_a_stream_asks_for_usage() -> None:
    outcome = call(request(stream=True), [b"HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n"])
    assert outcome.body == f'{{{HI},"stream":true,"stream_options":{{"include_usage":true}}}}'
    assert outcome.headers["accept"] == "text/event-stream"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4), st.text(max_size=20))
def test_any_text_arrives_unchanged(texts: list[str], system: str) -> None:
    body = sent(request(user(*texts), system=system))
    messages = orjson.loads(body)["messages"]
    assert messages[0]["content"] == system
    content = messages[1]["content"]
    assert ([content] if isinstance(content, str) else [part["text"] for part in content]) == texts
    assert body == orjson.dumps(orjson.loads(body)).decode()  # compact, UTF-8 unescaped


def test_a_block_too_deep_to_write_fails_the_attempt_alone() -> None:
    deep: Any = {}
    for _ in range(400):
        deep = [deep]
    outcome = call(request(user("a", Unknown(deep))))
    assert "cannot be written" in str(outcome.failed())
    assert outcome.seen == []


def test_the_request_that_other_attempts_share_is_not_changed() -> None:
    given_request = request(user("a", Text("b")), system="s", json_mode="on")
    first = sent(given_request, model="o1-mini")
    assert sent(given_request, model="o1-mini") == first
    assert given_request.system == "s"
