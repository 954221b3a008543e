"""Whatever a client sends: an answer or a 4xx, never a 5xx of our own, never a hang."""

from __future__ import annotations

import copy
import json
import socket
import struct
import time
from typing import Any

import httpx
import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api import HELLO, Api
from tensorzero.gateway.request import InferenceRequest, parse_inference_request
from tensorzero.types.errors import GatewayError
from tensorzero.types.json_text import MAX_DEPTH, loads
from tensorzero.types.params import single_precision
from tzcore.nesting import nesting

QUICK = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
OVER_A_SOCKET = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))

texts = st.text(max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, anything, max_size=4)


def fields(required: dict[str, Any], optional: dict[str, Any] | None = None) -> Any:
    return st.fixed_dictionaries(required, optional=optional or {})


blocks = st.one_of(
    fields({"type": st.just("text"), "text": texts}),
    fields({"type": st.just("text"), "arguments": objects}),
    fields({"type": st.just("template"), "name": texts, "arguments": objects}),
    fields({"type": st.just("raw_text"), "value": texts}),
    fields(
        {"type": st.just("tool_call"), "id": texts, "name": texts, "arguments": texts | objects}
    ),
    fields(
        {"type": st.just("tool_call"), "id": texts, "raw_name": texts, "raw_arguments": texts},
        {"name": st.none() | texts, "arguments": st.none(), "extra": anything},
    ),
    fields({"type": st.just("tool_result"), "id": texts, "name": texts, "result": texts}),
    fields(
        {"type": st.just("thought")},
        {
            "text": st.none() | texts,
            "signature": st.none() | texts,
            "summary": st.lists(fields({"type": st.just("summary_text"), "text": texts})),
            "provider_type": texts,
            "extra_data": anything,
        },
    ),
    fields({"type": st.just("unknown"), "data": anything}, {"model_name": st.none() | texts}),
    fields(
        {
            "type": st.sampled_from(["file", "image"]),
            "file_type": st.just("base64"),
            "data": st.binary(max_size=8).map(lambda data: b"iVBORw0KGgo=".decode()),
            "mime_type": st.sampled_from(["image/png", "application/pdf", "x/y"]),
        },
        {"detail": st.sampled_from(["low", "high", "auto"]), "filename": texts},
    ),
)
messages = fields(
    {
        "role": st.sampled_from(["user", "assistant"]),
        "content": texts | objects | st.lists(blocks, max_size=3),
    }
)
tools = fields(
    {"name": texts, "description": texts, "parameters": objects}, {"strict": st.booleans()}
)
pointers = st.lists(st.sampled_from(["a", "0", "-", "messages", "~1", ""]), max_size=4).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
requests = fields(
    {"input": fields({"messages": st.lists(messages, max_size=3)}, {"system": texts | objects})},
    {
        "function_name": st.sampled_from(["chat", "typed", "named", "legacy", "extract", "tools"]),
        "stream": st.booleans(),
        "dryrun": st.booleans(),
        "tags": st.dictionaries(texts, texts, max_size=2),
        "params": fields(
            {},
            {
                "chat_completion": fields(
                    {},
                    {
                        "temperature": st.floats(0, 2),
                        "max_tokens": st.integers(0, 2**32 - 1),
                        "stop_sequences": st.lists(texts, max_size=2),
                        "json_mode": st.sampled_from(["off", "on", "strict", "tool"]),
                        "reasoning_effort": texts,
                    },
                )
            },
        ),
        "additional_tools": st.lists(tools, max_size=2),
        "tool_choice": st.sampled_from(["none", "auto", "required", {"specific": "weather"}]),
        "parallel_tool_calls": st.booleans(),
        "output_schema": objects,
        "credentials": st.dictionaries(texts, texts, max_size=2),
        "extra_body": st.lists(fields({"pointer": pointers, "value": anything}), max_size=2),
        "extra_headers": st.lists(fields({"name": texts, "value": texts}), max_size=2),
        "include_raw_response": st.booleans(),
        "include_raw_usage": st.booleans(),
        "include_original_response": st.booleans(),
        "cache_options": fields({}, {"enabled": st.sampled_from(["on", "off"])}),
    },
)


servable = fields(
    {
        "function_name": st.sampled_from(["chat", "tools", "legacy", "edited"]),
        "input": fields(
            {
                "messages": st.lists(
                    fields(
                        {
                            "role": st.sampled_from(["user", "assistant"]),
                            "content": texts
                            | st.lists(
                                fields({"type": st.just("text"), "text": texts})
                                | fields({"type": st.just("raw_text"), "value": texts})
                                | fields({"type": st.just("unknown"), "data": anything}),
                                max_size=3,
                            ),
                        }
                    ),
                    max_size=3,
                )
            },
            {"system": texts},
        ),
    },
    {
        "stream": st.booleans(),
        "tags": st.dictionaries(texts, texts, max_size=2),
        "output_schema": objects,
        "extra_body": st.lists(fields({"pointer": st.just("/x"), "value": anything}), max_size=2),
        "params": fields({"chat_completion": fields({}, {"temperature": st.floats(0, 2)})}),
        "include_raw_response": st.booleans(),
        "include_raw_usage": st.booleans(),
    },
)
"""Requests that are answered with 200."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(entry, (*path, key))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid request in which one to three values were replaced, removed or joined by others."""
    request = copy.deepcopy(draw(requests))
    for _ in range(draw(st.integers(1, 3))):
        found = places(request)
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        parent = request
        for step in way:
            parent = parent[step]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            parent[last] = draw(anything)
        elif action == "remove":
            del parent[last]
        elif isinstance(parent, dict):
            parent[draw(texts)] = draw(anything)
        else:
            parent.append(draw(anything))
    return request


def parsed_or_refused(body: bytes) -> InferenceRequest | None:
    """The request; ``None`` for a refusal, which must be a 4xx with a text."""
    try:
        request = parse_inference_request(body)
    except GatewayError as error:
        assert 400 <= error.status < 500
        assert str(error)
        orjson.dumps(error.to_json())
        return None
    assert isinstance(request, InferenceRequest)
    return request


def encoded(value: Any) -> bytes:
    """JSON as Python writes it; integers of any size."""
    return json.dumps(value).encode()


@QUICK
@given(requests)
def test_valid_requests_are_taken(request_body: Any) -> None:
    request = parsed_or_refused(encoded(request_body))
    assert request is not None
    stored = request.input.to_json()
    assert len(stored["messages"]) == len(request_body["input"]["messages"])
    for message, given_message in zip(
        stored["messages"], request_body["input"]["messages"], strict=True
    ):
        if isinstance(given_message["content"], list):
            assert len(message["content"]) == len(given_message["content"])


@QUICK
@given(mutated())
def test_mutated_requests_are_taken_or_refused(request_body: Any) -> None:
    parsed_or_refused(encoded(request_body))


@QUICK
@given(anything | st.dictionaries(st.sampled_from(["input", "tags", "params"]), anything))
def test_any_json_is_taken_or_refused(value: Any) -> None:
    parsed_or_refused(encoded(value))


@QUICK
@given(st.binary(max_size=60) | requests.map(encoded).flatmap(lambda b: st.just(b[: len(b) // 2])))
def test_any_bytes_are_refused(body: bytes) -> None:
    parsed_or_refused(body)


@QUICK
@given(anything, st.integers(0, 140))
def test_nesting_is_measured_exactly(value: Any, levels: int) -> None:
    def depth(node: Any) -> int:
        inner = node.values() if isinstance(node, dict) else node
        return 1 + max(map(depth, inner), default=0) if isinstance(node, dict | list) else 0

    body = b"[" * levels + encoded(value) + b"]" * levels
    assert nesting(body) == levels + depth(value)
    if nesting(body) > MAX_DEPTH:
        try:
            loads(body)
        except ValueError as error:
            assert "127" in str(error)
        else:
            raise AssertionError("too deep, and taken")


@QUICK
@given(st.floats(-3e38, 3e38))
def test_parameters_keep_32_bits(value: float) -> None:
    rounded = single_precision(value)
    (wanted,) = struct.unpack("<f", struct.pack("<f", value))
    assert struct.unpack("<f", struct.pack("<f", rounded)) == (wanted,)
    assert len(repr(rounded)) <= len(repr(wanted))


OWN_FAILURES = ("All variants failed", "All model providers failed")
"""How the failure of a provider or a template reads: what a valid request may also meet."""


def check_answer(answer: httpx.Response) -> str | None:
    """The id of an answered inference."""
    if answer.status_code == 200:
        if answer.headers["content-type"] == "application/json":
            return str(answer.json()["inference_id"])
        assert answer.text.endswith("data: [DONE]\n\n")
        return str(json.loads(answer.text.split("\n\n")[0].removeprefix("data: "))["inference_id"])
    error = answer.json()["error"]
    assert "Internal error" not in error, (answer.request.content, error)
    if answer.status_code >= 500:
        assert error.startswith(OWN_FAILURES), (answer.request.content, error)
    return None


def test_mutated_requests_over_a_socket(api: Api) -> None:
    """And every answered one is recorded, whatever was in it."""
    answered: list[str] = []
    client = httpx.Client(timeout=20)

    @OVER_A_SOCKET
    @given(servable | requests | mutated())
    def send(request_body: Any) -> None:
        found = check_answer(client.post(f"{api.url}/inference", content=encoded(request_body)))
        if found is not None and not request_body.get("dryrun"):
            answered.append(found)

    send()
    assert api.client.get(f"{api.url}/health").status_code == 200
    assert len(answered) > 10
    ids = "[" + ",".join(f"'{inference_id}'" for inference_id in answered) + "]"
    ends = time.monotonic() + 30
    while True:
        (found,) = api.sql(
            "SELECT count() AS n FROM (SELECT id FROM ChatInference UNION ALL "
            "SELECT id FROM JsonInference) WHERE id IN {ids:Array(UUID)}",
            ids=ids,
        )
        if int(found["n"]) == len(answered):
            break
        assert time.monotonic() < ends, (found, answered)
        time.sleep(0.1)
    assert not (api.data_dir / "quarantine" / "rows.jsonl").exists()


def test_any_bytes_over_a_socket(api: Api) -> None:
    """Bodies of bytes and requests of bytes: the next request works."""
    host, port = api.gateway.url.removeprefix("http://").split(":")
    client = httpx.Client(timeout=20)

    @OVER_A_SOCKET
    @given(st.binary(max_size=200))
    def send(body: bytes) -> None:
        assert client.post(f"{api.url}/inference", content=body).status_code == 400

    @OVER_A_SOCKET
    @given(st.binary(max_size=200))
    def talk(data: bytes) -> None:
        with socket.create_connection((host, int(port)), timeout=20) as link:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            while link.recv(65536):
                pass

    send()
    talk()
    assert api.ok(function_name="chat", input=HELLO)
