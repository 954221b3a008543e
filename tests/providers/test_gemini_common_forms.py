"""What of Gemini is read or written the short way is what the general way makes of it."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.gemini import USAGE, VERTEX_OPTIONS, says
from tensorzero.config.credentials import NoCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.gcp_vertex_gemini import GCPVertexGeminiProvider
from tensorzero.providers.gemini.plain import read_counted_text_delta, read_text_delta
from tensorzero.providers.gemini.provider import GeminiProvider
from tensorzero.providers.gemini.streams import GeminiReader
from tensorzero.providers.google_ai_studio_gemini import GoogleAIStudioGeminiProvider
from tensorzero.types.content import Message, Text, ToolCall
from tensorzero.types.credentials import Credentials
from tensorzero.types.model import Attempt, ModelRequest
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.schema import JSONSchema
from tzcore.client import Pool

CONTEXT = ProviderContext(Pool(user_agent=b"test"), 1000)
PROVIDERS: list[GeminiProvider] = [
    GoogleAIStudioGeminiProvider(
        CONTEXT, ProviderConfig("p", "x", {"model_name": "gemini"}, NoCredential())
    ),
    GCPVertexGeminiProvider(CONTEXT, ProviderConfig("p", "x", VERTEX_OPTIONS, NoCredential())),
]
both = pytest.mark.parametrize("provider", PROVIDERS, ids=["studio", "vertex"])
ATTEMPT = Attempt("m", "p", "0190f000-0000-7000-8000-000000000009", Credentials())
SCHEMA = JSONSchema({"type": "object", "additionalProperties": False})

texts = st.text()
values = st.none() | st.booleans() | st.integers(-1, 9) | texts | st.just({}) | st.just([])
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
    thinking_budget_tokens=st.none() | st.integers(-1, 9),
)


@both
@settings(max_examples=200, deadline=None)
@given(
    st.lists(single, max_size=4),
    st.none() | texts,
    params,
    st.booleans(),
    st.sampled_from(["off", "on", "strict"]),
    st.sampled_from([None, SCHEMA]),
)
def test_the_same_bytes_as_the_general_way(
    provider: GeminiProvider,
    messages: list[Message],
    system: str | None,
    chosen: ChatCompletionParams,
    stream: bool,
    mode: Any,
    schema: JSONSchema | None,
) -> None:
    request = ModelRequest(
        messages, system, params=chosen, stream=stream, json_mode=mode, output_schema=schema
    )
    general = orjson.dumps(provider.body(request, messages, {}))
    for _ in range(2):  # made, then taken from what was kept
        assert provider.plain_body(request, messages) == general


@both
def test_other_forms_go_the_general_way(provider: GeminiProvider) -> None:
    call = Message("assistant", [ToolCall("1", "f", "{}")])
    two = Message("user", [Text("a"), Text("b")])
    for message in (call, two, Message("user", [])):
        assert provider.plain_body(ModelRequest([message]), [message]) is None


@both
def test_parameters_of_one_request_do_not_serve_the_next(provider: GeminiProvider) -> None:
    """Sets of parameters are told apart by identity: a new object at an old address must not
    find what was made for its predecessor."""
    said = [Message("user", [Text("hi")])]
    for seed in range(600):
        request = ModelRequest(said, params=ChatCompletionParams(seed=seed))
        assert f'"seed":{seed}}}'.encode() in (provider.plain_body(request, said) or b"")


@both
def test_schemas_of_one_request_do_not_serve_the_next(provider: GeminiProvider) -> None:
    said = [Message("user", [Text("hi")])]
    for number in range(600):
        schema = JSONSchema({"type": "object", "title": str(number)})
        request = ModelRequest(said, json_mode="strict", output_schema=schema)
        title = f'"title":"{number}"'.encode()
        assert title in (provider.plain_body(request, said) or b"")
        assert title in orjson.dumps(provider.body(request, said, {}))


parts = st.fixed_dictionaries(
    {"text": texts | values},
    optional={
        "thought": values,
        "thoughtSignature": values,
        "functionCall": values | st.just({"name": "f", "args": {"a": 1}}),
        "videoMetadata": values,
    },
)
contents = st.fixed_dictionaries(
    {"parts": st.lists(parts | values, max_size=2) | values}, optional={"role": values}
)
candidates = st.fixed_dictionaries(
    {"content": contents | values}, optional={"finishReason": st.just("STOP") | values}
)
usage = st.fixed_dictionaries(
    {},
    optional={
        "promptTokenCount": values,
        "candidatesTokenCount": st.integers(0, 9),
        "thoughtsTokenCount": values,
        "trafficType": texts,
    },
)
answers = st.fixed_dictionaries(
    {"candidates": st.lists(candidates | values, max_size=2) | values},
    optional={
        "usageMetadata": usage | values,
        "promptFeedback": st.just({"blockReason": "SAFETY"}) | values,
        "responseId": texts,
    },
)


@both
@settings(max_examples=300, deadline=None)
@given(answers)
def test_a_plain_answer_is_what_the_general_way_reads(
    provider: GeminiProvider, body: dict[str, Any]
) -> None:
    plain = provider.plain_answer(orjson.dumps(body))
    if plain is not None:
        assert plain == provider.answer(body, ATTEMPT)


@both
@settings(max_examples=300, deadline=None)
@given(answers)
def test_a_text_delta_is_what_the_general_way_reads(
    provider: GeminiProvider, event: dict[str, Any]
) -> None:
    data = orjson.dumps(event)
    reader = provider.reader(ATTEMPT)
    assert isinstance(reader, GeminiReader)
    if reader.text_delta(data) is not None:
        assert reader.chunk(data) == reader.any_chunk(data)


odd = st.recursive(
    values | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("candidates", "content", "parts", "text", "thought", "thoughtSignature"),
                    *("functionCall", "name", "args", "finishReason", "usageMetadata", "error"),
                    *("promptFeedback", "blockReason", "promptTokenCount", "inlineData"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@both
@settings(max_examples=150, deadline=None)
@given(odd | answers)
def test_whatever_comes_is_read_or_refused(provider: GeminiProvider, body: Any) -> None:
    """Nothing but a reason comes out of an answer that makes no sense."""
    data = orjson.dumps(body)
    reader = provider.reader(ATTEMPT)
    for read in (lambda: provider.answer(body, ATTEMPT), lambda: reader.chunk(data)):
        with contextlib.suppress(ValueError):
            read()
    with contextlib.suppress(ValueError):
        provider.plain_answer(data)


def test_the_common_forms_are_read_the_short_way() -> None:
    whole = orjson.dumps(says("hi"))
    for provider in PROVIDERS:
        plain = provider.plain_answer(whole)
        assert plain is not None
        assert plain.output == [Text("hi")]
    event = orjson.dumps(says("hi", finish=None))
    assert read_text_delta(event) == ("hi", None)
    assert read_counted_text_delta(event) == ("hi", USAGE)
    assert read_text_delta(whole) is None
    assert read_counted_text_delta(whole) is None
