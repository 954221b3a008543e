"""``aws_sagemaker``: a container's own Chat Completions behind AWS's signatures and frames."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.aws_calls import (
    KEYS,
    TOKEN,
    event_frame,
    exception_frame,
    frame,
    frames,
    header,
)
from providers.calls import COMPLETION, MODEL_INFERENCE_ID, Outcome, assistant, call, request, user
from tensorzero.config.credentials import Credential, DynamicCredential
from tensorzero.types.content import Text, Thought, ToolCall
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.model import ModelRequest, TextChunk, ThoughtChunk
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import FunctionTool, ToolCallConfig
from tensorzero.types.usage import RawUsage, Usage
from upstream.scripted import CLOSE, DONE, Script, answer, event

USAGE = {"prompt_tokens": 9, "completion_tokens": 4}
TOOLS = ToolCallConfig((FunctionTool("f", "f", "about", JSONSchema({"type": "object"})),))


def invoke(
    given: ModelRequest,
    *scripts: Script,
    hosted: str = "openai",
    endpoint: str = "my-endpoint",
    region: Any = "eu-west-3",
    keys: dict[str, Credential] = KEYS,
    more: dict[str, Any] | None = None,
    **options: Any,
) -> Outcome:
    return call(
        given,
        *scripts,
        type="aws_sagemaker",
        model="llama",
        options={
            "endpoint_name": endpoint,
            "hosted_provider": hosted,
            "region": region,
            **(more or {}),
        },
        keys=keys,
        places=("endpoint_url",),
        **options,
    )


# --- requests -----------------------------------------------------------------------------------


def test_a_request_and_its_answer() -> None:
    body = {**COMPLETION, "usage": USAGE}
    given = request(user("hi"), system="s", max_tokens=5, temperature=0.5)
    outcome = invoke(given, answer(body), keys=TOKEN)
    assert outcome.seen[0].line == "POST /v1/endpoints/my-endpoint/invocations HTTP/1.1"
    assert (
        outcome.body
        == outcome.raw_request
        == (
            '{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}],'
            '"model":"llama","temperature":0.5,"max_completion_tokens":5,"stream":false}'
        )
    )
    headers = outcome.headers
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert headers["x-amz-security-token"] == "a-session-token"
    assert (
        "/eu-west-3/sagemaker/aws4_request, SignedHeaders=accept;content-type;host;"
        in (headers["authorization"])
    )
    response = outcome.answered()
    assert response.output == [Text("Hello!")]
    assert response.finish_reason == "stop"
    assert response.usage == Usage(9, 4)
    assert response.raw_usage == RawUsage(MODEL_INFERENCE_ID, "openai", "chat_completions", USAGE)


def test_tgi() -> None:
    given = request(user("hi"), max_tokens=5)
    outcome = invoke(given, answer({**COMPLETION, "usage": USAGE}), hosted="tgi")
    assert outcome.body == (
        '{"messages":[{"role":"user","content":"hi"}],"model":"tgi","max_tokens":5,"stream":false}'
    )
    raw = outcome.answered().raw_usage
    assert raw is not None and raw.provider_type == "tgi"


def test_tgi_has_no_tools_in_streams() -> None:
    outcome = invoke(request(stream=True, tool_config=TOOLS), answer(b""), hosted="tgi")
    assert outcome.failed().kind == "InvalidTool"
    assert outcome.seen == []


def test_tools_of_openai() -> None:
    function = {"name": "f", "arguments": "{}"}
    message = {"tool_calls": [{"id": "c", "type": "function", "function": function}]}
    choice = {"message": message, "finish_reason": "tool_calls"}
    outcome = invoke(request(tool_config=TOOLS), answer({"choices": [choice]}))
    assert outcome.answered().output == [ToolCall("c", "f", "{}")]
    assert orjson.loads(outcome.body)["tools"][0]["function"]["name"] == "f"


def test_the_name_of_an_endpoint_is_encoded() -> None:
    line = invoke(request(), answer(COMPLETION), endpoint="a/b c:1").seen[0].line
    assert line == "POST /v1/endpoints/a%2Fb%20c%3A1/invocations HTTP/1.1"


def test_the_endpoint_of_a_region() -> None:
    outcome = invoke(
        request(),
        answer(COMPLETION),
        more={"endpoint_url": None},
        hosts=("runtime.sagemaker.eu-west-3.amazonaws.com",),
    )
    outcome.answered()
    assert outcome.seen[0].line == "POST /endpoints/my-endpoint/invocations HTTP/1.1"


def test_dynamic_keys_and_region() -> None:
    keys: dict[str, Credential] = {
        "access_key_id": DynamicCredential("id"),
        "secret_access_key": DynamicCredential("secret"),
    }
    brought = {"id": "AKIDTHEIRS", "secret": "theirs", "where": "us-west-2"}
    region = DynamicCredential("where")
    outcome = invoke(request(), answer(COMPLETION), keys=keys, region=region, credentials=brought)
    text = outcome.headers["authorization"]
    assert "Credential=AKIDTHEIRS/" in text and "/us-west-2/sagemaker/" in text
    missing = invoke(request(), answer(COMPLETION), keys=keys, credentials={"id": "x"})
    assert "Dynamic `secret_access_key` with key `secret` is missing" in str(missing.failed())


def test_extras() -> None:
    given = request(
        extra_body=(ExtraBody("/top_k", 5),),
        extra_headers=(ExtraHeader("X-Amzn-SageMaker-Target-Variant", "b"),),
    )
    outcome = invoke(given, answer(COMPLETION))
    assert orjson.loads(outcome.body)["top_k"] == 5
    assert ";x-amz-date;x-amzn-sagemaker-target-variant," in outcome.headers["authorization"]


def test_thoughts_go_back_to_where_they_came_from() -> None:
    message = {"content": "so", "reasoning_content": "why"}
    choice = {"message": message, "finish_reason": "stop"}
    for hosted in ("openai", "tgi"):
        outcome = invoke(request(), answer({"choices": [choice]}), hosted=hosted)
        if hosted == "openai":
            thought = Thought("why", provider_type="aws_sagemaker::openai")
            assert outcome.answered().output == [thought, Text("so")]
        given = request(
            assistant(
                Thought("mine", provider_type=f"aws_sagemaker::{hosted}"),
                Thought("not mine", provider_type="openai"),
                "so",
            )
        )
        sent = orjson.loads(invoke(given, answer(COMPLETION), hosted=hosted).body)
        assert sent["messages"][0]["reasoning_content"] == "mine"


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "424 Failed Dependency", "500 Internal Server Error"]
)
@pytest.mark.parametrize("streams", [False, True])
def test_a_refusal(status: str, streams: bool) -> None:
    body = b'{"Message":"Received client error (422) from model"}'
    error = invoke(request(stream=streams), answer(body, status)).failed()
    assert (error.kind, error.status) == ("InferenceServer", 500)
    assert str(error) == (
        f"Error from aws_sagemaker server: AWS Sagemaker returned error status {status}: "
        f"{body.decode()}"
    )


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"choices":[]}'])
def test_garbage(body: bytes) -> None:
    error = invoke(request(), answer(body)).failed()
    assert error.kind == "InferenceServer"
    assert "Error parsing response from AWS Sagemaker: " in str(error)


def test_no_answer_at_all() -> None:
    for streams in (False, True):
        error = invoke(request(stream=streams), [CLOSE]).failed()
        assert error.kind == "InferenceServer"
        assert "Error sending request to AWS Sagemaker: " in str(error)


# --- streams ------------------------------------------------------------------------------------


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


EVENTS = [
    delta(reasoning_content="Hm."),
    delta(content="Hel"),
    delta(content="lo \u20ac"),
    {"choices": [], "usage": USAGE},
]
SSE = b"".join(map(event, EVENTS)) + DONE


def parts(*pieces: bytes) -> list[bytes]:
    """The pieces of the container's stream, each in a frame."""
    return [
        frame(
            piece,
            header(":message-type", "event")
            + header(":event-type", "PayloadPart")
            + header(":content-type", "application/octet-stream"),
        )
        for piece in pieces
    ]


def streamed(script: Script, **options: Any) -> Outcome:
    return invoke(request(stream=True), script, **options)


CONTENT = [
    [ThoughtChunk("1", "Hm.", provider_type="aws_sagemaker::openai")],
    [TextChunk("0", "Hel")],
    [TextChunk("0", "lo \u20ac")],
    [],
]


def test_a_stream() -> None:
    outcome = streamed(frames(*parts(SSE)))
    assert outcome.seen[0].line == (
        "POST /v1/endpoints/my-endpoint/invocations-response-stream HTTP/1.1"
    )
    assert orjson.loads(outcome.body)["stream_options"] == {"include_usage": True}
    assert "accept" not in outcome.headers
    assert [one.content for one in outcome.items] == CONTENT
    assert [one.raw for one in outcome.items] == [orjson.dumps(one).decode() for one in EVENTS]
    assert outcome.items[-1].usage == Usage(9, 4)
    assert outcome.items[-1].raw_usage == RawUsage(
        MODEL_INFERENCE_ID, "openai", "chat_completions", USAGE
    )


def test_events_cut_by_frames_at_every_byte() -> None:
    """Frames cut events anywhere, as reads cut frames."""
    for size in (1, 3, 50):
        pieces = [SSE[at : at + size] for at in range(0, len(SSE), size)]
        data = b"".join(parts(*pieces))
        assert [one.content for one in streamed(frames(data)).items] == CONTENT
        in_threes = [data[at : at + 333] for at in range(0, len(data), 333)]
        assert [one.content for one in streamed(frames(*in_threes)).items] == CONTENT


def test_other_frames_are_ignored() -> None:
    first, second = parts(SSE[:30], SSE[30:])
    other = event_frame("SomethingElse", b"data: {}\n\n")
    assert [one.content for one in streamed(frames(first, other, second)).items] == CONTENT


def test_a_stream_without_its_last_event() -> None:
    """A missing ``[DONE]`` is fine, and so is a missing last blank line."""
    for tail in (DONE, DONE + b"\n", b""):
        data = SSE.removesuffix(DONE) + tail
        assert [one.content for one in streamed(frames(*parts(data))).items] == CONTENT
    cut = SSE.removesuffix(DONE).removesuffix(b"\n\n")
    assert [one.content for one in streamed(frames(*parts(cut))).items] == CONTENT


def test_a_bad_event() -> None:
    data = event(EVENTS[1]) + event(b"{") + event(EVENTS[2]) + DONE
    first, error, last = streamed(frames(*parts(data))).items
    assert (first.content, last.content) == (CONTENT[1], CONTENT[2])
    assert str(error).startswith("Error from aws_sagemaker server: Error parsing chunk. Error: ")


def test_an_exception() -> None:
    thrown = exception_frame("ModelStreamError", {"Message": "out of memory", "ErrorCode": "x"})
    first, error = streamed(frames(*parts(event(EVENTS[1])), thrown, *parts(DONE))).items
    assert first.content == CONTENT[1]
    assert str(error) == (
        "Error from aws_sagemaker server: AWS Sagemaker streaming exception: ModelStreamError: "
        "out of memory"
    )
    assert error.raw.data == '{"Message":"out of memory","ErrorCode":"x"}'


def test_broken_streams() -> None:
    (whole,) = parts(event(EVENTS[1]))
    first, error = streamed(frames(whole, end=[CLOSE])).items
    assert first.content == CONTENT[1]
    assert "Error reading stream: " in str(error)
    first, error = streamed(frames(whole, whole[:-1])).items
    assert "Error decoding event stream frame: the stream ended within a frame" in str(error)
    first, error = streamed(frames(whole, whole[:-1] + b"\x00")).items
    assert "Error decoding event stream frame: the checksum of a frame" in str(error)
