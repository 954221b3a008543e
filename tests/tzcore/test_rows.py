"""Rows written in one pass hold what a dictionary serialized by orjson would hold, byte for byte."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.types.content import Input, InputMessage, Message, Template, Text, ToolCall
from tensorzero.types.model import ProviderResponse
from tensorzero.types.usage import Usage
from tzcore.rows import RowWriter

texts = st.text() | st.text(
    st.sampled_from('"\\\x00\x01\b\t\n\f\r\x1f\x7fé€𝄞abcdefgh '), max_size=80
)
blocks = st.one_of(
    texts.map(Text),
    st.builds(Template, texts, st.dictionaries(texts, texts, max_size=2)),
    st.builds(ToolCall, texts, texts, texts),
)
roles = st.sampled_from(["user", "assistant"])
inputs = st.builds(
    Input,
    st.lists(st.builds(InputMessage, roles, st.lists(blocks, max_size=3)), max_size=3),
    st.none() | texts | st.dictionaries(texts, texts, max_size=2),
)
counts = st.none() | st.integers(0, 2**32 - 1)
WRITER = RowWriter(Text)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


@settings(max_examples=300, deadline=None)
@given(
    inputs, texts, st.integers(0, 2**40), counts, st.dictionaries(texts, texts), st.lists(blocks)
)
def test_a_chat_row_is_what_orjson_writes(
    given_input: Input,
    name: str,
    processing: int,
    ttft: int | None,
    tags: dict[str, str],
    output: list[Any],
) -> None:
    row = WRITER.chat(
        *("id", name, "v", "e", given_input, '{"chat_completion":{}}', processing, ttft),
        *(tags, "[]", "1", output, {"tool_params": name}),
    )
    assert row == orjson.dumps(
        {
            "id": "id",
            "function_name": name,
            "variant_name": "v",
            "episode_id": "e",
            "input": _json(given_input.to_json()),
            "inference_params": '{"chat_completion":{}}',
            "processing_time_ms": processing,
            "ttft_ms": ttft,
            "tags": tags,
            "extra_body": "[]",
            "snapshot_hash": "1",
            "output": _json([block.to_json() for block in output]),
            "tool_params": name,
        }
    )


@settings(max_examples=200, deadline=None)
@given(inputs, texts, texts, st.lists(blocks, max_size=3))
def test_a_json_row_is_what_orjson_writes(
    given_input: Input, output: str, schema: str, auxiliary: list[Any]
) -> None:
    row = WRITER.json(
        "id", "f", "v", "e", given_input, "{}", 7, None, {}, "[]", "1", output, schema, auxiliary
    )
    assert row == orjson.dumps(
        {
            "id": "id",
            "function_name": "f",
            "variant_name": "v",
            "episode_id": "e",
            "input": _json(given_input.to_json()),
            "inference_params": "{}",
            "processing_time_ms": 7,
            "ttft_ms": None,
            "tags": {},
            "extra_body": "[]",
            "snapshot_hash": "1",
            "output": output,
            "output_schema": schema,
            "auxiliary_content": _json([block.to_json() for block in auxiliary]),
        }
    )


@settings(max_examples=200, deadline=None)
@given(
    st.builds(Message, roles, st.lists(blocks, max_size=2)),
    st.lists(blocks, max_size=2),
    *(texts, texts, counts, counts, counts, st.none() | texts, st.booleans()),
    st.none() | st.floats(0, 1e6),
)
def test_a_model_row_is_what_orjson_writes(
    message: Message,
    output: list[Any],
    raw_request: str,
    raw_response: str,
    tokens_in: int | None,
    tokens_out: int | None,
    cache_read: int | None,
    system: str | None,
    cached: bool,
    cost: float | None,
) -> None:
    usage = Usage(tokens_in, tokens_out, cache_read)
    response = ProviderResponse(
        "m", output, raw_request, raw_response, usage, None, "stop", 12, [message], system, None
    )
    expected = {
        "id": "m",
        "inference_id": "i",
        "function_name": "f",
        "variant_name": "v",
        "raw_request": raw_request,
        "raw_response": raw_response,
        "model_name": "model",
        "model_provider_name": "provider",
        "input_tokens": tokens_in or None,
        "output_tokens": tokens_out or None,
        "response_time_ms": 12,
        "ttft_ms": None,
        "system": system,
        "input_messages": _json([message.to_json()]),
        "output": _json([block.to_json() for block in output]),
        "cached": cached,
        "finish_reason": "stop",
        "snapshot_hash": "1",
        "cost": cost,
    }
    if cache_read is not None:
        expected["provider_cache_read_input_tokens"] = cache_read
    row = WRITER.model("i", "f", "v", "1", "model", "provider", cached, response, cost)
    assert row == orjson.dumps(expected)


def test_a_long_text_with_escapes_everywhere_is_written_whole() -> None:
    text = '"\\\x01\n' * 30_000 + "é" * 30_000
    row = WRITER.json(
        "id", "f", "v", "e", Input([], text), "{}", 7, None, {}, "[]", "1", text, "", []
    )
    assert orjson.loads(row)["output"] == text
    assert orjson.loads(orjson.loads(row)["input"])["system"] == text
