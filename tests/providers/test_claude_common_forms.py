"""What of the Messages API is read or written the short way is what the general way makes of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.claude import MODEL, SCHEMA, USAGE, VERTEX_OPTIONS, says
from tensorzero.config.credentials import NoCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.providers.anthropic import AnthropicProvider
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.failures import BadAnswer
from tensorzero.providers.gcp_vertex_anthropic import GCPVertexAnthropicProvider
from tensorzero.providers.messages_api.answers import read_plain_answer
from tensorzero.providers.messages_api.events import MessagesReader, read_text_delta
from tensorzero.providers.messages_api.provider import MessagesProvider
from tensorzero.types.content import Message, Text, ToolCall
from tensorzero.types.credentials import Credentials
from tensorzero.types.model import Attempt, ModelRequest, TextChunk
from tensorzero.types.params import ChatCompletionParams
from tzcore.client import Pool

CONTEXT = ProviderContext(Pool(user_agent=b"test"), 1000)
TOOL = {"type": "web_search_20250305", "name": "web_search"}
OPTIONS = {"model_name": MODEL}


def anthropic(**options: Any) -> AnthropicProvider:
    return AnthropicProvider(
        CONTEXT, ProviderConfig("p", "x", {**OPTIONS, **options}, NoCredential())
    )


PROVIDERS: list[MessagesProvider] = [
    anthropic(),
    anthropic(model_name='of "ours"', provider_tools=[TOOL]),
    GCPVertexAnthropicProvider(CONTEXT, ProviderConfig("p", "x", VERTEX_OPTIONS, NoCredential())),
]
every = pytest.mark.parametrize("provider", PROVIDERS, ids=["anthropic", "tools", "vertex"])
ATTEMPT = Attempt("m", "p", "0190f000-0000-7000-8000-000000000009", Credentials())

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
    top_p=st.none() | st.floats(0, 1),
    max_tokens=st.none() | st.integers(0, 100),
    stop_sequences=st.none() | st.lists(texts, max_size=2).map(tuple),
    reasoning_effort=st.none() | texts,
    thinking_budget_tokens=st.none() | st.integers(-1, 9),
    service_tier=st.sampled_from([None, "auto", "flex"]),
)


@every
@settings(max_examples=100, deadline=None)
@given(
    st.lists(single, max_size=4),
    st.none() | texts,
    params,
    st.booleans(),
    st.sampled_from(["off", "on", "strict"]),
    st.sampled_from(["chat", "json"]),
    st.sampled_from([None, SCHEMA]),
)
def test_the_same_bytes_as_the_general_way(
    provider: MessagesProvider,
    messages: list[Message],
    system: str | None,
    chosen: ChatCompletionParams,
    stream: bool,
    mode: Any,
    kind: Any,
    schema: Any,
) -> None:
    request = ModelRequest(
        messages,
        system,
        params=chosen,
        stream=stream,
        json_mode=mode,
        function_type=kind,
        output_schema=schema,
    )
    general = orjson.dumps(provider.body_for(request, messages, {}, ATTEMPT))
    for _ in range(2):  # made, then taken from what was kept
        assert provider.plain_body(request, messages) == general


@every
def test_one_set_of_parameters_serves_every_kind_of_call(provider: MessagesProvider) -> None:
    """What is kept for a call must not serve one that differs in anything but its messages."""
    said, chosen = [Message("user", [Text("hi")])], ChatCompletionParams(temperature=0.5)
    for stream in (False, True):
        for mode in ("off", "on", "strict"):
            for kind in ("chat", "json"):
                for schema in (None, SCHEMA):
                    fields: Any = {"json_mode": mode, "function_type": kind}
                    fields |= {"stream": stream, "output_schema": schema, "params": chosen}
                    request = ModelRequest(said, **fields)
                    general = provider.body_for(request, said, {}, ATTEMPT)
                    assert provider.plain_body(request, said) == orjson.dumps(general)


def test_other_forms_go_the_general_way() -> None:
    provider = PROVIDERS[0]
    call = Message("assistant", [ToolCall("1", "f", "{}")])
    two = Message("user", [Text("a"), Text("b")])
    for message in (call, two, Message("user", [])):
        assert provider.plain_body(ModelRequest([message]), [message]) is None


def test_what_no_text_is_goes_the_general_way() -> None:
    said = [Message("user", [Text("hi")])]
    assert PROVIDERS[0].plain_body(ModelRequest(said, "\ud800"), said) is None


blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "x"]) | values},
    optional={"text": texts | values, "citations": values, "thinking": texts},
)
usages = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": st.integers(-1, 2**33) | values,
        "output_tokens": values,
        "cache_read_input_tokens": values,
        "cache_creation_input_tokens": values,
    },
)
answers = st.fixed_dictionaries(
    {"content": st.lists(blocks | values, max_size=2) | values},
    optional={
        "usage": usages | values,
        "stop_reason": st.sampled_from(["end_turn", "refusal"]) | values,
        "id": values,
        "type": values,
    },
)


@settings(max_examples=300, deadline=None)
@given(answers)
def test_a_plain_answer_is_what_the_general_way_reads(body: dict[str, Any]) -> None:
    plain = read_plain_answer(orjson.dumps(body))
    if plain is not None:
        assert plain == PROVIDERS[0].answer(body, ATTEMPT)


def test_the_common_answer_is_read_the_short_way() -> None:
    plain = read_plain_answer(orjson.dumps(says("hi")))
    assert plain is not None
    assert (plain.output, plain.raw_usage, plain.finish_reason) == ([Text("hi")], USAGE, "stop")


deltas = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_delta", "thinking_delta", "input_json_delta"]) | values},
    optional={"text": texts | values, "thinking": texts, "partial_json": texts},
)
events = st.fixed_dictionaries(
    {"type": st.sampled_from(["content_block_delta", "ping", "message_delta"]) | values},
    optional={
        "index": st.integers(-(2**40), 2**63) | st.floats(0, 3) | st.just(1.0) | values,
        "delta": deltas | values,
        "usage": usages | values,
    },
)
pieces = deltas.map(lambda delta: {"type": "content_block_delta", "index": 0, "delta": delta})


@settings(max_examples=300, deadline=None)
@given(events | pieces)
def test_a_text_delta_is_what_the_general_way_reads(event: dict[str, Any]) -> None:
    data = orjson.dumps(event)
    text = read_text_delta(data)
    if text is not None:
        reader = MessagesReader(
            ATTEMPT, "anthropic", prefilled=False, discards_unknown=False, shows_discarded=False
        )
        chunk = reader.any_chunk(data)
        assert chunk is not None
        assert chunk == reader.chunk(data) and chunk.content == [text]


def test_the_common_delta_is_read_the_short_way() -> None:
    event = {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "text_delta", "text": "a"},
    }
    assert read_text_delta(orjson.dumps(event)) == TextChunk("2", "a")


SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
KINDS = [
    *("message_start", "content_block_start", "content_block_delta", "message_delta", "error"),
    *("content_block_stop", "message_stop", "ping", "x"),
]
PARTS = [
    *("text", "tool_use", "thinking", "redacted_thinking", "text_delta", "input_json_delta"),
    *("thinking_delta", "signature_delta", "x"),
]
strange = st.fixed_dictionaries(
    {"type": st.sampled_from(PARTS) | trees},
    optional=dict.fromkeys(
        ("text", "id", "name", "input", "thinking", "signature", "data", "partial_json"), trees
    ),
)
strange_events = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | trees},
    optional={
        "index": st.integers(0, 2) | trees,
        "delta": strange | trees,
        "content_block": strange | trees,
        "message": st.fixed_dictionaries({"usage": usages | trees}) | trees,
        "usage": usages | trees,
        "error": trees,
    },
)


@SLOW
@given(st.lists(strange_events | trees, max_size=4), st.booleans(), st.booleans())
def test_no_event_breaks_a_reader(given: list[Any], prefilled: bool, discards: bool) -> None:
    reader = MessagesReader(
        ATTEMPT, "anthropic", prefilled=prefilled, discards_unknown=discards, shows_discarded=True
    )
    for one in given:
        with suppress(BadAnswer):
            chunk = reader.chunk(orjson.dumps(one))
            assert chunk is None or isinstance(chunk.raw, str)


@SLOW
@given(st.fixed_dictionaries({"content": st.lists(strange | trees, max_size=3)}) | trees)
def test_no_answer_breaks_a_reader(body: Any) -> None:
    """A body whose content is a list is read whole: a block for each."""
    content = body.get("content") if isinstance(body, dict) else None
    if isinstance(content, list):
        assert len(PROVIDERS[0].answer(body, ATTEMPT).output) == len(content)
    else:
        with pytest.raises(ValueError, match="missing field `content`"):
            PROVIDERS[0].answer(body, ATTEMPT)
