"""Streamed answers (checklist 39 to 44)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from gateway.api import HELLO, Api, text
from gateway.provider import CUT, USAGE, delta, ending, tool_call


@pytest.fixture(scope="module")
def quiet(api: Api) -> Iterator[Future[str]]:
    """The text of a stream that is silent for 15.6 s, beside the other tests of this file."""
    begun = threading.Event()
    api.provider.scripts["second"] = [delta(content="a"), 15.6, delta(content="b"), *ending()]

    def read() -> str:
        body = {"model_name": "second", "input": HELLO, "stream": True}
        with httpx.stream("POST", f"{api.url}/inference", json=body, timeout=60) as answer:
            text = ""
            for part in answer.iter_text():
                text += part
                begun.set()
        return text

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(read)
        assert begun.wait(30)
        yield future


def script(api: Api, *events: Any) -> None:
    api.provider.scripts["scripted"] = list(events)


def contents(frames: list[Any]) -> list[dict[str, Any]]:
    return [block for frame in frames for block in frame.get("content", [])]


@pytest.mark.usefixtures("quiet")
def test_every_chunk(api: Api) -> None:
    """Checklist 39: ids in every chunk, usage and finish reason in the last alone."""
    script(
        api,
        delta(role="assistant", content=""),
        delta(content="He"),
        delta(content="llo"),
        *ending("length"),
    )
    answer = api.post(function_name="chat", stream=True)
    parts = answer.text.split("\n\n")
    first = json.loads(parts[0].removeprefix("data: "))
    head = (
        f'{{"inference_id":"{first["inference_id"]}","episode_id":"{first["episode_id"]}",'
        '"variant_name":"v",'
    )
    assert parts == [
        f'data: {head}"content":[{{"type":"text","id":"0","text":""}}]}}',
        f'data: {head}"content":[{{"type":"text","id":"0","text":"He"}}]}}',
        f'data: {head}"content":[{{"type":"text","id":"0","text":"llo"}}]}}',
        f'data: {head}"content":[],"usage":{{"input_tokens":11,"output_tokens":7,"cost":null}},'
        '"finish_reason":"length"}',
        "data: [DONE]",
        "",
    ]
    sent = api.provider.last
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}


def test_the_rows_of_a_stream(api: Api) -> None:
    """Section 15."""
    script(api, delta(content="He"), 0.1, delta(content="llo"), *ending())
    frames = api.stream(function_name="chat")
    row = api.row(frames[0]["inference_id"])
    assert row["output"] == [text("Hello")]
    assert 0 <= row["ttft_ms"] <= row["processing_time_ms"] - 90
    model = api.model_row(frames[0]["inference_id"])
    assert model["output"] == [text("Hello")]
    events = model["raw_response"].split("\n")
    assert [json.loads(event)["choices"] for event in events][-1] == []
    assert "[DONE]" not in model["raw_response"]
    assert "data:" not in model["raw_response"]
    assert 0 <= model["ttft_ms"] <= model["response_time_ms"]
    assert (model["input_tokens"], model["output_tokens"]) == (11, 7)


def test_tool_deltas(api: Api) -> None:
    """Checklist 40, section 13.2."""
    second = {"index": 1, **tool_call("weather", "", "call_2")}
    script(
        api,
        delta(tool_calls=[{"index": 0, **tool_call("weather", "")}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city":'}}]),
        delta(tool_calls=[second, {"index": 0, "function": {"arguments": '"Rome"}'}}]),
        delta(tool_calls=[{"index": 1, "function": {"arguments": "{}"}}]),
        *ending("tool_calls"),
    )
    frames = api.stream(function_name="tools", include_aggregated_response=True)
    blocks = contents(frames)
    assert blocks[0] == {
        "type": "tool_call",
        "id": "call_1",
        "raw_name": "weather",
        "raw_arguments": "",
    }
    assert [block["id"] for block in blocks] == ["call_1", "call_1", "call_2", "call_1", "call_2"]
    assert [block["raw_name"] for block in blocks] == ["weather", "", "weather", "", ""]
    merged = frames[-1]["aggregated_response"]
    assert [(block["id"], block["raw_arguments"], block["arguments"]) for block in merged] == [
        ("call_1", '{"city":"Rome"}', {"city": "Rome"}),
        ("call_2", "{}", None),
    ]
    assert api.row(frames[0]["inference_id"])["output"] == merged


def test_thoughts(api: Api) -> None:
    """Section 13.2: four fields always written; merged by kind and id."""
    script(
        api,
        delta(reasoning_content="Let "),
        delta(reasoning_content="me"),
        delta(content="x"),
        *ending(),
    )
    frames = api.stream(function_name="chat")
    assert contents(frames)[0] == {
        "type": "thought",
        "id": "1",
        "text": "Let ",
        "signature": None,
        "summary_id": None,
        "summary_text": None,
        "provider_type": "openai",
    }
    output = api.row(frames[0]["inference_id"])["output"]
    assert output == [
        {"type": "thought", "text": "Let me", "provider_type": "openai"},
        text("x"),
    ]


def test_unknown_chunks(api: Api) -> None:
    """Section 13.2."""
    frames = api.stream(model_name="dummy::unknown")
    assert contents(frames) == [
        {
            "type": "unknown",
            "id": "0",
            "data": {"type": "dummy_block"},
            "model_name": "dummy::unknown",
            "provider_name": "dummy",
        }
    ]
    assert api.row(frames[0]["inference_id"])["output"][0]["data"] == {"type": "dummy_block"}


def test_a_json_stream(api: Api) -> None:
    """Checklist 41: the deltas make the row's raw text; empty ones are swallowed."""
    script(
        api,
        delta(content=""),
        delta(reasoning_content="hm"),
        delta(content='{"name"'),
        delta(content=':"Ann"}'),
        *ending(),
    )
    frames = api.stream(function_name="extract", variant_name="v", include_aggregated_response=True)
    assert all("content" not in frame for frame in frames)
    assert [frame["raw"] for frame in frames] == ['{"name"', ':"Ann"}', ""]
    wanted = {"raw": '{"name":"Ann"}', "parsed": {"name": "Ann"}}
    assert frames[-1]["aggregated_response"] == wanted
    row = api.json_row(frames[0]["inference_id"])
    assert row["output"] == wanted
    assert [block["type"] for block in row["auxiliary_content"]] == ["thought"]


def test_a_json_stream_of_the_forced_tool(api: Api) -> None:
    """Section 13.2: tool-argument deltas are `raw` too."""
    script(
        api,
        delta(tool_calls=[{"index": 0, **tool_call("respond", "")}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"name":"B"}'}}]),
        *ending("tool_calls"),
    )
    frames = api.stream(function_name="extract", variant_name="tool")
    assert [frame["raw"] for frame in frames] == ['{"name":"B"}', ""]
    assert api.json_row(frames[0]["inference_id"])["output"]["parsed"] == {"name": "B"}


@pytest.mark.parametrize(
    ("function", "model", "status"),
    [
        (None, "status-500", 502),
        (None, "status-429", 502),
        (None, "garbage", 502),
        (None, "cut", 502),
        (None, "dead", 502),
        (None, "dummy::error?status=400", 502),
    ],
)
def test_a_failure_before_the_first_chunk(
    api: Api, function: str | None, model: str, status: int
) -> None:
    """Checklist 42: plain JSON with its status."""
    body = api.refused(status, "All variants failed", model_name=model, stream=True)
    assert list(body) == ["error"]


def test_an_empty_stream_and_a_first_event_that_is_an_error(api: Api) -> None:
    """Checklist 42."""
    for events in (["[DONE]"], [], [CUT], ["{broken"]):
        script(api, *events)
        api.refused(500, function_name="chat", variant_name="v", stream=True)
    script(api, "[DONE]")
    body = api.refused(502, "Stream ended before first chunk", function_name="chat", stream=True)
    assert "Error from openai server" in body["error"]


def test_a_bad_event_in_the_middle(api: Api) -> None:
    """Checklist 42: an error frame, then the rest."""
    script(api, delta(content="a"), "{broken", delta(content="b"), *ending())
    frames = api.stream(function_name="chat", include_raw_response=True)
    kinds = ["error" if "error" in frame else "content" for frame in frames]
    assert kinds[:3] == ["content", "error", "content"]
    assert list(frames[1]) == ["error", "raw_chunk"]
    assert frames[1]["raw_chunk"] == "{broken"
    assert frames[-1]["usage"]["input_tokens"] == 11
    assert api.row(frames[0]["inference_id"])["output"] == [text("ab")]


def test_a_stream_that_breaks_off(api: Api) -> None:
    """Checklist 42: error frame, usage chunk, `[DONE]`, and a row with what had arrived."""
    script(api, delta(content="a"), delta(content="b"), CUT)
    frames = api.stream(function_name="chat")
    assert "error" not in frames[1]
    assert list(frames[2]) == ["error"]
    assert frames[2]["error"].startswith("Inference stream closed due to error from openai server")
    assert frames[3]["usage"] == {"input_tokens": None, "output_tokens": None, "cost": None}
    assert "finish_reason" not in frames[3]
    assert len(frames) == 4
    row = api.row(frames[0]["inference_id"])
    assert row["output"] == [text("ab")]
    assert api.model_row(frames[0]["inference_id"])["input_tokens"] is None


def test_a_stream_that_ends_early_but_cleanly_is_no_error(api: Api) -> None:
    """Section 13.4."""
    script(api, delta(content="a"))
    frames = api.stream(function_name="chat")
    assert len(frames) == 2
    assert frames[1]["usage"] == {"input_tokens": None, "output_tokens": None, "cost": None}
    assert api.row(frames[0]["inference_id"])["output"] == [text("a")]


def test_usage_is_the_maximum_over_the_chunks(api: Api) -> None:
    """Section 13.3."""
    script(
        api,
        {**delta(content="a"), "usage": {"prompt_tokens": 9, "completion_tokens": 1}},
        {**delta(content="b"), "usage": {"prompt_tokens": 5, "completion_tokens": 4}},
        "[DONE]",
    )
    frames = api.stream(function_name="chat", include_raw_usage=True)
    assert frames[-1]["usage"] == {"input_tokens": 9, "output_tokens": 4, "cost": None}
    assert "raw_usage" not in frames[-1]
    assert [frame["raw_usage"][0]["data"]["prompt_tokens"] for frame in frames[:-1]] == [9, 5]


def test_the_cost_of_a_stream(api: Api) -> None:
    script(api, delta(content="a"), *ending())
    frames = api.stream(model_name="priced")
    assert frames[-1]["usage"]["cost"] == 0.00005
    assert float(api.model_row(frames[0]["inference_id"])["cost"]) == 0.00005


def test_aggregated_response_needs_a_stream(api: Api) -> None:
    """Checklist 43."""
    for stream in (False, None):
        body = api.refused(
            400, "stream", function_name="chat", stream=stream, include_aggregated_response=True
        )
        assert "include_aggregated_response" in body["error"]
    frames = api.stream(function_name="chat", include_aggregated_response=True)
    assert ["aggregated_response" in frame for frame in frames] == [False] * (len(frames) - 1) + [
        True
    ]
    assert frames[-1]["aggregated_response"] == [text("Hello!")]
    assert list(frames[-1])[-1] == "aggregated_response"


def test_raw_chunks(api: Api) -> None:
    """Section 13.3: with raw text asked for nothing is swallowed."""
    events = [delta(content="a"), delta(), *ending()]
    script(api, *events)
    frames = api.stream(
        function_name="chat", include_raw_response=True, include_original_response=True
    )
    assert [json.loads(frame["raw_chunk"]) for frame in frames[:-1]] == events[:-1]
    assert [frame["original_chunk"] for frame in frames[:-1]] == [
        frame["raw_chunk"] for frame in frames[:-1]
    ]
    assert all("usage" not in frame and "finish_reason" not in frame for frame in frames[:-1])
    assert "raw_chunk" not in frames[-1]
    assert frames[-1]["finish_reason"] == "stop"
    script(api, *events)
    assert len(api.stream(function_name="chat")) == 2


def test_raw_usage_rides_on_the_chunk_that_reported_it(api: Api) -> None:
    """Section 13.3."""
    script(api, delta(content="a"), *ending())
    frames = api.stream(function_name="chat", include_raw_usage=True)
    assert ["raw_usage" in frame for frame in frames] == [False, True, False]
    model = api.model_row(frames[0]["inference_id"])
    assert frames[1]["raw_usage"] == [
        {
            "model_inference_id": model["id"],
            "provider_type": "openai",
            "api_type": "chat_completions",
            "data": USAGE,
        }
    ]
    assert frames[1]["content"] == []


def test_failed_attempts_come_in_early_chunks(api: Api) -> None:
    """Section 13.3: failed variants, then failed providers of the one that answers."""
    frames = api.stream(function_name="ordered", include_raw_response=True)
    assert frames[0]["content"] == []
    assert [list(entry) for entry in frames[0]["raw_response"]] == [
        ["provider_type", "api_type", "data"]
    ]
    assert all("raw_response" not in frame for frame in frames[1:])
    frames = api.stream(function_name="routed", include_raw_response=True)
    assert len(frames[0]["raw_response"]) == 1
    assert "raw_response" not in api.stream(function_name="routed")[0]


def test_ttft_covers_failed_variants(api: Api) -> None:
    """Section 15: receipt to first chunk, fallbacks included."""
    frames = api.stream(model_name="dummy::text?ttft_ms=120&chunks=2&interval_ms=50")
    row = api.row(frames[0]["inference_id"])
    assert row["ttft_ms"] >= 120
    assert row["processing_time_ms"] >= row["ttft_ms"] + 50


def leave_after_one_chunk(api: Api, **fields: Any) -> str:
    body = json.dumps({"input": HELLO, "stream": True, **fields}).encode()
    host, port = api.gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as link:
        link.sendall(
            b"POST /inference HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        data = b""
        while b"data: {" not in data or not data.endswith(b"\n\n\r\n"):
            data += link.recv(4096)
    line = data[data.index(b"data: ") + 6 :].split(b"\n")[0]
    inference_id: str = json.loads(line)["inference_id"]
    return inference_id


def test_a_client_that_leaves_after_one_chunk(api: Api) -> None:
    """Checklist 44: the rows are complete, the log says so."""
    script(api, delta(content="a"), 0.3, delta(content="b"), 0.1, delta(content="c"), *ending())
    inference_id = leave_after_one_chunk(api, function_name="chat")
    row = api.row(inference_id)
    assert row["output"] == [text("abc")]
    assert api.model_row(inference_id)["output_tokens"] == 7
    assert "Client closed the connection before the response was sent" in api.log


def test_a_client_that_leaves_before_the_answer(api: Api) -> None:
    """Section 1.2: the inference runs to its end."""
    body = json.dumps({"model_name": "slow", "input": HELLO, "tags": {"mark": "left"}}).encode()
    host, port = api.gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as link:
        link.sendall(
            b"POST /inference HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        time.sleep(0.2)
    ends = time.monotonic() + 30
    while not api.sql("SELECT id FROM ChatInference WHERE tags['mark'] = 'left'"):
        assert time.monotonic() < ends
        time.sleep(0.1)


def test_deadlines_of_streams(api: Api) -> None:
    """Section 13.4: before the first chunk an ordinary 408, later an error frame."""
    api.refused(
        408,
        "`variant`",
        "`streaming.ttft_ms`",
        "100ms",
        function_name="late",
        variant_name="variant",
        stream=True,
    )
    frames = api.stream(function_name="late", variant_name="stream")
    errors = [frame["error"] for frame in frames if "error" in frame]
    assert len(errors) == 1
    assert "`streaming.total_ms`" in errors[0]
    assert "500ms" in errors[0]
    assert "usage" in frames[-1]
    assert api.row(frames[0]["inference_id"])["output"] == [text("Hello"[:3] + "lo"[:2])]


def test_a_silent_stream_is_kept_alive(quiet: Future[str]) -> None:
    """Section 13.1: a comment after 15 s of silence, and none while chunks come."""
    lines = [line for line in quiet.result(timeout=60).split("\n") if line]
    assert lines[1] == ":"
    assert lines.count(":") == 1
    assert '"text":"b"' in lines[2]
