"""Bodies of batch requests, and lines of providers' files, whatever they hold."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.config.credentials import NoCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.gateway.batch.request import BatchRequest, entry, parse_batch_request
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.failures import UNREADABLE
from tensorzero.providers.openai import OpenAIProvider
from tensorzero.providers.openai_batch import OpenAIBatches
from tensorzero.types.batch import BatchResult
from tensorzero.types.errors import InvalidRequest, JsonRequest

SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 2**33) | st.floats(allow_nan=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
HELLO = {"messages": [{"role": "user", "content": "hi"}]}
LISTS: dict[str, list[Any]] = {
    "episode_ids": [None, "0190f000-0000-7000-8000-000000000001"],
    "tags": [None, {"a": "b"}],
    "allowed_tools": [None, ["t"]],
    "additional_tools": [None, []],
    "provider_tools": [None, [{"tool": {}}]],
    "tool_choice": [None, "auto"],
    "parallel_tool_calls": [None, True],
    "output_schemas": [None, {}],
}
PARAMS: dict[str, list[Any]] = {
    "temperature": [None, 0.5],
    "seed": [7, None],
    "stop_sequences": [["a"], []],
    "reasoning_effort": ["low", None],
}


@given(
    st.dictionaries(st.sampled_from([*LISTS, "params", "credentials", "variant_name"]), VALUES),
    st.dictionaries(st.sampled_from(list(PARAMS)), VALUES),
)
@settings(max_examples=150, deadline=None)
def test_any_field_is_read_or_refused_by_its_name(
    fields: dict[str, Any], params: dict[str, Any]
) -> None:
    body: dict[str, Any] = {"function_name": "f", "inputs": [HELLO, HELLO]}
    body |= LISTS | {"params": {"chat_completion": PARAMS | params}} | fields
    try:
        request = parse_batch_request(orjson.dumps(body))
        request.check_lengths()
        request.check_params()
    except JsonRequest as error:
        assert any(name in str(error) for name in (*LISTS, "params", "credentials", "variant_name"))
    except InvalidRequest as error:
        assert "vector length" in str(error)
    else:
        assert isinstance(request, BatchRequest)
        for name in LISTS:
            for index in range(3):
                entry(getattr(request, name), index)


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused(body: bytes) -> None:
    try:
        parse_batch_request(body)
    except JsonRequest:
        return
    raise AssertionError("no such body is a batch")


def _batches() -> OpenAIBatches:
    context = ProviderContext(pool=None, global_timeout_ms=1000)  # type: ignore[arg-type]  # unused
    options = {"model_name": "m", "api_base": "http://127.0.0.1:9/v1/"}
    config = ProviderConfig("p", "openai", options, NoCredential())
    return OpenAIBatches(OpenAIProvider(context, config))


BATCHES = _batches()
BODY = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": {}}


@given(
    VALUES | st.just("0190f000-0000-7000-8000-000000000001"),
    VALUES | st.fixed_dictionaries({"body": VALUES | st.just(BODY)}),
    st.dictionaries(st.sampled_from(["choices", "usage", "id"]), VALUES),
)
@settings(max_examples=200, deadline=None)
def test_any_line_of_answers_is_read_or_skipped(custom_id: Any, response: Any, more: Any) -> None:
    if isinstance(response, dict) and response.get("body") is BODY:
        response = {"body": BODY | more}
    line = orjson.dumps({"custom_id": custom_id, "response": response})
    try:
        result = BATCHES._result(line)
    except UNREADABLE:
        return
    assert isinstance(result, BatchResult)
    assert result.inference_id == custom_id
