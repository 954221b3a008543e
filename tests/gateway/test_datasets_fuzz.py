"""Whatever a datapoint, an update or a filter looks like: it is read, or refused by name."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.datapoints import HELLO, UNKNOWN, chat, extract
from tensorzero.gateway.datasets.from_inferences import parse_request
from tensorzero.gateway.datasets.list import parse_list
from tensorzero.gateway.datasets.request import parse_metadata_update, parse_new, parse_update
from tensorzero.types.errors import InvalidRequest, JsonRequest

CALL = {
    "type": "tool_call",
    "id": "c",
    "raw_name": "n",
    "raw_arguments": "{}",
    "name": None,
    "arguments": None,
}
TOOL = {"type": "function", "name": "t", "description": "d", "parameters": {}, "strict": True}
FULL = chat(
    output=[{"type": "text", "text": "x"}, CALL, {"type": "thought", "text": None}],
    episode_id=UNKNOWN,
    id=UNKNOWN,
    tags={"a": "b"},
    name="n",
    allowed_tools=["t"],
    additional_tools=[TOOL],
    tool_choice={"specific": "t"},
    parallel_tool_calls=True,
    provider_tools=[{"scope": {"model_name": "m"}, "tool": {}}],
)
JSON = extract(id=UNKNOWN, output={"raw": "{}"}, output_schema={"type": "object"})
TAG = {"type": "tag", "key": "k", "value": "v", "comparison_operator": "="}
TIME = {"type": "time", "time": "2026-01-31T12:00:00Z", "comparison_operator": "<"}
LIST = {
    "function_name": "f",
    "limit": 1,
    "page_size": 2,
    "offset": 3,
    "filter": {"type": "and", "children": [TAG, {"type": "not", "child": TIME}]},
    "order_by": [{"by": "timestamp", "direction": "ascending"}],
    "search_query_experimental": "s",
}
FROM = {"type": "inference_ids", "inference_ids": [UNKNOWN], "output_source": "none"}
VALID = [FULL, JSON, LIST, FROM, {"type": "inference_query", **LIST}, HELLO]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with every key of it."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@st.composite
def almost_valid(draw: st.DrawFn) -> Any:
    value = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 2))):
        there = list(places(value))
        if not there:
            break
        container, key = draw(st.sampled_from(there))
        if draw(st.booleans()):
            container[key] = draw(VALUES)
        else:
            del container[key]
    return value


@settings(max_examples=300, deadline=None)
@given(almost_valid() | VALUES)
def test_it_is_read_or_refused(value: Any) -> None:
    for parse in (parse_new, parse_update, parse_metadata_update):
        try:
            parse(value, "datapoints[0]")
        except JsonRequest as error:
            assert "datapoints[0]" in str(error)
    try:
        body = orjson.dumps(value)
    except TypeError:  # an integer that JSON parsers of this gateway do not read either
        return
    for parse_body in (parse_list, parse_request):
        try:
            parse_body(body)
        except (JsonRequest, InvalidRequest) as error:
            assert str(error)


def test_what_is_valid_is_read() -> None:
    assert parse_new(FULL, "").tools == parse_update(FULL, "").tools
    assert parse_new(JSON, "").output_schema == {"type": "object"}
    assert parse_list(orjson.dumps(LIST)).offset == 3
    parse_request(orjson.dumps(FROM))
