"""Providers as the clients of a running gateway see them, and what is recorded of them."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import orjson
import pytest

from gateway.api import HELLO, Api
from gateway.scripted import COMPLETION, ENV_KEY, Upstream
from upstream.scripted import CLOSE, DONE, RESET, Script, answer, event, stream


def delta(**fields: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields}]})


def usage_event(**fields: Any) -> bytes:
    return event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, **fields}})


def test_what_is_sent_is_what_is_recorded(scripted: Api, upstream: Upstream) -> None:
    raw = b'{"id": "x",  "choices":[{"message":{"content":"caf\xc3\xa9"},"finish_reason":"stop"}]}'
    upstream.say(answer(raw))
    answered = scripted.ok(model_name="m")
    row = scripted.model_row(answered["inference_id"])
    assert upstream.seen[0].body == (
        b'{"messages":[{"role":"user","content":"hi"}],"model":"m","stream":false}'
    )
    assert upstream.seen[0].line == "POST /v1/chat/completions HTTP/1.1"
    assert row["raw_request"].encode() == upstream.seen[0].body
    assert row["raw_response"].encode() == raw
    assert upstream.seen[0].headers["user-agent"].startswith("TensorZero/")


def test_the_record_of_a_stream_is_its_payloads(scripted: Api, upstream: Upstream) -> None:
    events = [delta(content="Hel"), delta(content="lo"), usage_event()]
    upstream.say(stream(b": hi\n\n", *events, DONE))
    frames = scripted.stream(model_name="m")
    assert frames[-1]["usage"] == {"input_tokens": 9, "output_tokens": 4, "cost": None}
    row = scripted.model_row(frames[0]["inference_id"])
    payloads = [one.removeprefix(b"data: ").removesuffix(b"\n\n").decode() for one in events]
    assert row["raw_response"] == "\n".join(payloads)
    assert row["raw_request"].encode() == upstream.seen[0].body
    assert b'"stream_options":{"include_usage":true}' in upstream.seen[0].body
    assert row["output"] == [{"type": "text", "text": "Hello"}]


REFUSALS: list[tuple[str, str, str]] = [
    ("401 Unauthorized", "Error 401 Unauthorized from openai client: ", "Invalid status code: 401"),
    ("429 Too Many Requests", "Error 429 Too Many Requests from openai client: ", "429 Too Many"),
    ("404 Not Found", "Error from openai server: ", "from openai server: Invalid status code: 404"),
    ("500 Internal Server Error", "Error from openai server: ", "from openai server: "),
]


@pytest.mark.parametrize(("status", "complete", "streamed"), REFUSALS)
def test_refusals(
    scripted: Api, upstream: Upstream, status: str, complete: str, streamed: str
) -> None:
    upstream.say(answer(b'{"error":"no"}', status, "x-request-id: req_1"))
    for is_stream, text in ((False, complete), (True, streamed)):
        wanted = (text, '{"error":"no"} [request_id: req_1]')
        by_model = scripted.refused(502, *wanted, model_name="m", stream=is_stream)
        assert by_model["error"].startswith(
            "All variants failed with errors: m: All model providers failed to infer with errors: p"
        )
        pinned = scripted.refused(
            500, *wanted, function_name="pinned", variant_name="m", stream=is_stream
        )
        cause = pinned["error_json"]["AllModelProvidersFailed"]["provider_errors"]["p"]
        ((kind, fields),) = cause.items()
        assert kind in ("InferenceClient", "InferenceServer", "FatalStreamError")
        assert (fields["provider_type"], fields["api_type"]) == ("openai", "chat_completions")
        assert (fields["raw_request"], fields["raw_response"]) == (None, None)


BROKEN: dict[str, Script] = {
    "garbage": answer(b"<html>"),
    "odd": answer(b'{"choices":[{"message":{"tool_calls":7}}]}'),
    "cut": [b'HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"choices":', 0.02, CLOSE],
    "reset": [RESET],
    "closed": [CLOSE],
    "not http": [b"220 mail ready\r\n", CLOSE],
    "loop": answer(b"", "307 Temporary Redirect", "location: /v1/chat/completions"),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_provider_is_a_plain_error_and_the_next_call_works(
    scripted: Api, upstream: Upstream, script: Script
) -> None:
    for is_stream in (False, True):
        upstream.say(script)
        body = scripted.refused(
            502, "All variants failed", "openai", model_name="m", stream=is_stream
        )
        assert "unexpected error" not in body["error"]
        assert "Traceback" not in body["error"]
        upstream.say(stream(delta(content="a"), DONE) if is_stream else answer(COMPLETION))
        if is_stream:
            assert scripted.stream(model_name="m")[0]["content"][0]["text"] == "a"
        else:
            scripted.ok(model_name="m")


def test_a_stream_answered_with_json_is_an_error_not_a_stream(
    scripted: Api, upstream: Upstream
) -> None:
    upstream.say(answer(COMPLETION))
    body = scripted.refused(
        502, "Invalid content type: `application/json`", model_name="m", stream=True
    )
    assert "from openai server" in body["error"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_the_second_provider_answers_and_is_recorded(
    scripted: Api, upstream: Upstream, is_stream: bool
) -> None:
    upstream.say(answer(b"first is down", "500 Internal Server Error"), model="first")
    fields = {"function_name": "pinned", "variant_name": "pair", "include_raw_response": True}
    if is_stream:
        upstream.say(stream(delta(content="Hello!"), DONE), model="second")
        frames = scripted.stream(**fields)
        inference_id = frames[0]["inference_id"]
        entries = frames[0]["raw_response"]
    else:
        answered = scripted.ok(**fields)
        inference_id = answered["inference_id"]
        entries, good = answered["raw_response"][:1], answered["raw_response"][1]
        assert orjson.loads(good["data"]) == COMPLETION
    assert entries == [
        {"provider_type": "openai", "api_type": "chat_completions", "data": "first is down"}
    ]
    row = scripted.model_row(inference_id)
    assert (row["model_name"], row["model_provider_name"]) == ("pair", "second")
    assert [body["model"] for body in upstream.bodies()] == ["first", "second"]
    assert {seen.line for seen in upstream.seen} == {"POST /v1/chat/completions HTTP/1.1"}


def test_raw_usage_has_the_id_of_the_row(scripted: Api, upstream: Upstream) -> None:
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 12},
    }
    upstream.say(answer({**COMPLETION, "usage": usage}))
    answered = scripted.ok(model_name="m", include_raw_usage=True)
    row = scripted.model_row(answered["inference_id"])
    assert answered["raw_usage"] == [
        {
            "model_inference_id": row["id"],
            "provider_type": "openai",
            "api_type": "chat_completions",
            "data": usage,
        }
    ]
    assert answered["usage"]["provider_cache_read_input_tokens"] == 12
    assert "provider_cache_write_input_tokens" not in answered["usage"]
    upstream.say(answer(COMPLETION))
    assert "provider_cache_read_input_tokens" not in scripted.ok(model_name="m")["usage"]


def test_a_thought_goes_there_and_back(scripted: Api, upstream: Upstream) -> None:
    upstream.say(
        answer({"choices": [{"message": {"content": "4", "reasoning_content": "2 and 2"}}]})
    )
    thought, text = scripted.ok(model_name="m")["content"]
    assert thought == {"type": "thought", "text": "2 and 2", "provider_type": "openai"}
    foreign = {**thought, "text": "not yours", "provider_type": "anthropic"}
    messages = [*HELLO["messages"], {"role": "assistant", "content": [thought, foreign, text]}]
    scripted.ok(model_name="m", input={"messages": messages})
    assert upstream.bodies()[-1]["messages"][1] == {
        "role": "assistant",
        "content": "4",
        "reasoning_content": "2 and 2",
    }


def test_tool_deltas_join_by_index(scripted: Api, upstream: Upstream) -> None:
    def call(index: int, arguments: str, call_id: str | None = None) -> bytes:
        entry: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
        if call_id is not None:
            entry |= {"id": call_id}
            entry["function"]["name"] = f"tool_{call_id}"
        return delta(tool_calls=[entry])

    upstream.say(
        stream(call(0, "", "a"), call(1, "[", "b"), call(0, "{"), call(1, "]"), call(0, "}"), DONE)
    )
    frames = scripted.stream(model_name="m")
    blocks = [block for frame in frames for block in frame["content"]]
    assert [(block["id"], block["raw_name"], block["raw_arguments"]) for block in blocks] == [
        ("a", "tool_a", ""),
        ("b", "tool_b", "["),
        ("a", "", "{"),
        ("b", "", "]"),
        ("a", "", "}"),
    ]
    row = scripted.model_row(frames[0]["inference_id"])
    assert [(one["name"], one["arguments"]) for one in row["output"]] == [
        ("tool_a", "{}"),
        ("tool_b", "[]"),
    ]


def test_a_bad_event_is_a_frame_and_the_stream_goes_on(scripted: Api, upstream: Upstream) -> None:
    upstream.say(
        stream(delta(content="a"), event(b"{nonsense"), delta(content="b"), usage_event(), DONE)
    )
    frames = scripted.stream(model_name="m")
    assert [frame["content"][0]["text"] for frame in frames if frame.get("content")] == ["a", "b"]
    (error,) = [frame for frame in frames if "error" in frame]
    assert "Error parsing chunk. Error: " in error["error"]
    assert frames[-1]["usage"]["input_tokens"] == 9
    row = scripted.row(frames[0]["inference_id"])
    assert row["output"] == [{"type": "text", "text": "ab"}]


def test_costs(scripted: Api, upstream: Upstream) -> None:
    cost = 11 * 1.5e-6 + 7 * 2e-6
    answered = scripted.ok(model_name="priced")
    assert answered["usage"]["cost"] == pytest.approx(cost)
    assert scripted.model_row(answered["inference_id"])["cost"] == pytest.approx(cost)
    upstream.say(stream(delta(content="a"), usage_event(), usage_event(completion_tokens=2), DONE))
    frames = scripted.stream(model_name="priced")
    assert frames[-1]["usage"]["cost"] == pytest.approx(9 * 1.5e-6 + 4 * 2e-6)
    upstream.say(answer({**COMPLETION, "usage": {"prompt_tokens": 1}}))
    assert scripted.ok(model_name="priced")["usage"]["cost"] is None
    assert "cost unknown" in scripted.log


def test_absurd_figures_cost_no_row(scripted: Api, upstream: Upstream) -> None:
    usage = {"prompt_tokens": 10**18, "completion_tokens": -5}
    upstream.say(answer({**COMPLETION, "usage": usage}))
    answered = scripted.ok(model_name="priced")
    assert answered["usage"] == {"input_tokens": None, "output_tokens": None, "cost": None}
    row = scripted.model_row(answered["inference_id"])
    assert (row["input_tokens"], row["cost"]) == (None, None)


# --- keys ----------------------------------------------------------------------------------------


def test_the_key_is_sent_and_appears_nowhere_else(scripted: Api, upstream: Upstream) -> None:
    told = orjson.dumps({"error": f"Incorrect API key provided: {ENV_KEY}"})
    upstream.say(answer(told, "401 Unauthorized"))
    for is_stream in (False, True):
        refused = scripted.refused(
            502,
            "Incorrect API key",
            model_name="secret",
            stream=is_stream,
            include_raw_response=True,
        )
        assert ENV_KEY not in str(refused)
        assert refused["raw_response"][0]["data"] == told.decode().replace(ENV_KEY, "[redacted]")
    assert {seen.headers["authorization"] for seen in upstream.seen} == {f"Bearer {ENV_KEY}"}
    upstream.say(answer(COMPLETION))
    answered = scripted.ok(model_name="secret")
    assert ENV_KEY not in str(scripted.model_row(answered["inference_id"]))
    assert ENV_KEY not in scripted.log


def test_a_pair_of_keys(scripted: Api, upstream: Upstream) -> None:
    scripted.ok(model_name="fallback_key", credentials={"k": "sk-of-the-request"})
    scripted.ok(model_name="fallback_key")
    upstream.say(answer(b"no", "401 Unauthorized"))
    scripted.refused(502, model_name="fallback_key", credentials={"k": "sk-of-the-request"})
    assert [seen.headers["authorization"] for seen in upstream.seen] == [
        "Bearer sk-of-the-request",
        f"Bearer {ENV_KEY}",
        "Bearer sk-of-the-request",
    ]
    assert "sk-of-the-request" not in scripted.log


def test_no_key_is_no_header(scripted: Api, upstream: Upstream) -> None:
    scripted.ok(model_name="m")
    assert "authorization" not in upstream.seen[0].headers


def test_a_shorthand_without_its_key(scripted: Api) -> None:
    """The model is not found then: 400 where the variant is pinned, and nothing is tried again."""
    wanted = "API key missing for provider OpenAI: Environment variable `OPENAI_API_KEY` is missing"
    for is_stream in (False, True):
        pinned = scripted.refused(
            400, wanted, function_name="pinned", variant_name="shorthand", stream=is_stream
        )
        assert list(pinned["error_json"]) == ["ApiKeyMissing"]
        for model in ("openai::gpt-5-mini", "openai::ft:x:y::z", "openai::responses::m"):
            by_model = scripted.refused(502, wanted, model_name=model, stream=is_stream)
            assert "All model providers" not in by_model["error"]
    assert scripted.ok(model_name="dummy::text")["variant_name"] == "dummy::text"


@pytest.mark.parametrize("name", ["azure::x", "vllm::x", "nope::x", "Openai::x", "openai:x"])
def test_what_is_no_shorthand(scripted: Api, name: str) -> None:
    wanted = f"Invalid model name: Model name '{name}' not found in model table"
    scripted.refused(400, wanted, model_name=name)


def test_a_shorthand_is_recorded_by_its_whole_name(scripted: Api) -> None:
    name = "dummy::text?text=a"
    row = scripted.model_row(scripted.ok(model_name=name)["inference_id"])
    assert (row["model_name"], row["model_provider_name"], row["cost"]) == (name, "dummy", None)


def test_the_responses_api(scripted: Api, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
    usage = {"input_tokens": 9, "output_tokens": 4}
    upstream.say(answer({"output": [{"type": "message", **message}], "usage": usage}))
    answered = scripted.ok(function_name="pinned", variant_name="responses")
    assert answered["content"] == [{"type": "text", "text": "Hello"}]
    assert answered["usage"]["output_tokens"] == 4
    assert upstream.seen[0].line == "POST /v1/responses HTTP/1.1"
    row = scripted.model_row(answered["inference_id"])
    assert row["raw_request"].encode() == upstream.seen[0].body


# --- connections ---------------------------------------------------------------------------------


def test_a_provider_that_closes_after_each_answer(scripted: Api, upstream: Upstream) -> None:
    upstream.say([*answer(COMPLETION), CLOSE])
    for _ in range(8):
        scripted.ok(model_name="m")
    assert len(upstream.seen) == 8


@pytest.mark.parametrize("is_stream", [False, True])
def test_calls_one_after_the_other_share_a_connection(
    scripted: Api, upstream: Upstream, is_stream: bool
) -> None:
    """Streams too, though the end of their body comes in a packet after their last event."""
    late = stream(delta(content="a"), DONE, end=[0.01, b"0\r\n\r\n"])
    upstream.say(late if is_stream else answer(COMPLETION))
    before = upstream.connections
    for _ in range(12):
        if is_stream:
            scripted.stream(model_name="m")
            time.sleep(0.05)
        else:
            scripted.ok(model_name="m")
    # Some may be left over from the test before, and be closed while this one runs.
    assert upstream.connections - before <= 3


def test_a_large_answer(scripted: Api, upstream: Upstream) -> None:
    text = "x" * 6_000_000
    upstream.say(answer({"choices": [{"message": {"content": text}}]}))
    assert scripted.ok(model_name="m", dryrun=True)["content"][0]["text"] == text


def test_a_redirect_is_followed(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(b"", "308 Permanent Redirect", "location: /moved"), answer(COMPLETION))
    scripted.ok(model_name="m")
    assert [seen.line for seen in upstream.seen][1] == "POST /moved HTTP/1.1"


def test_many_at_once(scripted: Api, upstream: Upstream) -> None:
    """More than one HTTP/2 connection would carry: none waits for another."""
    upstream.say([0.3, *answer(COMPLETION)])
    statuses: list[int] = []
    with httpx.Client(timeout=30, limits=httpx.Limits(max_connections=150)) as client:

        def one() -> None:
            body = {"model_name": "m", "input": HELLO, "dryrun": True}
            statuses.append(client.post(f"{scripted.url}/inference", json=body).status_code)

        threads = [threading.Thread(target=one) for _ in range(120)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 120
