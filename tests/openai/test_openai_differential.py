"""The same call through ``/inference`` and ``/openai/v1`` writes the same rows but for ids and
times."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from openai_support import FUNCTION, MODEL, OpenAIApi

from gateway.provider import delta, ending, message, tool_call

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(32))).decode()
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
CALL = tool_call("weather", '{"city":"Oslo"}', "a1")
CHAT = {"model": FUNCTION + "chat"}
HI = {"messages": [{"role": "user", "content": "hi"}]}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


Case = tuple[str, dict[str, Any], dict[str, Any]]

CASES: list[Case] = [
    ("plain", {**CHAT, **HI}, {"function_name": "chat", "input": HI}),
    ("a model", {"model": MODEL + "scripted", **HI}, {"model_name": "scripted", "input": HI}),
    (
        "parameters",
        {
            **CHAT,
            **HI,
            "temperature": 0.4,
            "max_completion_tokens": 20,
            "max_tokens": 30,
            "top_p": 0.5,
            "seed": 4,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "stop": ["a"],
            "reasoning_effort": "low",
            "service_tier": "flex",
            "verbosity": "low",
            "tensorzero::params": {"chat_completion": {"thinking_budget_tokens": 5, "seed": 6}},
        },
        {
            "function_name": "chat",
            "input": HI,
            "params": {
                "chat_completion": {
                    "temperature": 0.4,
                    "max_tokens": 20,
                    "top_p": 0.5,
                    "seed": 6,
                    "presence_penalty": 0.1,
                    "frequency_penalty": 0.2,
                    "stop_sequences": ["a"],
                    "reasoning_effort": "low",
                    "service_tier": "flex",
                    "verbosity": "low",
                    "thinking_budget_tokens": 5,
                }
            },
        },
    ),
    (
        "system and templates",
        {
            "model": FUNCTION + "typed",
            "messages": [
                {
                    "role": "system",
                    "content": [
                        {
                            "type": "tensorzero::template",
                            "name": "system",
                            "arguments": {"tone": "kind"},
                        }
                    ],
                },
                {"role": "user", "content": [{"name": "Ann"}]},
                {"role": "assistant", "content": [{"type": "tensorzero::raw_text", "value": "x"}]},
            ],
        },
        {
            "function_name": "typed",
            "input": {
                "system": {"tone": "kind"},
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "template", "name": "user", "arguments": {"name": "Ann"}}
                        ],
                    },
                    {"role": "assistant", "content": [{"type": "raw_text", "value": "x"}]},
                ],
            },
        },
    ),
    (
        "tools",
        {
            **CHAT,
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": "one",
                    "tool_calls": [CALL],
                    "tensorzero_extra_content": [
                        {"type": "thought", "insert_index": 0, "text": "hm", "signature": "s"}
                    ],
                },
                {"role": "tool", "tool_call_id": "a1", "content": "4"},
            ],
            "tools": [{"type": "function", "function": {"name": "extra", "parameters": SCHEMA}}],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "extra"}}],
                },
            },
            "parallel_tool_calls": True,
        },
        {
            "function_name": "chat",
            "input": {
                "messages": [
                    {"role": "user", "content": "hi"},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thought", "text": "hm", "signature": "s"},
                            text("one"),
                            {
                                "type": "tool_call",
                                "id": "a1",
                                "name": "weather",
                                "arguments": '{"city":"Oslo"}',
                            },
                        ],
                    },
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "id": "a1",
                                "name": "weather",
                                "result": '"4"',
                            }
                        ],
                    },
                ]
            },
            "additional_tools": [{"name": "extra", "description": "", "parameters": SCHEMA}],
            "allowed_tools": ["extra"],
            "tool_choice": "required",
            "parallel_tool_calls": True,
        },
    ),
    (
        "a json function",
        {
            "model": FUNCTION + "extract",
            **HI,
            "tensorzero::variant_name": "v",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": SCHEMA},
            },
        },
        {
            "function_name": "extract",
            "input": HI,
            "variant_name": "v",
            "output_schema": SCHEMA,
            "params": {"chat_completion": {"json_mode": "strict"}},
        },
    ),
    (
        "files",
        {
            **CHAT,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        text("look"),
                        {
                            "type": "image_url",
                            "image_url": {
                                "url": f"data:image/png;base64,{PNG}",
                                "detail": "low",
                            },
                        },
                    ],
                }
            ],
        },
        {
            "function_name": "chat",
            "input": {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            text("look"),
                            {
                                "type": "file",
                                "file_type": "base64",
                                "mime_type": "image/png",
                                "data": PNG,
                                "detail": "low",
                            },
                        ],
                    }
                ]
            },
        },
    ),
    (
        "what goes with it",
        {
            "model": FUNCTION + "two",
            **HI,
            "tensorzero::variant_name": "a",
            "tensorzero::namespace": "n",
            "tensorzero::tags": {"k": "v"},
            "tensorzero::extra_body": [{"pointer": "/x", "value": 1}],
            "tensorzero::cache_options": {"enabled": "off"},
        },
        {
            "function_name": "two",
            "input": HI,
            "variant_name": "a",
            "namespace": "n",
            "tags": {"k": "v"},
            "extra_body": [{"pointer": "/x", "value": 1}],
            "cache_options": {"enabled": "off"},
        },
    ),
]

OWN = frozenset(
    {
        "id",
        "inference_id",
        "episode_id",
        "timestamp",
        "processing_time_ms",
        "response_time_ms",
        "ttft_ms",
    }
)
"""Columns that differ from call to call."""


def rows_of(api: OpenAIApi, inference_id: str, table: str) -> list[dict[str, Any]]:
    found = [api.row(inference_id, table), *api.model_rows(inference_id)]
    for row in found:
        for name in OWN & row.keys():
            assert name == "ttft_ms" or row.pop(name) is not None
        row["ttft_ms"] = row["ttft_ms"] is None
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("name", "openai", "native"), CASES, ids=[case[0] for case in CASES])
def test_the_same_rows(
    api: OpenAIApi, name: str, openai: dict[str, Any], native: dict[str, Any], stream: bool
) -> None:
    table = "JsonInference" if native.get("function_name") == "extract" else "ChatInference"
    said = '{"name":"Ann"}' if table == "JsonInference" else "Hello!"
    api.provider.scripts["scripted"] = (
        [delta(content=said[:3]), delta(content=said[3:]), *ending()] if stream else message(said)
    )
    answers = [
        api.client.post(f"{api.url}/inference", json={**native, "stream": stream}),
        api.raw.post(f"{api.base}/chat/completions", json={**openai, "stream": stream}),
    ]
    ids = []
    for answer, key in zip(answers, ("inference_id", "id"), strict=True):
        assert answer.status_code == 200, answer.text
        first = answer.text.split("\n\n")[0].removeprefix("data: ")
        ids.append(json.loads(first)[key])
    left, right = (rows_of(api, inference_id, table) for inference_id in ids)
    assert left == right
    sent = api.provider.sent
    assert len(sent) == 0 or sent[0] == sent[1]


@pytest.mark.parametrize(
    ("openai", "native"),
    [
        ({"model": FUNCTION + "nope", **HI}, {"function_name": "nope", "input": HI}),
        ({"model": MODEL + "nope", **HI}, {"model_name": "nope", "input": HI}),
        (
            {**CHAT, **HI, "tensorzero::tags": {"tensorzero::a": "b"}},
            {"function_name": "chat", "input": HI, "tags": {"tensorzero::a": "b"}},
        ),
        ({"model": MODEL + "status-500", **HI}, {"model_name": "status-500", "input": HI}),
        ({"model": FUNCTION + "allbad", **HI}, {"function_name": "allbad", "input": HI}),
        (
            {"model": FUNCTION + "typed", **HI},
            {"function_name": "typed", "input": HI},
        ),
    ],
)
def test_the_same_refusals(api: OpenAIApi, openai: dict[str, Any], native: dict[str, Any]) -> None:
    left = api.client.post(f"{api.url}/inference", json=native)
    right = api.raw.post(f"{api.base}/chat/completions", json=openai)
    assert left.status_code == right.status_code
    if "allbad" not in openai["model"]:  # tried in the order that the episode draws
        assert left.json()["error"] == right.json()["error"]["message"]
