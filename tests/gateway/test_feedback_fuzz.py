"""Whatever is sent as feedback is a typed request or a refusal, and what is stored can be read."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.gateway.demonstration import chat_demonstration, json_demonstration
from tensorzero.gateway.feedback_request import FeedbackRequest, parse_feedback
from tensorzero.types.errors import GatewayError, InvalidRequest
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import FunctionTool, ToolCallConfig

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXTS | st.floats()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8
)
FIELDS = ["metric_name", "value", "inference_id", "episode_id", "tags", "internal", "dryrun", "x"]
LIKELY = (
    VALUES
    | st.just("solved")
    | st.just("0190f000-0000-7000-8000-000000000001")
    | st.dictionaries(TEXTS, TEXTS)
    | st.booleans()
)
WEATHER = FunctionTool("weather", "weather", "", JSONSchema({"type": "object"}))
TOOLS = ToolCallConfig((WEATHER,))
KEYS = st.sampled_from(["type", "text", "id", "name", "arguments", "more"])
BLOCKS = st.dictionaries(
    KEYS, VALUES | st.sampled_from(["text", "tool_call", "weather", "thought"]), max_size=6
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), LIKELY) | VALUES)
def test_bodies(body: Any) -> None:
    try:
        request = parse_feedback(orjson.dumps(body))
    except GatewayError as error:
        assert error.status == 400
        return
    assert isinstance(request, FeedbackRequest)
    assert set(body) <= set(FIELDS) - {"x"}
    assert request.metric_name == body["metric_name"]
    assert request.tags == (body.get("tags") or {})


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes(body: bytes) -> None:
    try:
        parse_feedback(body)
    except GatewayError as error:
        assert error.status == 400


@settings(max_examples=400, deadline=None)
@given(VALUES | st.lists(BLOCKS, max_size=3))
def test_demonstrations(value: Any) -> None:
    value = orjson.loads(orjson.dumps(value))
    try:
        stored = json.loads(chat_demonstration(value, TOOLS))
    except InvalidRequest:
        pass
    else:
        sent = [{"type": "text", "text": value}] if isinstance(value, str) else value
        assert len(stored) == len(sent)
        for block, given_block in zip(stored, sent, strict=True):
            assert block["type"] == given_block["type"]
            if block["type"] == "text":
                assert block == given_block
            else:
                assert json.loads(block["raw_arguments"]) == block["arguments"]
                assert block["arguments"] == given_block["arguments"]
                assert block["raw_name"] == block["name"] == "weather"
    stored = orjson.loads(json_demonstration(value, "f", "{}"))
    assert orjson.loads(stored["raw"]) == stored["parsed"] == value
