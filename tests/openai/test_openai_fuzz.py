"""Whatever the body, no 500 of ours: an answer, or a refusal in OpenAI's form."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai_support import EMBEDDING, FUNCTION, MODEL, OpenAIApi

from tensorzero.api.openai.request import _FIELDS, _OTHER, _PARAMS

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(
    [
        *("text", "image_url", "file", "input_audio", "tensorzero::template"),
        *("tensorzero::raw_text", "refusal", "user", "assistant", "system", "developer", "tool"),
        *("function", "custom", "allowed_tools", "auto", "none", "required", "json_schema"),
        *("thought", "unknown", "data:image/png;base64,AAAA", "https://example.invalid/x", "low"),
    ]
)
KEYS = st.sampled_from(
    [
        *("type", "text", "content", "role", "name", "arguments", "value", "image_url", "url"),
        *("file", "file_data", "input_audio", "data", "format", "tool_calls", "id", "function"),
        *("tool_call_id", "tensorzero_extra_content", "insert_index", "tensorzero::arguments"),
        *("parameters", "strict", "description", "custom", "allowed_tools", "mode", "tools"),
        *("json_schema", "schema", "detail", "filename", "summary", "chat_completion", "pointer"),
        *("delete", "enabled", "max_age_s", "include_usage", "scope", "tool", "model_name"),
    ]
)
NEAR = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)
"""What looks like a part of a request."""

BLOCKS = st.dictionaries(KEYS, NEAR, max_size=3).flatmap(
    lambda block: st.tuples(st.just(block), WORDS).map(lambda pair: {**pair[0], "type": pair[1]})
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": WORDS, "content": st.text() | st.lists(BLOCKS | NEAR, max_size=3) | NEAR},
        optional={
            "tool_calls": st.lists(BLOCKS, max_size=2) | NEAR,
            "tool_call_id": st.text() | WORDS,
            "tensorzero_extra_content": st.lists(BLOCKS, max_size=2) | NEAR,
        },
    )
    | NEAR,
    max_size=4,
)
MODELS = st.sampled_from(
    [FUNCTION + "two", FUNCTION + "typed", FUNCTION + "tools", MODEL + "dummy::json", MODEL, "x"]
)
NAMES = sorted({*_FIELDS, *_PARAMS, *_OTHER} - {"model", "messages"})
BODIES = st.builds(
    lambda model, messages, fields: {"model": model, "messages": messages, **fields},
    MODELS,
    MESSAGES,
    st.dictionaries(st.sampled_from(NAMES) | st.text(), NEAR | JSON, max_size=3),
)
BOUNDED = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def send(api: OpenAIApi, route: str, body: Any) -> None:
    """The transport checks the form of every answer."""
    try:
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except ValueError:
        return
    answer = api.raw.post(f"{api.base}/{route}", content=data)
    text = answer.text
    # A provider that cannot serve what it is asked for is a 502; a file without store, a
    # template without variable are the contract's own 500s.
    assert answer.status_code in (200, 400, 404, 502), text
    assert "unexpected error" not in text


@BOUNDED
@given(body=BODIES)
def test_chat_completions(api: OpenAIApi, body: Any) -> None:
    send(api, "chat/completions", body)


@BOUNDED
@given(body=JSON)
def test_any_json(api: OpenAIApi, body: Any) -> None:
    send(api, "chat/completions", body)
    send(api, "embeddings", body)


@BOUNDED
@given(
    fields=st.dictionaries(
        st.sampled_from(
            [
                *("input", "dimensions", "encoding_format", "user", "tensorzero::credentials"),
                *("tensorzero::dryrun", "tensorzero::include_raw_response"),
                "tensorzero::cache_options",
            ]
        ),
        JSON | st.lists(st.text() | st.integers(0, 9) | st.lists(st.integers(0, 9))),
        max_size=4,
    )
)
def test_embeddings(api: OpenAIApi, fields: Any) -> None:
    if type(fields.get("dimensions")) is int:
        del fields["dimensions"]  # a size that the provider refuses is a failure of its own
    send(api, "embeddings", {"model": EMBEDDING + "small", "input": "x", **fields})


@BOUNDED
@given(data=st.binary(max_size=80))
def test_bytes(api: OpenAIApi, data: bytes) -> None:
    for route in ("chat/completions", "embeddings"):
        answer = api.raw.post(f"{api.base}/{route}", content=data)
        assert answer.status_code == 400
