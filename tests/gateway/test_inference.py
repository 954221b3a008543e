"""``POST /inference`` over a real socket, against a real gateway and a real provider."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from gateway.provider import Provider
from gateway.running import Gateway

HELLO = {"messages": [{"role": "user", "content": "hi"}]}


def body(**fields: Any) -> dict[str, Any]:
    return {"input": HELLO, **fields}


def frames(gateway: Gateway, request: dict[str, Any]) -> list[Any]:
    answer = gateway.post({**request, "stream": True})
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_answer_and_rows(gateway: Gateway, provider: Provider) -> None:
    answer = gateway.post(body(function_name="chat", tags={"user_id": "7"})).json()
    assert answer["content"] == [{"type": "text", "text": "Hello!"}]
    assert answer["usage"] == {"input_tokens": 11, "output_tokens": 7, "cost": None}
    assert answer["variant_name"] == "v"
    sent = provider.requests[-1][1]
    assert sent == (
        '{"messages":[{"role":"user","content":"hi"}],"model":"ok","temperature":0.1,'
        '"stream":false}'
    )
    inference_id = answer["inference_id"]
    gateway.wait_for(
        f"SELECT count() FROM InferenceById WHERE id_uint = toUInt128(toUUID('{inference_id}'))",
        "1",
    )
    rows = gateway.query(
        "SELECT input, output, inference_params, tool_params, extra_body, tags['user_id'], "
        f"isNull(ttft_ms) FROM ChatInference WHERE id = '{inference_id}' FORMAT TSVRaw"
    )
    assert rows == [
        [
            '{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}',
            '[{"type":"text","text":"Hello!"}]',
            '{"chat_completion":{"temperature":0.1}}',
            "",
            "[]",
            "7",
            "1",
        ]
    ]
    models = gateway.query(
        "SELECT raw_request, model_name, model_provider_name, input_tokens, function_name "
        f"FROM ModelInference WHERE inference_id = '{inference_id}' FORMAT TSVRaw"
    )
    assert models == [[sent, "ok", "p", "11", "chat"]]


def test_snapshot_hash_is_the_status_hash(gateway: Gateway) -> None:
    status = httpx.get(f"{gateway.url}/status").json()
    gateway.wait_for("SELECT toString(hash) FROM ConfigSnapshot FINAL", status["config_hash"])


def test_stream(gateway: Gateway) -> None:
    chunks = frames(gateway, body(function_name="chat"))
    assert len({chunk["inference_id"] for chunk in chunks}) == 1
    text = "".join(b["text"] for chunk in chunks for b in chunk["content"])
    assert text == "Hello!"
    assert [("usage" in chunk) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["finish_reason"] == "stop"
    inference_id = chunks[0]["inference_id"]
    gateway.wait_for(
        f"SELECT isNotNull(ttft_ms) FROM ChatInference WHERE id = '{inference_id}'", "1"
    )


def test_cut_stream_ends_with_error_frame_and_is_recorded(gateway: Gateway) -> None:
    chunks = frames(gateway, body(model_name="cut-stream"))
    assert any("error" in chunk for chunk in chunks)
    assert chunks[-1]["usage"]["input_tokens"] is None
    inference_id = chunks[0]["inference_id"]
    gateway.wait_for(f"SELECT count() FROM ChatInference WHERE id = '{inference_id}'", "1")


@pytest.mark.parametrize("model", ["status-500", "status-429", "garbage", "cut"])
def test_provider_faults_never_leak_their_status(gateway: Gateway, model: str) -> None:
    answer = gateway.post(body(model_name=model))
    assert answer.status_code == 502
    assert "All variants failed" in answer.json()["error"]
    assert gateway.post(body(model_name=model, stream=True)).status_code == 502


def test_fallback_to_the_next_variant(gateway: Gateway) -> None:
    answer = gateway.post(body(function_name="fallback", include_raw_response=True)).json()
    assert answer["variant_name"] == "good"
    first, second = answer["raw_response"]
    assert "model_inference_id" not in first
    assert second["model_inference_id"]
    pinned = gateway.post(body(function_name="fallback", variant_name="bad"))
    assert pinned.status_code == 500
    assert "Error from openai server" in pinned.json()["error"]


def test_json_function(gateway: Gateway) -> None:
    good = gateway.post(body(function_name="extract", variant_name="v")).json()
    assert good["output"] == {"raw": '{"name":"text"}', "parsed": {"name": "text"}}
    bad = gateway.post(body(function_name="extract", variant_name="broken")).json()
    assert bad["output"] == {"raw": "this is { not JSON", "parsed": None}


def test_schema_and_template(gateway: Gateway) -> None:
    given = {
        "messages": [{"role": "user", "content": [{"type": "text", "arguments": {"name": "Ann"}}]}]
    }
    answer = gateway.post({"function_name": "typed", "input": given}).json()
    assert answer["content"][0]["text"] == "Name: Ann"
    refused = gateway.post(body(function_name="typed"))
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("JSON Schema validation failed")
    assert 'is not of type "object"' in refused.json()["error"]


def test_tool_call_is_checked(gateway: Gateway) -> None:
    answer = gateway.post(body(function_name="tools")).json()
    assert answer["content"] == [
        {
            "type": "tool_call",
            "id": "call_1",
            "raw_name": "weather",
            "raw_arguments": '{"city":"Lyon"}',
            "name": "weather",
            "arguments": {"city": "Lyon"},
        }
    ]


REFUSED: list[tuple[Any, int, str]] = [
    ({}, 400, "missing field `input`"),
    (body(), 400, "Invalid inference target"),
    (body(function_name="nope"), 404, "Unknown function: nope"),
    (body(function_name="chat", variant_name="nope"), 404, "Unknown variant: nope"),
    (body(function_name="chat", model_name="ok"), 400, "Only one of"),
    (body(model_name="nope"), 400, "'nope' not found"),
    (body(function_name="chat", bogus=1), 400, "unknown field `bogus`"),
    (body(function_name="chat", stream="yes"), 400, "stream: invalid type: string"),
    (body(function_name="chat", tags={"tensorzero::x": "1"}), 400, "tensorzero::x"),
    (body(function_name="chat", namespace=""), 400, "Namespace identifier"),
    (body(function_name="chat", episode_id="nope"), 400, "episode_id"),
    (
        body(function_name="chat", episode_id="7f3b2a10-9c1d-4e5f-8a6b-1c2d3e4f5a6b"),
        400,
        "Failed to parse UUID as v7",
    ),
    (body(function_name="chat", include_aggregated_response=True), 400, "stream"),
    (body(function_name="extract", tool_choice="auto"), 400, "tool_choice"),
    (body(function_name="chat", allowed_tools=["nope"]), 400, "Tool not found: nope"),
    (
        {"function_name": "chat", "input": {"messages": [{"role": "system", "content": "x"}]}},
        400,
        "input.messages[0].role",
    ),
    (
        {
            "function_name": "chat",
            "input": {"messages": [{"role": "user", "content": [{"type": "x"}]}]},
        },
        400,
        "input.messages[0].content[0]",
    ),
]


@pytest.mark.parametrize(("request_body", "status", "text"), REFUSED)
def test_refusals(gateway: Gateway, request_body: Any, status: int, text: str) -> None:
    answer = gateway.post(request_body)
    assert answer.status_code == status, answer.text
    assert text in answer.json()["error"]
    assert answer.headers["x-tensorzero-gateway-version"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"input":' + b"[" * 2000]
)
def test_bodies_that_are_not_json(gateway: Gateway, content: bytes) -> None:
    answer = httpx.post(f"{gateway.url}/inference", content=content)
    assert answer.status_code == 400
    assert "Failed to parse the request body as JSON" in answer.json()["error"]
    assert gateway.post(body(function_name="chat")).status_code == 200


def test_codings(gateway: Gateway) -> None:
    packed = gzip.compress(json.dumps(body(function_name="chat")).encode())
    url = f"{gateway.url}/inference"
    assert httpx.post(url, content=packed, headers={"content-encoding": "gzip"}).status_code == 200
    assert httpx.post(url, content=b"x", headers={"content-encoding": "gzip"}).status_code == 400
    assert httpx.post(url, content=b"x", headers={"content-encoding": "deflate"}).status_code == 415


def test_other_routes(gateway: Gateway) -> None:
    health = httpx.get(f"{gateway.url}/health")
    assert health.status_code == 200
    assert set(health.json().values()) == {"ok"}
    missing = httpx.get(f"{gateway.url}/nope?x=1")
    assert (missing.status_code, missing.json()) == (404, {"error": "Route not found: GET /nope"})
    wrong = httpx.get(f"{gateway.url}/inference")
    assert (wrong.status_code, wrong.content, wrong.headers["allow"]) == (405, b"", "POST")


def test_dryrun_leaves_no_row(gateway: Gateway) -> None:
    answer = gateway.post(body(function_name="chat", dryrun=True)).json()
    marker = gateway.post(body(function_name="chat")).json()["inference_id"]
    gateway.wait_for(f"SELECT count() FROM ChatInference WHERE id = '{marker}'", "1")
    assert gateway.query(
        f"SELECT count() FROM ChatInference WHERE id = '{answer['inference_id']}'"
    ) == [["0"]]


def test_a_client_that_leaves_loses_no_record(gateway: Gateway) -> None:
    before = int(
        gateway.query("SELECT count() FROM ChatInference WHERE variant_name = 'slow'")[0][0]
    )
    with httpx.stream(
        "POST", f"{gateway.url}/inference", json=body(model_name="slow", stream=True)
    ) as answer:
        next(answer.iter_lines())
    gateway.wait_for(
        "SELECT count() FROM ChatInference WHERE variant_name = 'slow' AND output LIKE '%Hello!%'",
        str(before + 1),
    )
