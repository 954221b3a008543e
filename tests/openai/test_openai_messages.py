"""Messages and their blocks (checklist 17 to 27)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from openai_support import OpenAIApi

from gateway.provider import message, tool_call

PREFIX = "Invalid request to OpenAI-compatible endpoint: "
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
WAV = b"RIFF\x24\0\0\0WAVEfmt " + bytes(20)
TEMPLATE = {"type": "template", "name": "user", "arguments": {"name": "Ann"}}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def recorded(api: OpenAIApi, messages: Any, model: str = "chat", **fields: Any) -> Any:
    """The input of the row."""
    api.provider.scripts["scripted"] = message("x")
    return api.row(api.completion(model, messages, **fields)["id"])["input"]


def user(*content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


def call(call_id: str, city: str) -> dict[str, Any]:
    return tool_call("weather", json.dumps({"city": city}), call_id)


def test_the_worked_example(api: OpenAIApi) -> None:
    """Section 4.7; checklist 23."""
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Weather in Oslo and Bergen?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("a1", "Oslo"), call("a2", "Bergen")],
        },
        {"role": "tool", "tool_call_id": "a1", "content": "4 degrees"},
        {"role": "tool", "tool_call_id": "a2", "content": "7 degrees"},
        {"role": "system", "content": [{"type": "text", "text": "Use Celsius."}]},
    ]
    assert recorded(api, messages) == {
        "system": "Be brief.\nUse Celsius.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Weather in Oslo and Bergen?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_call", "id": id, "name": "weather", "arguments": arguments}
                    for id, arguments in (("a1", '{"city": "Oslo"}'), ("a2", '{"city": "Bergen"}'))
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "id": id, "name": "weather", "result": result}
                    for id, result in (("a1", '"4 degrees"'), ("a2", '"7 degrees"'))
                ],
            },
        ],
    }
    sent = api.provider.last["messages"]
    assert [one["role"] for one in sent] == ["system", "user", "assistant", "tool", "tool"]


def test_system_messages(api: OpenAIApi) -> None:
    """Checklist 17."""
    messages = [
        {"role": "developer", "content": "one"},
        {"role": "user", "content": "hi"},
        {
            "role": "system",
            "content": [
                {"type": "text", "text": "two"},
                {"type": "tensorzero::raw_text", "value": "three"},
            ],
        },
    ]
    assert recorded(api, messages)["system"] == "one\ntwo\nthree"
    assert "several system messages were concatenated" in api.log
    assert recorded(api, [messages[1], messages[2]])["system"] == "two\nthree"
    assert "a system message was moved to the start" in api.log
    assert "system" not in recorded(api, [messages[1]])
    assert "system" not in recorded(api, [{"role": "system", "content": []}])
    assert recorded(api, []) == {"messages": []}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "tensorzero::arguments": {"tone": "kind"}}],
        [{"type": "tensorzero::template", "name": "other", "arguments": {"tone": "kind"}}],
        [{"tone": "kind"}],
    ],
)
def test_a_template_as_system(api: OpenAIApi, content: Any) -> None:
    """Checklist 18: its name is not looked at."""
    messages = [
        {"role": "system", "content": content},
        {"role": "user", "content": [{"name": "A"}]},
    ]
    found = recorded(api, messages, "typed")
    assert found["system"] == {"tone": "kind"}
    assert api.provider.last["messages"][0]["content"] == "Be kind."


TONE = {"type": "tensorzero::template", "name": "system", "arguments": {"tone": "kind"}}
SAID = {"type": "text", "text": "x"}


@pytest.mark.parametrize(
    ("blocks", "wanted"),
    [
        ([TONE, SAID], "no text can follow a template"),
        ([SAID, TONE], "a template must be the only content"),
        ([TONE, TONE], "a template must be the only content"),
        (
            [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
            "must contain only text or template content blocks",
        ),
        (
            [{"type": "input_audio", "input_audio": {"data": encoded(WAV), "format": "wav"}}],
            "must contain only text or template content blocks",
        ),
    ],
)
def test_what_a_system_message_cannot_be(api: OpenAIApi, blocks: Any, wanted: str) -> None:
    """Checklist 18, within a message and across messages."""
    together = [{"role": "system", "content": blocks}]
    apart = [{"role": "system", "content": [block]} for block in blocks]
    for messages in (together, apart):
        assert api.turned_away(400, wanted, model="typed", messages=messages).startswith(PREFIX)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "tensorzero::arguments": {"name": "Ann"}},
        {"type": "tensorzero::template", "name": "user", "arguments": {"name": "Ann"}},
        {"name": "Ann"},
    ],
)
def test_templates(api: OpenAIApi, block: Any) -> None:
    """Checklist 19."""
    system = {"role": "system", "content": [TONE]}
    found = recorded(api, [system, *user(block)], "typed")
    assert found["messages"] == [{"role": "user", "content": [TEMPLATE]}]
    assert api.provider.last["messages"][1]["content"] == [
        {"type": "text", "text": "Name: Ann"}
    ] or (api.provider.last["messages"][1]["content"] == "Name: Ann")


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (
            [{"type": "text", "text": "x", "tensorzero::arguments": {}}],
            "Invalid TensorZero content block",
        ),
        ([{"type": "text", "tensorzero::arguments": 1}], "Invalid TensorZero content block"),
        ([{"tensorzero::arguments": {}}], "Invalid TensorZero content block"),
        ([{"type": "text"}], "Invalid content block"),
        ([{"type": "text", "text": 1}], "Invalid content block"),
        ([{"type": "video_url", "video_url": {"url": "https://e.com/v"}}], "Invalid content block"),
        ([{"type": "refusal", "refusal": "no"}], "Invalid content block"),
        ([{"type": None}], "Invalid content block"),
        ([{"type": ["text"], "text": "x"}], "Invalid content block"),
        ([{"type": "tensorzero::template", "name": "user"}], "Invalid content block"),
        (
            [{"type": "tensorzero::template", "name": "user", "arguments": {}, "x": 1}],
            "unknown field `x`",
        ),
        ([{"type": "tensorzero::raw_text", "value": 1}], "Invalid content block"),
        ([{"type": "tensorzero::raw_text", "value": "a", "x": 1}], "unknown field `x`"),
        (["text"], "messages[0].content[0]: invalid type: string"),
        ([None], "invalid type: null"),
        ({}, "a string or an array"),
        (7, "a string or an array"),
        (None, "a string or an array"),
        ([{"type": "image_url"}], "missing field `image_url`"),
        ([{"type": "image_url", "image_url": "https://e.com"}], "Invalid content block"),
        ([{"type": "image_url", "image_url": {"url": "a.png"}}], "relative URL"),
        ([{"type": "image_url", "image_url": {"url": "https://e.com", "x": 1}}], "`x`"),
        (
            [{"type": "image_url", "image_url": {"url": "https://e.com", "detail": "max"}}],
            "unknown variant `max`",
        ),
        ([{"type": "image_url", "image_url": {"url": "https://e.com"}, "y": 1}], "`y`"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png,AA"}}], "`;base64,`"),
        ([{"type": "image_url", "image_url": {"url": "data:png;base64,AA"}}], "MIME type"),
        ([{"type": "file", "file": {"file_id": "file-1"}}], "missing field `file_data`"),
        ([{"type": "file", "file": {"file_data": "JVBERi0x"}}], "expected a `data:` URL"),
        (
            [{"type": "file", "file": {"file_data": "data:a/b;base64,", "filename": 1}}],
            "Invalid content block",
        ),
        ([{"type": "input_audio", "input_audio": {"data": "AAAA"}}], "missing field `format`"),
        (
            [{"type": "input_audio", "input_audio": {"data": "not base64!", "format": "wav"}}],
            "invalid base64",
        ),
        (
            [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}],
            "does not tell its type",
        ),
        (
            [
                {
                    "type": "input_audio",
                    "input_audio": {"data": encoded(b"\xff\xd8\xff\xe0"), "format": "wav"},
                }
            ],
            "expected audio, found `image/jpeg`",
        ),
    ],
)
def test_blocks_that_do_not_fit(api: OpenAIApi, content: Any, wanted: str) -> None:
    """Checklist 20, 26 and the rules of section 4.2."""
    for role in ("user", "system"):
        messages = [{"role": role, "content": content}]
        assert api.turned_away(400, wanted, messages=messages).startswith(PREFIX)
    assert api.provider.requests == []


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"role": "user"}, "messages[0]: missing field `content`"),
        ({"role": "system"}, "messages[0]: missing field `content`"),
        ({"content": "x"}, "messages[0]: missing field `role`"),
        ({"role": "function", "name": "f", "content": "x"}, "messages[0].role: unknown variant"),
        ({"role": 1, "content": "x"}, "messages[0].role: invalid type"),
        ({"role": "tool", "content": "x"}, "missing field `tool_call_id`"),
        ({"role": "tool", "tool_call_id": 1}, "tool_call_id: invalid type"),
        ("hi", "messages[0]: invalid type"),
        ({"role": "assistant", "tool_calls": {}}, "tool_calls: invalid type"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "missing field `type`"),
        (
            {"role": "assistant", "tool_calls": [{"id": "1", "type": "custom", "custom": {}}]},
            "missing field `function`",
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": {}}}
                ],
            },
            "arguments: invalid type",
        ),
        ({"role": "assistant", "tensorzero_extra_content": [{}]}, "missing field `type`"),
        ({"role": "assistant", "tensorzero_extra_content": [{"type": "x"}]}, "unknown variant"),
        (
            {"role": "assistant", "tensorzero_extra_content": [{"type": "unknown"}]},
            "missing field `data`",
        ),
        (
            {
                "role": "assistant",
                "tensorzero_extra_content": [{"type": "thought", "insert_index": -1}],
            },
            "insert_index: invalid value",
        ),
    ],
)
def test_messages_of_a_wrong_shape(api: OpenAIApi, told: Any, wanted: str) -> None:
    assert not api.turned_away(400, wanted, messages=[told]).startswith(PREFIX)


def test_raw_text(api: OpenAIApi) -> None:
    """Checklist 21: neither schema nor template."""
    raw = {"type": "tensorzero::raw_text", "value": "{{ not a template }}"}
    messages = [
        {"role": "system", "content": [TONE]},
        {"role": "assistant", "content": [raw]},
    ]
    found = recorded(api, messages, "typed")
    block = {"type": "raw_text", "value": "{{ not a template }}"}
    assert found["messages"] == [{"role": "assistant", "content": [block]}]


def test_schemas(api: OpenAIApi) -> None:
    """Checklist 22."""
    messages = [{"role": "system", "content": [TONE]}, {"role": "user", "content": "Ann"}]
    text = api.turned_away(400, 'is not of type "object"', model="typed", messages=messages)
    assert text.startswith("JSON Schema validation failed")


def test_tool_results(api: OpenAIApi) -> None:
    """Section 4.5: runs, names, the JSON text of any content."""
    asked = {"role": "assistant", "tool_calls": [call("a", "x"), call("b", "y")]}
    renamed = {"role": "assistant", "tool_calls": [tool_call("clock", "{}", "a")]}
    messages = [
        asked,
        {"role": "tool", "tool_call_id": "a", "content": "70"},
        {"role": "system", "content": "s"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "Å"}]},
        renamed,
        {"role": "tool", "tool_call_id": "a", "content": None},
        {"role": "tool", "tool_call_id": "a"},
        {"role": "tool", "tool_call_id": "b", "content": {"z": 1.5, "a": [True]}},
    ]
    found = recorded(api, messages)["messages"]
    results = [
        [(block["name"], block["result"]) for block in one["content"]]
        for one in found
        if one["role"] == "user"
    ]
    assert results == [
        [("weather", '"70"')],
        [("weather", '[{"type":"text","text":"Å"}]')],
        [("clock", "null"), ("clock", "null"), ("weather", '{"z":1.5,"a":[true]}')],
    ]


def test_tool_results_without_a_call(api: OpenAIApi) -> None:
    """Checklist 24: also when the call comes later."""
    result = {"role": "tool", "tool_call_id": "a", "content": "x"}
    later = {"role": "assistant", "tool_calls": [call("a", "x")]}
    for messages in ([result], [result, later]):
        text = api.turned_away(400, "`a` not found", messages=messages)
        assert text.startswith(PREFIX)


def test_an_answer_sent_back(api: OpenAIApi) -> None:
    """Checklist 25: whole, with its nulls."""
    api.provider.scripts["scripted"] = message(None, tool_calls=[call("c1", "Rome")])
    tools = [{"type": "function", "function": {"name": "weather"}}]
    answer = api.completion("chat", tools=tools)
    told = answer["choices"][0]["message"]
    told.update(audio=None, function_call=None, parsed=None)
    assert told["content"] is None
    messages = [
        {"role": "user", "content": "hi"},
        told,
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    api.provider.scripts["scripted"] = message("fine")
    assert (
        api.completion("chat", messages, tools=tools)["choices"][0]["message"]["content"] == "fine"
    )
    # The SDK sends back what it was given.
    sent = api.sdk.chat.completions.create(
        model="tensorzero::function_name::chat",
        messages=[
            {"role": "user", "content": "hi"},
            api.sdk.chat.completions.create(
                model="tensorzero::model_name::dummy::thought",
                messages=[{"role": "user", "content": "hi"}],
            )
            .choices[0]
            .message,  # type: ignore[list-item]  # what people do
        ],
    )
    content = api.row(sent.id)["input"]["messages"][1]["content"]
    assert [block["type"] for block in content] == ["thought", "text"]


def test_files(api: OpenAIApi) -> None:
    """Checklist 26."""
    blocks = [
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{encoded(PNG)}", "detail": "low"},
        },
        {
            "type": "file",
            "file": {
                "file_data": f"data:application/pdf;base64,{encoded(b'%PDF-1')}",
                "filename": "bill.pdf",
                "file_id": None,
            },
        },
        {"type": "input_audio", "input_audio": {"data": encoded(WAV), "format": "mp3", "x": 1}},
    ]
    content = recorded(api, user(*blocks))["messages"][0]["content"]
    assert [block["mime_type"] for block in content] == [
        "image/png",
        "application/pdf",
        "audio/x-wav",
    ]
    assert content[0]["detail"] == "low" and content[1]["filename"] == "bill.pdf"
    for block, data in zip(content, (PNG, b"%PDF-1", WAV), strict=True):
        path = api.data_dir / "files" / block["storage_path"]["path"]
        assert path.read_bytes() == data
    sent = api.provider.last["messages"][0]["content"]
    assert [part["type"] for part in sent] == ["image_url", "file", "input_audio"]
    assert "`input_audio.format` says 'mp3', the content is `audio/x-wav`" in api.log


def test_files_by_url(api: OpenAIApi) -> None:
    """Section 4.6: of any type."""
    api.provider.files["/a"] = ("image/webp", b"RIFF\0\0\0\0WEBPVP8 ")
    url = f"{api.provider.origin}/a"
    image = {"url": url, "detail": "high", "tensorzero::mime_type": "image/webp"}
    content = recorded(api, user({"type": "image_url", "image_url": image}))["messages"][0][
        "content"
    ]
    assert (content[0]["source_url"], content[0]["mime_type"]) == (url, "image/webp")
    assert api.provider.last["messages"][0]["content"][0]["image_url"] == {
        "url": url,
        "detail": "high",
    }


def thought(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "thought", "text": text, **fields}


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        ([thought("a", insert_index=0), thought("b", insert_index=2)], ["a", "A", "b"]),
        (
            [thought("T", insert_index=2), thought("U"), thought("V", insert_index=0)],
            ["U", "V", "A", "T"],
        ),
        ([thought("a", insert_index=999)], ["A", "a"]),
        ([thought("a"), thought("b")], ["a", "b", "A"]),
        ([thought("a", insert_index=0), thought("b", insert_index=0)], ["b", "a", "A"]),
        (None, ["A"]),
    ],
)
def test_extra_content(api: OpenAIApi, extra: Any, wanted: list[str]) -> None:
    """Checklist 27."""
    told = {"role": "assistant", "content": "A", "tensorzero_extra_content": extra}
    content = recorded(api, [told])["messages"][0]["content"]
    assert [block["text"] for block in content] == wanted


def test_all_fields_of_extra_content(api: OpenAIApi) -> None:
    whole = thought(
        "t",
        signature="s",
        summary=[{"type": "summary_text", "text": "x"}],
        provider_type="anthropic",
        extra_data={"a": 1},
    )
    unknown = {
        "type": "unknown",
        "data": {"type": "web"},
        "model_name": "m",
        "provider_name": "p",
    }
    told = {
        "role": "assistant",
        "tool_calls": [call("a", "x")],
        "tensorzero_extra_content": [
            {**whole, "insert_index": 0, "id": "0", "summary_id": None},
            {**unknown, "insert_index": 1},
        ],
    }
    content = recorded(api, [told])["messages"][0]["content"]
    assert content[0] == whole and content[1] == unknown
    assert content[2]["type"] == "tool_call"
