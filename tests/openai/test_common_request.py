"""What the one-pass reader takes is what the complete parser makes of the same bytes."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.api.openai.common_request import read_common_chat_completion
from tensorzero.api.openai.request import parse_any_chat_completion, parse_chat_completion
from tensorzero.types.errors import GatewayError

texts = st.text(max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "text", "tensorzero::raw_text"]), "text": texts},
    optional={"value": texts, "tensorzero::arguments": anything},
)
templates = st.fixed_dictionaries(
    {
        "type": st.just("tensorzero::template"),
        "name": texts,
        "arguments": st.dictionaries(texts, anything, max_size=2) | anything,
    }
)
roles = st.sampled_from(["user", "user", "assistant", "system", "developer", "tool"])
messages = st.fixed_dictionaries(
    {"role": roles, "content": texts | st.lists(blocks | templates, max_size=3) | anything},
    optional={"name": texts, "tool_call_id": texts},
)
models = st.sampled_from(
    [
        "tensorzero::function_name::f",
        "tensorzero::model_name::m",
        "tensorzero::function_name::",
        "gpt-4o",
    ]
)
requests = st.fixed_dictionaries(
    {"model": models, "messages": st.lists(messages, max_size=4) | anything},
    optional={
        "stream": st.booleans() | anything,
        "stream_options": st.fixed_dictionaries(
            {}, optional={"include_usage": st.booleans() | anything, "x": texts}
        )
        | anything,
        "temperature": st.floats(0, 2),
        "tensorzero::tags": st.dictionaries(texts, texts, max_size=2) | anything,
        "tensorzero::episode_id": st.uuids().map(str) | texts,
        "tensorzero::dryrun": st.booleans(),
        "user": texts,
    },
)


def _compare(body: bytes) -> bool:
    if read_common_chat_completion(body) is None:
        return False
    try:
        expected = parse_any_chat_completion(body)
    except GatewayError as refusal:
        with pytest.raises(type(refusal)) as caught:
            parse_chat_completion(body)
        assert str(caught.value) == str(refusal)
    else:
        read = parse_chat_completion(body)
        assert read.common
        read.common = False
        assert read == expected
    return True


@settings(max_examples=600, deadline=None)
@given(requests)
def test_generated_requests(request: dict[str, Any]) -> None:
    _compare(orjson.dumps(request))


def test_the_common_form_is_taken() -> None:
    request = {
        "model": "tensorzero::function_name::f",
        "messages": [
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "yes?"}]},
            {
                "role": "user",
                "content": [
                    {"type": "tensorzero::template", "name": "t", "arguments": {"a": [2**70, 1.5]}}
                ],
            },
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tensorzero::episode_id": "0190F000-0000-7000-8000-000000000009",
        "tensorzero::tags": {"a": "b"},
    }
    assert _compare(json.dumps(request).encode())
    assert _compare(json.dumps({**request, "model": "gpt-4o"}, indent=1).encode())


@pytest.mark.parametrize(
    "roles", [["system"], ["user", "system"], ["system", "system"], ["developer", "user"]]
)
@pytest.mark.parametrize("content", ["", "text", [{"type": "text", "text": "t"}]])
def test_system_messages(roles: list[str], content: Any) -> None:
    messages = [{"role": role, "content": content} for role in roles]
    _compare(orjson.dumps({"model": "tensorzero::model_name::m", "messages": messages}))
