"""Messages, content blocks, schemas and templates (checklist 15 to 23)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Api, text, user

ANN = {"name": "Ann"}


def sent_messages(api: Api) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = api.provider.last["messages"]
    return messages


@pytest.mark.parametrize(
    "content", ["hi", [text("hi")], [{"type": "raw_text", "value": "hi"}]], ids=str
)
def test_short_and_long_forms_of_text(api: Api, content: Any) -> None:
    """Checklist 15: the same for the provider, the long form in the row."""
    given = {"messages": [{"role": "user", "content": content}]}
    answer = api.ok(function_name="chat", input=given)
    assert sent_messages(api) == [{"role": "user", "content": "hi"}]
    block = content[0] if isinstance(content, list) else text("hi")
    assert api.row(answer["inference_id"])["input"] == user(block)


@pytest.mark.parametrize(
    "content",
    [
        ANN,
        [{"type": "text", "arguments": ANN}],
        [{"type": "template", "name": "user", "arguments": ANN}],
    ],
    ids=str,
)
def test_short_and_long_forms_of_arguments(api: Api, content: Any) -> None:
    """Checklist 15."""
    given = {"system": {"tone": "kind"}, "messages": [{"role": "user", "content": content}]}
    answer = api.ok(function_name="typed", input=given)
    assert sent_messages(api) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Name: Ann"},
    ]
    assert api.row(answer["inference_id"])["input"] == {
        "system": {"tone": "kind"},
        **user({"type": "template", "name": "user", "arguments": ANN}),
    }


def test_the_row_keeps_the_client_s_key_order_and_bytes(api: Api) -> None:
    """Section 3.2: compact JSON, `system` first, free objects as they came."""
    given = {
        "messages": [{"content": {"name": "Zoë/x", "a": [1.0, {}]}, "role": "user"}],
        "system": {"tone": "b", "alpha": None},
    }
    answer = api.ok(function_name="typed", input=given)
    api.row(answer["inference_id"])
    (row,) = api.sql(
        "SELECT input FROM ChatInference WHERE id = {id:UUID}", id=answer["inference_id"]
    )
    assert row["input"] == (
        '{"system":{"tone":"b","alpha":null},"messages":[{"role":"user","content":[{"type":'
        '"template","name":"user","arguments":{"name":"Zoë/x","a":[1.0,{}]}}]}]}'
    )


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (
            {"role": "user", "content": [{"type": "text", "text": "a", "arguments": {}}]},
            "content[0]",
        ),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0]"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "content[0].text"),
        ({"role": "user", "content": [{"type": "text", "arguments": "x"}]}, "content[0].arguments"),
        ({"role": "user", "content": [{"type": "text", "value": "x"}]}, "content[0]"),
        ({"role": "user", "content": ["x"]}, "content[0]"),
        ({"role": "user", "content": [{}]}, "content[0]"),
        ({"role": "user", "content": [{"type": 5}]}, "content[0].type"),
        ({"role": "user", "content": [{"type": "audio"}]}, "content[0]"),
        ({"role": "user", "content": [{"type": "raw_text", "value": "x", "y": 1}]}, "content[0]"),
        ({"role": "user", "content": [{"type": "raw_text"}]}, "content[0]"),
        ({"role": "user", "content": [{"type": "template", "name": "user"}]}, "content[0]"),
        (
            {"role": "user", "content": [text("x"), {"type": "tool_result", "id": "1"}]},
            "content[1]",
        ),
        (
            {
                "role": "user",
                "content": [{"type": "tool_result", "id": "1", "name": "n", "result": "r", "x": 1}],
            },
            "content[0]",
        ),
        ({"role": "assistant", "content": [{"type": "tool_call", "id": "1"}]}, "content[0]"),
        ({"role": "assistant", "content": [{"type": "unknown"}]}, "content[0]"),
        (
            {
                "role": "assistant",
                "content": [
                    {"type": "unknown", "data": 1, "model_provider_name": "p", "model_name": "m"}
                ],
            },
            "content[0]",
        ),
        ({"role": "user", "content": [{"type": "thought", "summary": [{}]}]}, "content[0].summary"),
        ({"role": "system", "content": "x"}, "role"),
        ({"role": "tool", "content": "x"}, "role"),
        ({"content": "x"}, ""),
    ],
)
def test_messages_that_are_refused(api: Api, message: dict[str, Any], path: str) -> None:
    """Checklist 16, section 3.1: the text names the path."""
    given = {"messages": [{"role": "user", "content": "hi"}, message]}
    body = api.refused(400, function_name="chat", input=given)
    wanted = "input.messages[1]" + (f".{path}" if path else "")
    assert body["error"].startswith(wanted)


def test_no_rule_about_roles_or_empty_content(api: Api) -> None:
    """Section 3: no alternation, no first role, empty lists."""
    messages = [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": [text("c"), text("d")]},
    ]
    api.ok(function_name="chat", input={"messages": messages})
    assert sent_messages(api) == [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": [text("c"), text("d")]},
    ]
    for empty in ({}, {"messages": []}, {"messages": [{"role": "user", "content": []}]}):
        answer = api.ok(function_name="chat", input=empty)
        stored = {"messages": [], **empty}
        assert api.row(answer["inference_id"])["input"] == stored
    api.ok(function_name="chat", input={"system": "", "messages": []})
    assert sent_messages(api) == [{"role": "system", "content": ""}]


def test_inputs_that_break_their_schema(api: Api) -> None:
    """Checklist 17."""
    system = {"system": {"tone": 5}, "messages": []}
    body = api.refused(400, function_name="typed", input=system)
    assert body["error"].startswith('JSON Schema validation failed\n5 is not of type "string"\n\n')
    assert '\n\nSchema:\n{"type":"object",' in body["error"]
    assert "Data:" not in body["error"]
    plain = {"system": {"tone": "x"}, **user(text("hello"))}
    body = api.refused(400, '"hello" is not of type "object"', function_name="typed", input=plain)
    missing = {"system": {"tone": "x"}, **user({"type": "text", "arguments": {}})}
    api.refused(400, '"name" is a required property', function_name="typed", input=missing)
    other = {
        "system": {"tone": "x"},
        "messages": [{"role": "assistant", "content": "plain"}],
    }
    api.refused(400, '"plain" is not of type "object"', function_name="typed", input=other)
    assert api.provider.requests == []


def test_system_rules(api: Api) -> None:
    """Checklist 18, section 9.2."""
    api.refused(400, "system", function_name="typed", input={"messages": []})
    api.refused(400, "system", function_name="chat", input={"system": {"a": 1}, "messages": []})
    api.refused(400, '"x" is not of type "object"', function_name="typed", input={"system": "x"})
    api.ok(function_name="named", input={"system": {"tone": "calm"}, "messages": []})
    assert sent_messages(api) == [{"role": "system", "content": "Be calm."}]


def test_raw_text_passes_schema_and_template(api: Api) -> None:
    """Checklist 19."""
    raw = {"type": "raw_text", "value": "{{ raw }}"}
    for function, system in (("typed", {"tone": "x"}), ("legacy", "s")):
        answer = api.ok(function_name=function, input={"system": system, **user(raw)})
        assert sent_messages(api)[-1] == {"role": "user", "content": "{{ raw }}"}
        row = api.row(answer["inference_id"])
        assert row["input"]["messages"][0]["content"] == [raw]


def test_templates_that_no_variant_has(api: Api) -> None:
    """Checklist 20: the message index is named."""
    block = {"type": "template", "name": "nope", "arguments": {}}
    given = {"messages": [{"role": "user", "content": "hi"}, *user(text("x"), block)["messages"]]}
    body = api.refused(400, "nope", function_name="chat", input=given)
    assert "index 1" in body["error"]
    by_role = user({"type": "text", "arguments": ANN})
    api.refused(400, "`user`", "index 0", function_name="chat", input=by_role)
    # A legacy template without schema takes no arguments.
    api.refused(400, "`user`", function_name="legacy", input={"system": "s", **by_role})


def test_a_template_by_name_in_any_role(api: Api) -> None:
    """Variants page 3.2: named blocks are validated by the schema of their name and rendered."""
    block = {"type": "template", "name": "greet", "arguments": {**ANN, "language": "French"}}
    given = {"messages": [{"role": "assistant", "content": [block, text("plain")]}]}
    api.ok(function_name="named", input=given | {"system": {"tone": "x"}})
    assert sent_messages(api)[-1] == {
        "role": "assistant",
        "content": [text("Greet Ann in French."), text("plain")],
    }
    wrong = user({"type": "template", "name": "greet", "arguments": {"name": 1}})
    api.refused(400, 'is not of type "string"', function_name="named", input=wrong)


def test_text_beside_templates(api: Api) -> None:
    """Section 9.3: legacy templates take the text, `templates.user` lets it pass."""
    api.ok(function_name="legacy", input={"system": "s", **user(text("one"), text("two"))})
    assert sent_messages(api) == [
        {"role": "system", "content": "[s]"},
        {"role": "user", "content": [text("<<one>>"), text("<<two>>")]},
    ]
    api.ok(function_name="legacy", input=user(text("x")))
    assert sent_messages(api)[0] == {"role": "system", "content": "[none]"}
    api.ok(function_name="named", input={"system": {"tone": "x"}, **user(text("as it is"))})
    assert sent_messages(api)[-1] == {"role": "user", "content": "as it is"}


def test_a_constant_system_template(api: Api) -> None:
    """Section 9.3: rendered without variables when the input has no system."""
    api.ok(function_name="fixed", input=user(text("x")))
    assert sent_messages(api)[0] == {"role": "system", "content": "Always the same."}


def test_a_block_whose_template_one_variant_lacks(api: Api) -> None:
    """Variants page 12.4: that variant fails, the other answers."""
    block = user({"type": "template", "name": "card", "arguments": ANN})
    answer = api.ok(function_name="mixed", input=block)
    assert answer["variant_name"] == "with"
    assert len(api.provider.requests) == 1
    api.refused(400, "`card` not found", function_name="mixed", variant_name="without", input=block)


def test_a_variable_that_is_missing(api: Api) -> None:
    """Checklist 21: 500 pinned, 502 sampled; file, cause and line are named."""
    arguments = {"given": "a private matter"}
    given = user({"type": "template", "name": "user", "arguments": arguments})
    for status, variant in ((500, "v"), (502, None)):
        body = api.refused(
            status,
            "missing.minijinja",
            function_name="undefined",
            variant_name=variant,
            input=given,
        )
        assert "undefined" in body["error"]
        assert "missing.minijinja:2" in body["error"]
        assert "a private matter" in body["error"]
    assert "missing.minijinja:2" in api.log
    assert "a private matter" not in api.log
    assert api.provider.requests == []


def test_tool_calls_that_come_back(api: Api) -> None:
    """Checklist 22, section 3.1."""
    forms: list[tuple[dict[str, Any], str, str]] = [
        ({"name": "t", "arguments": '{"a": 1}'}, "t", '{"a": 1}'),
        ({"name": "t", "arguments": {"b": 1, "a": [2]}}, "t", '{"b":1,"a":[2]}'),
        (
            {"raw_name": "r", "raw_arguments": "{broken", "name": None, "arguments": None},
            "r",
            "{broken",
        ),
        (
            {"raw_name": "r", "raw_arguments": "{}", "name": "t", "arguments": {"x": 1}},
            "t",
            '{"x":1}',
        ),
        ({"raw_name": "r", "raw_arguments": "{}", "name": "t", "arguments": None}, "r", "{}"),
        ({"raw_name": "r", "raw_arguments": "{}", "extra": "ignored"}, "r", "{}"),
    ]
    for fields, name, arguments in forms:
        call = {"type": "tool_call", "id": "c1", **fields}
        result = {"type": "tool_result", "id": "c1", "name": name, "result": "sunny"}
        given = {
            "messages": [
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [result]},
            ]
        }
        answer = api.ok(function_name="chat", input=given)
        assert sent_messages(api) == [
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": name, "arguments": arguments},
                    }
                ],
            },
            {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
        ]
        stored = api.row(answer["inference_id"])["input"]["messages"]
        assert stored[0]["content"] == [
            {"type": "tool_call", "id": "c1", "name": name, "arguments": arguments}
        ]
        assert list(stored[1]["content"][0]) == ["type", "name", "result", "id"]


def test_blocks_for_another_model_or_provider(api: Api) -> None:
    """Checklist 23: they do not reach the provider, the row of the inference keeps them."""
    mine = {"type": "unknown", "data": {"mine": 1}, "model_name": "scripted", "provider_name": "p"}
    named = {
        "type": "unknown",
        "data": {"named": 1},
        "model_provider_name": "tensorzero::model_name::scripted::provider_name::p",
    }
    blocks = [
        {"type": "unknown", "data": {"everyone": 1}},
        mine,
        named,
        {"type": "unknown", "data": {"other": 1}, "model_name": "elsewhere"},
        {"type": "unknown", "data": {"other": 2}, "model_name": "scripted", "provider_name": "q"},
    ]
    thoughts = [
        {"type": "thought", "text": "ours", "provider_type": "openai"},
        {"type": "thought", "text": "theirs", "_internal_provider_type": "anthropic"},
        {"type": "thought", "text": "anyone's"},
    ]
    given = {
        "messages": [
            {"role": "user", "content": blocks},
            {"role": "assistant", "content": [*thoughts, text("said")]},
        ]
    }
    answer = api.ok(function_name="chat", input=given)
    user_message, assistant = sent_messages(api)
    assert user_message["content"] == [{"everyone": 1}, {"mine": 1}, {"named": 1}]
    assert "ours" in str(assistant)
    assert "anyone's" in str(assistant)
    assert "theirs" not in str(assistant)
    stored = api.row(answer["inference_id"])["input"]["messages"]
    assert len(stored[0]["content"]) == 5
    assert stored[0]["content"][2] == {**mine, "data": {"named": 1}}
    assert [thought.get("provider_type") for thought in stored[1]["content"][:3]] == [
        "openai",
        "anthropic",
        None,
    ]
    rendered = api.model_row(answer["inference_id"])["input_messages"]
    assert [len(message["content"]) for message in rendered] == [3, 3]


def test_a_thought_is_stored_with_its_parts(api: Api) -> None:
    """Section 3.1."""
    thought = {
        "type": "thought",
        "text": None,
        "signature": "sig",
        "summary": [{"text": "short", "type": "summary_text", "ignored": 1}],
        "extra_data": {"a": [1]},
        "ignored": True,
    }
    given = {"messages": [{"role": "assistant", "content": [thought, text("x")]}]}
    answer = api.ok(function_name="chat", input=given)
    stored = api.row(answer["inference_id"])["input"]["messages"][0]["content"][0]
    assert stored == {
        "type": "thought",
        "text": None,
        "signature": "sig",
        "summary": [{"type": "summary_text", "text": "short"}],
        "extra_data": {"a": [1]},
    }


def test_parameters_are_merged_and_recorded(api: Api) -> None:
    """Section 2.1: the request's value beats the variant's; json_mode only if asked for."""
    answer = api.ok(function_name="chat")
    sent = api.provider.last
    assert (sent["temperature"], sent["max_completion_tokens"], sent["stop"]) == (0.1, 7, ["END"])
    assert api.row(answer["inference_id"])["inference_params"] == {
        "chat_completion": {"temperature": 0.1, "max_tokens": 7, "stop_sequences": ["END"]}
    }
    params = {
        "temperature": 1,
        "top_p": 0.123456789,
        "presence_penalty": -0.5,
        "frequency_penalty": 0.25,
        "seed": 4294967295,
        "stop_sequences": [],
        "reasoning_effort": "low",
        "service_tier": "flex",
        "thinking_budget_tokens": -1,
        "verbosity": "high",
        "json_mode": "on",
    }
    answer = api.ok(function_name="chat", params={"chat_completion": params})
    sent = api.provider.last
    assert sent["stop"] == []
    assert sent["temperature"] == 1.0
    assert sent["top_p"] == pytest.approx(0.123456789, rel=1e-6)
    assert sent["response_format"] == {"type": "json_object"}
    recorded = api.row(answer["inference_id"])
    (row,) = api.sql(
        "SELECT inference_params FROM ChatInference WHERE id = {id:UUID}",
        id=answer["inference_id"],
    )
    assert row["inference_params"] == (
        '{"chat_completion":{"temperature":1.0,"max_tokens":7,"seed":4294967295,'
        '"top_p":0.12345679,"presence_penalty":-0.5,"frequency_penalty":0.25,"json_mode":"on",'
        '"stop_sequences":[],"reasoning_effort":"low","service_tier":"flex",'
        '"thinking_budget_tokens":-1,"verbosity":"high"}}'
    )
    assert recorded["function_name"] == "chat"


def test_the_deprecated_spelling_of_json_mode(api: Api) -> None:
    params = {"chat_completion": {"json_mode": "implicit_tool"}}
    answer = api.ok(function_name="extract", variant_name="v", params=params)
    assert api.provider.last["tools"][0]["function"]["name"] == "respond"
    row = api.json_row(answer["inference_id"])
    assert row["inference_params"] == {"chat_completion": {"json_mode": "tool"}}
