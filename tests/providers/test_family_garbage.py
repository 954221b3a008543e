"""Answers and events of any form: an answer, or an error that says why, never a crash."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.calls import MODEL_INFERENCE_ID
from providers.family import SHEETS
from providers.test_family_requests import provider_of
from tensorzero.config.credentials import NoCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.failures import UNREADABLE
from tensorzero.providers.http import Answer, HttpProvider
from tensorzero.providers.openai_responses import OpenAIResponsesProvider
from tensorzero.types.model import Attempt, ProviderChunk
from tzcore.client import Pool

ATTEMPT = Attempt("m", "p", MODEL_INFERENCE_ID, {})
RESPONSES = OpenAIResponsesProvider(
    ProviderContext(Pool(user_agent=b"test"), 1000),
    ProviderConfig("p", "openai", {"model_name": "m"}, NoCredential()),
    "http://h/v1",
)
PROVIDERS: list[HttpProvider] = [*map(provider_of, SHEETS), RESPONSES]
WORDS = [
    *("choices", "message", "delta", "content", "tool_calls", "function", "name", "arguments"),
    *("id", "index", "type", "text", "thinking", "reasoning", "reasoning_content", "usage"),
    *("reasoning_details", "summary", "data", "format", "finish_reason", "error", "output"),
    *("item", "output_index", "summary_index", "response", "incomplete_details", "item_id"),
    *("prompt_tokens", "completion_tokens_details", "encrypted_content", "call_id", "role"),
]
VALUES = [
    *("<think>", "</think>", "<", "text", "reasoning.text", "reasoning.encrypted", "function_call"),
    *("message", "assistant", "output_text", "response.output_item.added", "response.completed"),
    *("response.output_text.delta", "response.output_item.done", "response.failed", "stop"),
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-1, 2**33)
    | st.floats(allow_nan=False)
    | st.sampled_from(VALUES)
    | st.text(max_size=3)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=12,
)


def having(*names: str, **known: Any) -> Any:
    """Objects that may have these fields, of any form or of the given one."""
    return st.fixed_dictionaries({}, optional={**dict.fromkeys(names, anything), **known})


kinds = st.sampled_from(
    [
        *("reasoning.text", "reasoning.summary", "reasoning.encrypted", "text", "thinking"),
        *("message", "function_call", "custom_tool_call", "reasoning", "output_text"),
    ]
)
detail = having("text", "signature", "summary", "data", "format", "index", type=kinds)
part = having("text", type=kinds, thinking=st.lists(having("text", "type"), max_size=2))
function = having("name", "arguments", "input")
tool_call = having("id", "index", "type", function=function, custom=function)
message = having(
    "reasoning",
    "reasoning_content",
    content=anything | st.lists(part, max_size=2),
    reasoning_details=st.lists(detail, max_size=2),
    tool_calls=st.lists(tool_call, max_size=2),
)
choice = having("finish_reason", message=message | anything, delta=message | anything)
shaped = st.fixed_dictionaries(
    {"choices": st.lists(choice, min_size=1, max_size=1)}, optional={"usage": anything}
)
item = having(
    *("call_id", "name", "arguments", "input", "encrypted_content", "id"),
    type=kinds,
    role=st.just("assistant"),
    summary=st.lists(detail, max_size=2),
    content=st.lists(part, max_size=2),
)
items = st.fixed_dictionaries(
    {"output": st.lists(item, max_size=2)}, optional={"usage": anything, "error": st.none()}
)
events = st.fixed_dictionaries(
    {"type": st.sampled_from([one for one in VALUES if one.startswith("response.")])},
    optional={
        **dict.fromkeys(("delta", "output_index", "item_id", "content_index"), anything),
        "item": item,
        "response": items,
    },
)


def check(blocks: Any) -> None:
    """Texts are texts, whatever was sent: what follows relies on it."""
    for block in blocks:
        for name in ("text", "id", "name", "raw_name", "arguments", "raw_arguments", "signature"):
            assert isinstance(getattr(block, name, None), str | None), block
        for part in getattr(block, "summary", None) or ():
            assert isinstance(part["text"], str), block
        for name in ("summary_id", "summary_text"):
            assert isinstance(getattr(block, name, None), str | None), block
        orjson.dumps(block.to_json())


def read(provider: HttpProvider, data: bytes) -> Answer:
    return provider.plain_answer(data) or provider.answer(orjson.loads(data), ATTEMPT)


@settings(max_examples=100, deadline=None)
@given(anything | shaped | items)
def test_answers(body: Any) -> None:
    data = orjson.dumps(body)
    for provider in PROVIDERS:
        try:
            found = read(provider, data)
        except UNREADABLE:
            continue
        check(found.output)


@settings(max_examples=100, deadline=None)
@given(st.lists(anything | shaped | events, min_size=1, max_size=4))
def test_streams(given_events: list[Any]) -> None:
    for provider in PROVIDERS:
        reader = provider.reader(ATTEMPT)
        for one in given_events:
            try:
                chunk = reader.chunk(orjson.dumps(one))
            except UNREADABLE:
                continue
            assert chunk is None or isinstance(chunk, ProviderChunk)
            if chunk is not None:
                check(chunk.content)


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"nul", b'"', b"[" * 2000])
def test_what_is_no_json(data: bytes) -> None:
    for provider in PROVIDERS:
        with pytest.raises(UNREADABLE):
            read(provider, data)
        reader = provider.reader(ATTEMPT)
        if provider is RESPONSES:
            assert reader.chunk(data) is None  # left out, as the contract says
        else:
            with pytest.raises(UNREADABLE):
                reader.chunk(data)
