"""Answers, streams and errors (checklist 34 to 45)."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from openai_support import FUNCTION, HI, MODEL, OpenAIApi, deltas, joined

from gateway.provider import CUT, USAGE, delta, ending, message, tool_call


def choice(answer: Any) -> Any:
    return answer["choices"][0]


def script(api: OpenAIApi, *events: Any) -> None:
    api.provider.scripts["scripted"] = list(events)


def test_contents(api: OpenAIApi) -> None:
    """Checklist 34."""
    api.provider.scripts["scripted"] = message("Done.")
    assert choice(api.completion("chat")) == {
        "index": 0,
        "finish_reason": "stop",
        "logprobs": None,
        "message": {"role": "assistant", "content": "Done.", "refusal": None, "annotations": []},
    }
    call = tool_call("weather", '{"city": "Oslo"}')
    api.provider.scripts["scripted"] = message(None, "tool_calls", tool_calls=[call])
    found = choice(api.completion("tools"))
    assert (found["finish_reason"], found["message"]["content"]) == ("tool_calls", None)
    assert found["message"]["tool_calls"] == [call]
    found = choice(api.completion(MODEL + "dummy::none"))
    assert found["message"]["content"] is None and "tool_calls" not in found["message"]
    assert choice(api.completion(MODEL + "dummy::empty"))["message"]["content"] == ""


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("stop_sequence", "stop"),
        ("unknown", "stop"),
    ],
)
def test_finish_reasons(api: OpenAIApi, reason: str, told: str) -> None:
    """Section 7.1."""
    model = f"{MODEL}dummy::text?finish={reason}"
    assert choice(api.completion(model))["finish_reason"] == told
    assert choice(api.frames(model)[-1])["finish_reason"] == told


def test_usage(api: OpenAIApi) -> None:
    """Checklist 36."""
    api.provider.scripts["scripted"] = message("x")
    assert api.completion("chat")["usage"] == {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "tensorzero_cost": None,
    }
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 5}}
    api.provider.scripts["scripted"] = message("x", usage=usage)
    priced = api.completion(MODEL + "priced")["usage"]
    assert priced["prompt_tokens_details"] == {"cached_tokens": 5}
    assert priced["tensorzero_cost"] == pytest.approx((11 * 2 + 7 * 4) / 1e6)
    api.provider.scripts["scripted"] = message("x", usage=None)
    assert api.completion("chat")["usage"] == {"tensorzero_cost": None}


def test_thoughts(api: OpenAIApi) -> None:
    """Checklist 37."""
    found = choice(api.completion(MODEL + "dummy::thought?text=Four.&signature=sig"))["message"]
    assert found["content"] == "Four."
    assert found["tensorzero_extra_content"] == [
        {
            "type": "thought",
            "insert_index": 0,
            "text": "The user expects a short answer.",
            "signature": "sig",
            "provider_type": "dummy",
        }
    ]
    found = choice(api.completion(MODEL + "dummy::unknown"))["message"]
    assert found["content"] is None
    assert found["tensorzero_extra_content"] == [
        {
            "type": "unknown",
            "insert_index": 0,
            "data": {"type": "dummy_block"},
            "model_name": "dummy::unknown",
            "provider_name": "dummy",
        }
    ]


def test_raw_data(api: OpenAIApi) -> None:
    """Checklist 38."""
    api.provider.scripts["scripted"] = message("x")
    plain = api.completion(MODEL + "routed")
    assert not [key for key in plain if key.startswith("tensorzero_")]
    answer = api.completion(
        MODEL + "routed",
        **{
            "tensorzero::include_raw_usage": True,
            "tensorzero::include_raw_response": True,
            "tensorzero::include_original_response": True,
        },
    )
    model_id = api.model_row(answer["id"])["id"]
    assert answer["tensorzero_raw_usage"] == [
        {
            "model_inference_id": model_id,
            "provider_type": "openai",
            "api_type": "chat_completions",
            "data": USAGE,
        }
    ]
    failed, good = answer["tensorzero_raw_response"]
    assert failed["data"] == '{"error":{"message":"no"}}' and "model_inference_id" not in failed
    assert good["model_inference_id"] == model_id
    assert good["data"] == answer["tensorzero_original_response"]
    assert "tensorzero_raw_usage" not in answer["usage"]


def test_a_stream(api: OpenAIApi) -> None:
    """Checklist 39 and 40, to the byte."""
    script(api, delta(role="assistant", content=""), delta(content="Hi"), *ending("length"))
    body = {"model": FUNCTION + "chat", "messages": HI, "stream": True}
    answer = api.raw.post(f"{api.base}/chat/completions", json=body)
    parts = answer.text.split("\n\n")
    first = json.loads(parts[0].removeprefix("data: "))
    head = (
        f'{{"id":"{first["id"]}","episode_id":"{first["episode_id"]}",'
        '"choices":[{"index":0,"finish_reason":'
    )
    tail = (
        f'"created":{first["created"]},"model":"{FUNCTION}chat::variant_name::v",'
        '"system_fingerprint":"","service_tier":null,"object":"chat.completion.chunk",'
    )
    assert parts == [
        f'data: {head}null,"logprobs":null,"delta":{{"role":"assistant","content":""}}}}],{tail}"usage":null}}',
        f'data: {head}null,"logprobs":null,"delta":{{"content":"Hi"}}}}],{tail}"usage":null}}',
        f'data: {head}"length","logprobs":null,"delta":{{}}}}],{tail}"usage":null}}',
        "data: [DONE]",
        "",
    ]
    assert abs(first["created"] - time.time()) < 30
    assert api.row(first["id"])["output"] == [{"type": "text", "text": "Hi"}]


def test_usage_of_a_stream(api: OpenAIApi) -> None:
    """Checklist 40 and 43."""
    script(api, delta(content="Hi"), *ending())
    wanted = {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "tensorzero_cost": None,
    }
    raw = {"tensorzero::include_raw_usage": True}
    for fields in ({"stream_options": {"include_usage": True}}, raw):
        usages = [frame["usage"] for frame in api.frames("chat", **fields)]
        assert usages[-1] == wanted and set(map(str, usages[:-1])) == {"None"}
    for options in (None, {}, {"include_usage": False}, {"include_usage": None}):
        frames = api.frames("chat", stream_options=options)
        assert [frame["usage"] for frame in frames] == [None, None]
        if options is not None:
            api.turned_away(400, "include_usage", stream=True, stream_options=options, **raw)
    api.provider.scripts["scripted"] = message("x")
    api.completion("chat", stream_options={"include_usage": False}, **raw)
    script(api, delta(content="Hi"), *ending(usage=None))
    frames = api.frames("chat", stream_options={"include_usage": True})
    assert frames[-1]["usage"] == {"tensorzero_cost": None}


def test_the_last_chunk(api: OpenAIApi) -> None:
    """Checklist 41; no reason is null."""
    script(api, delta(content="{}"), *ending(None))
    last = choice(api.frames("chat")[-1])
    assert (last["delta"], last["finish_reason"]) == ({}, None)
    frames = api.frames("extract", **{"tensorzero::variant_name": "v"})
    assert deltas(frames) == [{"role": "assistant", "content": "{}"}, {"content": ""}]
    assert api.json_row(frames[0]["id"])["output"]["raw"] == "{}"


def test_tool_deltas(api: OpenAIApi) -> None:
    """Checklist 42."""
    second = {"index": 1, **tool_call("weather", "", "call_2")}
    script(
        api,
        delta(tool_calls=[{"index": 0, **tool_call("weather", "")}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city":'}}]),
        delta(tool_calls=[second, {"index": 0, "function": {"arguments": '"Rome"}'}}]),
        *ending("tool_calls"),
    )
    frames = api.frames("tools")

    def call(id: str | None, index: int, name: str, arguments: str) -> dict[str, Any]:
        inner = {"name": name, "arguments": arguments}
        return {"id": id, "index": index, "type": "function", "function": inner}

    assert deltas(frames) == [
        {"role": "assistant", "tool_calls": [call("call_1", 0, "weather", "")]},
        {"tool_calls": [call(None, 0, "", '{"city":')]},
        {"tool_calls": [call("call_2", 1, "weather", ""), call(None, 0, "", '"Rome"}')]},
        {},
    ]
    assert choice(frames[-1])["finish_reason"] == "tool_calls"
    output = api.row(frames[0]["id"])["output"]
    assert output[0]["raw_arguments"] == '{"city":"Rome"}'


def test_thought_deltas(api: OpenAIApi) -> None:
    """Section 8.3: indices count blocks, and stay with their block."""
    script(
        api,
        delta(reasoning_content="Let "),
        delta(content="4"),
        delta(reasoning_content="me"),
        *ending(),
    )
    frames = api.frames("chat")
    found = deltas(frames)
    assert found[0] == {
        "role": "assistant",
        "tensorzero_extra_content": [
            {
                "type": "thought",
                "insert_index": 0,
                "id": found[0]["tensorzero_extra_content"][0]["id"],
                "text": "Let ",
                "signature": None,
                "summary_id": None,
                "summary_text": None,
                "provider_type": "openai",
            }
        ],
    }
    assert found[1] == {"content": "4"}
    assert found[2]["tensorzero_extra_content"][0]["insert_index"] == 0
    extra = deltas(api.frames(MODEL + "dummy::unknown"))[0]["tensorzero_extra_content"]
    assert extra == [
        {
            "type": "unknown",
            "insert_index": 0,
            "id": "0",
            "data": {"type": "dummy_block"},
            "model_name": "dummy::unknown",
            "provider_name": "dummy",
        }
    ]


def test_raw_data_of_a_stream(api: OpenAIApi) -> None:
    """Checklist 44."""
    script(api, delta(content="Hi"), *ending())
    frames = api.frames(
        MODEL + "routed",
        **{
            "tensorzero::include_raw_response": True,
            "tensorzero::include_original_response": True,
            "tensorzero::include_raw_usage": True,
        },
    )
    failed = frames[0]
    assert choice(failed)["delta"] == {"role": "assistant"}
    # A stream that never began has no body to show but the refusal's text.
    assert [entry["provider_type"] for entry in failed["tensorzero_raw_response"]] == ["openai"]
    chunks = [frame["tensorzero_raw_chunk"] for frame in frames if "tensorzero_raw_chunk" in frame]
    assert json.loads(chunks[0]) == delta(content="Hi")
    assert all(
        frame["tensorzero_original_chunk"] == frame["tensorzero_raw_chunk"]
        for frame in frames
        if "tensorzero_raw_chunk" in frame
    )
    (usage,) = [
        frame["tensorzero_raw_usage"] for frame in frames if "tensorzero_raw_usage" in frame
    ]
    assert usage[0]["data"] == USAGE
    assert "tensorzero_raw_usage" not in frames[-1]
    plain = api.frames("chat")
    assert not [key for frame in plain for key in frame if key.startswith("tensorzero_")]


@pytest.mark.parametrize("model", ["status-500", "garbage", "dead", "dummy::error?status=400"])
def test_a_failure_before_the_first_chunk(api: OpenAIApi, model: str) -> None:
    """Checklist 45."""
    text = api.turned_away(502, model=MODEL + model, stream=True)
    assert text.startswith("All variants failed")


def test_a_failure_within(api: OpenAIApi) -> None:
    """Checklist 45: an error frame, then the rest."""
    script(api, delta(content="Hi"), "{broken", delta(content="!"), *ending())
    frames = api.frames("chat")
    assert [("error" in frame) for frame in frames] == [False, True, False, False]
    assert frames[1]["error"]["message"].startswith("Error from openai server: Error parsing chunk")
    assert list(frames[1]) == ["error"] and list(frames[1]["error"]) == ["message"]
    assert joined(frames) == "Hi!"
    assert choice(frames[-1])["finish_reason"] == "stop"
    frames = api.frames("chat", **{"tensorzero::include_raw_response": True})
    assert frames[1]["tensorzero_raw_chunk"] == "{broken"
    script(api, delta(content="Hi"), CUT)
    frames = api.frames("chat")
    assert "error" in frames[1]
    assert api.row(frames[0]["id"])["output"] == [{"type": "text", "text": "Hi"}]


def test_a_client_that_leaves(api: OpenAIApi) -> None:
    """The record is complete all the same."""
    script(api, delta(content="He"), 0.5, delta(content="llo"), *ending())
    body = {"model": FUNCTION + "chat", "messages": HI, "stream": True}
    with httpx.stream("POST", f"{api.base}/chat/completions", json=body) as answer:
        first = next(answer.iter_lines())
    chunk = json.loads(first.removeprefix("data: "))
    assert api.row(chunk["id"])["output"] == [{"type": "text", "text": "Hello"}]


def test_statuses(api: OpenAIApi) -> None:
    """Section 9: a provider's status never leaks through."""
    for model in ("status-401", "status-429", "status-500", "garbage", "cut", "dead"):
        api.turned_away(502, "All variants failed", model=MODEL + model)
    pinned = {"tensorzero::variant_name": "one"}
    api.turned_away(500, "All model providers failed", model="allbad", **pinned)
    for stream in (False, True):
        pinned = {"tensorzero::variant_name": "variant"}
        api.turned_away(408, "timed out", model="late", stream=stream, **pinned)


def test_raw_responses_of_failures(api: OpenAIApi) -> None:
    """Section 9."""
    fields = {"tensorzero::include_raw_response": True}
    answer = api.chat(MODEL + "status-500", **fields)
    assert answer.json()["tensorzero_raw_response"] == [
        {
            "provider_type": "openai",
            "api_type": "chat_completions",
            "data": '{"error":{"message":"no"}}',
        }
    ]
    assert list(api.chat(FUNCTION + "nope", **fields).json()) == ["error"]


def test_errors_as_json(debugging: OpenAIApi) -> None:
    """Section 9, under a base path and without recording."""
    answer = debugging.chat("nope").json()
    kind = {"UnknownFunction": {"name": "nope"}}
    assert answer["error"] == {
        "message": "Unknown function: nope",
        "error_json": kind,
        "tensorzero_error_json": kind,
    }
    script(debugging, delta(content="Hi"), "{broken", *ending())
    frames = debugging.frames("chat")
    assert list(frames[1]["error"]["error_json"]) == ["InferenceServer"]
    root = debugging.gateway.url
    answer = debugging.client.post(f"{root}/openai/v1/chat/completions", json={})
    assert (answer.status_code, answer.json()["error"]) == (
        404,
        "Route not found: POST /openai/v1/chat/completions",
    )
    assert debugging.raw.get(f"{root}/p/openai/v1/models").is_success
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    messages = [{"role": "user", "content": [image]}]
    debugging.turned_away(500, "object storage", messages=messages)


def test_metrics(api: OpenAIApi) -> None:
    """Section 10: counted like any inference."""
    name = 'tensorzero_requests_total{endpoint="inference",function_name="zero"} '

    def count() -> int:
        text = api.client.get(f"{api.url}/metrics").text
        found = [line for line in text.splitlines() if line.startswith(name)]
        return int(found[0].rpartition(" ")[2]) if found else 0

    api.provider.scripts["scripted"] = message("x")
    before = count()
    api.completion("zero")
    api.completion("zero", **{"tensorzero::dryrun": True})
    assert count() == before + 1
