"""OpenAI-like types as the clients of a running gateway see them, and what is recorded."""

from __future__ import annotations

from typing import Any

from gateway.api import Api, text
from gateway.scripted import COMPLETION, ENV_KEY, Upstream
from upstream.scripted import DONE, answer, event, stream

TAGS = {"reasoning_format": "think_tags"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4}


def delta(content: str, finish: Any = None) -> bytes:
    return event({"choices": [{"delta": {"content": content}, "finish_reason": finish}]})


def test_a_thought_in_tags_and_its_row(scripted: Api, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": "<think>Hm</think>Hello"}
    choice = {"message": message, "finish_reason": "eos"}
    upstream.say(answer({"choices": [choice], "usage": USAGE}), model="together-x")
    answered = scripted.ok(model_name="together", params={"chat_completion": {"seed": 7}})
    thought = {"type": "thought", "text": "Hm", "provider_type": "together", "extra_data": TAGS}
    assert answered["content"] == [thought, text("Hello")]
    assert answered["finish_reason"] == "stop"
    (seen,) = upstream.seen
    assert seen.line == "POST /v1/chat/completions HTTP/1.1"
    assert seen.headers["authorization"] == f"Bearer {ENV_KEY}"
    row = scripted.model_row(answered["inference_id"])
    assert row["raw_request"].encode() == seen.body
    assert (row["model_provider_name"], row["output_tokens"]) == ("together", 4)
    assert row["output"] == [thought, text("Hello")]


def test_a_stream_with_tags_anywhere_and_its_row(scripted: Api, upstream: Upstream) -> None:
    pieces = ["<th", "ink>Hm", "</think>Hel", "lo <", "b"]
    events = [*map(delta, pieces), delta("", "stop"), event({"choices": [], "usage": USAGE})]
    upstream.say(stream(*events, DONE), model="together-x")
    frames = scripted.stream(model_name="together")
    blocks = [block for one in frames for block in one["content"]]
    assert "".join(one["text"] for one in blocks if one["type"] == "thought") == "Hm"
    assert "".join(one["text"] for one in blocks if one["type"] == "text") == "Hello <b"
    row = scripted.model_row(frames[0]["inference_id"])
    thought = {"type": "thought", "text": "Hm", "provider_type": "together", "extra_data": TAGS}
    assert row["output"] == [thought, text("Hello <b")]
    assert row["raw_response"].count("\n") == len(events) - 1


def test_one_type_stands_in_for_another(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer({"error": {"code": 502}}), model="router-x")
    upstream.say(answer(COMPLETION), model="tgi")
    answered = scripted.ok(model_name="router", include_raw_response=True)
    assert [seen.line for seen in upstream.seen] == [
        "POST /api/v1/chat/completions HTTP/1.1",
        "POST /v1/chat/completions HTTP/1.1",
    ]
    assert [raw["provider_type"] for raw in answered["raw_response"]] == ["openrouter", "tgi"]
    row = scripted.model_row(answered["inference_id"])
    assert row["model_provider_name"] == "second"


def test_a_stream_of_tools_is_not_for_tgi(scripted: Api, upstream: Upstream) -> None:
    """Refused before anything is sent: the error names why, and nothing reached the server."""
    upstream.say(answer(b"no", "500 no"), model="router-x")
    tool = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    error = scripted.refused(
        502,
        "from openrouter server: ",
        "TGI does not support tool use in streaming mode",
        model_name="router",
        stream=True,
        additional_tools=[tool],
    )
    assert "InvalidTool" in str(error["error_json"])
    assert len(upstream.seen) == 1
