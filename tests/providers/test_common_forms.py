"""What is read or written the short way is what the general way makes of it."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.config.credentials import NoCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.chat_completions.answers import AnswerReader
from tensorzero.providers.chat_completions.deltas import read_text_delta
from tensorzero.providers.chat_completions.events import ChatCompletionsReader
from tensorzero.providers.openai import OpenAIProvider
from tensorzero.types.content import Message, Text, ToolCall
from tensorzero.types.credentials import Credentials
from tensorzero.types.model import Attempt, ModelRequest
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.schema import JSONSchema
from tzcore.client import Pool

PROVIDER = OpenAIProvider(
    ProviderContext(Pool(user_agent=b"test"), 1000),
    ProviderConfig("p", "openai", {"model_name": "gpt"}, NoCredential()),
)
ATTEMPT = Attempt("m", "p", "0190f000-0000-7000-8000-000000000009", Credentials())
SCHEMA = JSONSchema({"type": "object", "properties": {"name": {"type": "string"}}})
texts = st.text()
single = st.builds(
    Message,
    st.sampled_from(["user", "assistant"]),
    st.lists(texts.map(Text), min_size=1, max_size=1),
)
params = st.builds(
    ChatCompletionParams,
    temperature=st.none() | st.floats(0, 2),
    max_tokens=st.none() | st.integers(0, 100),
    seed=st.none() | st.integers(0, 100),
    stop_sequences=st.none() | st.lists(texts, max_size=2).map(tuple),
    reasoning_effort=st.none() | texts,
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(single, max_size=4),
    st.none() | texts,
    params,
    st.booleans(),
    st.sampled_from(["off", "strict"]),
)
def test_the_same_bytes_as_the_general_way(
    messages: list[Message],
    system: str | None,
    chosen: ChatCompletionParams,
    stream: bool,
    mode: Any,
) -> None:
    request = ModelRequest(
        messages, system, params=chosen, stream=stream, json_mode=mode, output_schema=SCHEMA
    )
    general = orjson.dumps(PROVIDER.body(request, messages, {}))
    for _ in range(2):  # made, then taken from what was kept
        assert PROVIDER.plain_body(request, messages) == general


def test_other_forms_go_the_general_way() -> None:
    call = Message("assistant", [ToolCall("1", "f", "{}")])
    two = Message("user", [Text("a"), Text("b")])
    for message in (call, two, Message("user", [])):
        assert PROVIDER.plain_body(ModelRequest([message]), [message]) is None
    said = Message("user", [Text("hi")])
    assert PROVIDER.plain_body(ModelRequest([said], json_mode="on"), [said]) is None


def test_parameters_of_one_request_do_not_serve_the_next() -> None:
    """Sets of parameters are told apart by identity: a new object at an old address must not
    find what was made for its predecessor."""
    said = [Message("user", [Text("hi")])]
    for seed in range(2000):
        request = ModelRequest(said, params=ChatCompletionParams(seed=seed))
        body = PROVIDER.plain_body(request, said)
        assert body is not None
        assert orjson.loads(body)["seed"] == seed


values = st.none() | texts | st.integers(-1, 2**33) | st.lists(texts, max_size=1)
replies = st.fixed_dictionaries(
    {"content": texts | values},
    optional={
        "role": texts,
        "tool_calls": values | st.just([{"id": "1", "function": {"name": "f", "arguments": "{}"}}]),
        "reasoning": values,
        "reasoning_content": values,
        "refusal": values,
    },
)
choices = st.fixed_dictionaries(
    {"message": replies | values}, optional={"finish_reason": st.just("stop") | values}
)
usage = st.fixed_dictionaries(
    {"prompt_tokens": values, "completion_tokens": st.integers(0, 9)},
    optional={"prompt_tokens_details": st.just({"cached_tokens": 3}) | values},
)
completions = st.fixed_dictionaries(
    {"choices": st.lists(choices, max_size=2) | values}, optional={"usage": usage | values}
)


@settings(max_examples=500, deadline=None)
@given(completions)
def test_a_plain_answer_is_what_the_general_way_reads(completion: dict[str, Any]) -> None:
    plain = PROVIDER.plain_answer(orjson.dumps(completion))
    if plain is not None:
        assert plain == PROVIDER.answer(completion, ATTEMPT)


def test_the_common_answer_is_read_the_short_way() -> None:
    reply = {"role": "assistant", "content": "hi", "refusal": None, "annotations": []}
    completion = {
        "choices": [{"index": 0, "message": reply, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    plain = PROVIDER.plain_answer(orjson.dumps(completion))
    assert plain is not None
    assert plain.output == [Text("hi")]
    assert plain.raw_usage == completion["usage"]


deltas = st.fixed_dictionaries(
    {"content": texts | values},
    optional={
        "role": texts,
        "reasoning": values,
        "reasoning_content": values,
        "tool_calls": values,
    },
)
events = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"delta": deltas | values}, optional={"finish_reason": st.just("stop") | values}
            ),
            max_size=2,
        )
        | values
    },
    optional={"usage": usage | values, "id": texts},
)


@settings(max_examples=500, deadline=None)
@given(events)
def test_a_text_delta_is_what_the_general_way_reads(event: dict[str, Any]) -> None:
    data = orjson.dumps(event)
    text = read_text_delta(data)
    if text is not None:
        reader = ChatCompletionsReader(AnswerReader("openai"), "m")
        assert reader.chunk(data) == reader.any_chunk(data)
