"""What ``aws_bedrock`` sends."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.aws_calls import BEARER, CLAUDE, TOKEN, converse
from providers.calls import Outcome, assistant, request, user
from tensorzero.config.credentials import Credential, DynamicCredential
from tensorzero.types.content import Thought, ToolCall, ToolResult, Unknown
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.files import File, FileData
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import AllowedTools, CustomTool, FunctionTool, ToolCallConfig
from upstream.scripted import answer

ANSWER = answer(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello!"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
        "metrics": {"latencyMs": 7},
    }
)
MINIMAL = '{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{}}'
PREFILL = '{"role":"assistant","content":[{"text":"Here is the JSON requested:\\n{"}]}'
PIXEL = "aGVsbG8="


def sent(*messages: Any, **fields: Any) -> Outcome:
    outcome = converse(request(*messages, **fields), ANSWER)
    outcome.answered()
    assert outcome.raw_request == outcome.body
    return outcome


def body(*messages: Any, **fields: Any) -> Any:
    return orjson.loads(sent(*messages, **fields).body)


def test_the_minimal_call() -> None:
    outcome = sent()
    assert outcome.body == MINIMAL
    line = outcome.seen[0].line
    assert line == (
        "POST /v1/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse HTTP/1.1"
    )
    headers = outcome.headers
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert headers["user-agent"] == "Test/1"
    assert "x-amz-security-token" not in headers


def test_a_model_by_its_arn() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.meta.llama"
    outcome = converse(request(), ANSWER, model_id=arn)
    assert outcome.seen[0].line == (
        "POST /v1/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile"
        "%2Fus.meta.llama/converse HTTP/1.1"
    )


@pytest.mark.parametrize("base", ["", "/", "//", "/deep/"])
def test_the_endpoints_path_is_kept(base: str) -> None:
    outcome = converse(request(), ANSWER, model_id="m", base=base)
    place = base.rstrip("/")
    assert outcome.seen[0].line == f"POST /v1{place}/model/m/converse HTTP/1.1"


def test_text_and_parameters() -> None:
    outcome = sent(
        user("a", "b"),
        assistant('c \u20ac \U0001f600 "q" \\ \n'),
        user("d"),
        system="be brief",
        max_tokens=7,
        temperature=0.5,
        top_p=0.25,
        stop_sequences=("x", "y"),
    )
    assert outcome.body == (
        '{"messages":[{"role":"user","content":[{"text":"a"},{"text":"b"}]},'
        '{"role":"assistant","content":[{"text":"c \u20ac \U0001f600 \\"q\\" \\\\ \\n"}]},'
        '{"role":"user","content":[{"text":"d"}]}],"system":[{"text":"be brief"}],'
        '"inferenceConfig":{"maxTokens":7,"temperature":0.5,"topP":0.25,'
        '"stopSequences":["x","y"]}}'
    )


def test_an_empty_system_text_is_left_out() -> None:
    assert sent(system="").body == MINIMAL


def test_both_ways_of_writing_a_body_agree() -> None:
    """The short way of text-only calls, and the general one that an extra body forces."""
    for fields in (
        {},
        {"system": "s", "temperature": 0.5, "thinking_budget_tokens": 1024},
        {"json_mode": "on", "function_type": "json"},
        {"json_mode": "strict", "function_type": "json", "system": "\u20ac"},
    ):
        nothing = ExtraBody("/messages/9/nothing", delete=True)
        general = sent(user("a", "\x01\x7f\u2028"), extra_body=(nothing,), **fields)
        assert sent(user("a", "\x01\x7f\u2028"), **fields).body == general.body


def test_unsupported_parameters(caplog: pytest.LogCaptureFixture) -> None:
    outcome = sent(
        seed=1,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        reasoning_effort="high",
        service_tier="flex",
        verbosity="low",
    )
    assert outcome.body == MINIMAL
    for name in ("reasoning_effort", "service_tier", "verbosity"):
        text = f"AWS Bedrock does not support the inference parameter `{name}`"
        assert f"{text}, so it will be ignored." in caplog.text
    assert "seed" not in caplog.text
    assert "penalty" not in caplog.text


def test_thinking() -> None:
    given = body(thinking_budget_tokens=2048, reasoning_effort="low")
    assert given["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 2048}
    }
    assert list(given) == ["messages", "inferenceConfig", "additionalModelRequestFields"]


# --- blocks -------------------------------------------------------------------------------------


def test_tool_calls_and_results() -> None:
    given = body(
        user("weather?"),
        assistant(
            ToolCall("call_1", "weather", '{"city":"Lyon"}'), ToolCall("call_2", "now", "[1]")
        ),
        user(ToolResult("call_1", "weather", "rain"), "and?"),
    )
    assert given["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"toolUse": {"toolUseId": "call_1", "name": "weather", "input": {"city": "Lyon"}}},
                {"toolUse": {"toolUseId": "call_2", "name": "now", "input": [1]}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "call_1", "content": [{"text": "rain"}]}},
                {"text": "and?"},
            ],
        },
    ]


def test_arguments_that_are_no_json_are_not_sent() -> None:
    outcome = converse(request(assistant(ToolCall("a", "f", "{oops"))), ANSWER)
    error = outcome.failed()
    assert (error.kind, error.status) == ("InferenceClient", 400)
    assert "Error parsing tool call arguments as JSON: " in str(error)
    assert outcome.seen == []


def test_a_call_without_arguments() -> None:
    """A stream of one has no text of them; other values than objects pass."""
    given = body(assistant(ToolCall("a", "f", ""), ToolCall("b", "f", "[1]")))
    inputs = [one["toolUse"]["input"] for one in given["messages"][0]["content"]]
    assert inputs == [{}, [1]]


def test_thoughts(caplog: pytest.LogCaptureFixture) -> None:
    given = body(
        assistant(
            Thought("why", "sig", provider_type="aws_bedrock"),
            Thought("how"),
            Thought(None, "c2VjcmV0", provider_type="aws_bedrock"),
            Thought(None, "unknown origin"),
            Thought(None, None),
            Thought("not ours", "sig", provider_type="anthropic"),
            "so",
        ),
        assistant(Thought(None, None)),
    )
    assert given["messages"] == [
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "why", "signature": "sig"}}},
                {"reasoningContent": {"reasoningText": {"text": "how"}}},
                {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
                {"text": "so"},
            ],
        }
    ]
    assert caplog.text.count("a thought without a text") == 3


def test_an_unknown_block_is_sent_as_it_is() -> None:
    point = {"cachePoint": {"type": "default"}}
    given = body(user("long", Unknown(point), Unknown({"x": 1}, "other model")))
    assert given["messages"][0]["content"] == [{"text": "long"}, point]


def test_files() -> None:
    url = "https://files.example/a"
    given = request(
        user(
            "see",
            File(data=PIXEL, mime_type="image/png", detail="low"),
            File(data=PIXEL, mime_type="application/pdf", filename="mine.pdf"),
            File(url=url, mime_type="image/webp"),
            File(data=PIXEL, mime_type="text/plain"),
        )
    )
    outcome = converse(given, ANSWER, files={url: FileData("d29ybGQ=", "image/webp")})
    outcome.answered()
    content = orjson.loads(outcome.body)["messages"][0]["content"]
    assert content == [
        {"text": "see"},
        {"image": {"format": "png", "source": {"bytes": PIXEL}}},
        {"document": {"format": "pdf", "name": "input", "source": {"bytes": PIXEL}}},
        {"image": {"format": "webp", "source": {"bytes": "d29ybGQ="}}},
        {"document": {"format": "txt", "name": "input-2", "source": {"bytes": PIXEL}}},
    ]
    recorded = outcome.body
    for number, data in enumerate((PIXEL, PIXEL, "d29ybGQ=", PIXEL)):
        recorded = recorded.replace(f'"{data}"', f'"<TENSORZERO_FILE_{number}>"', 1)
    assert outcome.raw_request == recorded


def test_a_file_of_a_kind_that_has_no_extension() -> None:
    given = request(user(File(data=PIXEL, mime_type="application/x-what-is-it")))
    error = converse(given, ANSWER, files={}).failed()
    assert error.kind == "InvalidMessage"


# --- tools --------------------------------------------------------------------------------------

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}


def tool(name: str) -> FunctionTool:
    return FunctionTool(f"{name}_key", name, f"About {name}", JSONSchema(SCHEMA), strict=True)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"specific": "time"}, {"tool": {"name": "time"}}),
    ],
)
def test_tools(choice: Any, expected: Any) -> None:
    config = ToolCallConfig(
        (tool("weather"), tool("time")), tool_choice=choice, parallel_tool_calls=False
    )
    given = body(tool_config=config, thinking_budget_tokens=5)
    assert list(given) == [
        "messages",
        "inferenceConfig",
        "toolConfig",
        "additionalModelRequestFields",
    ]
    assert given["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": name,
                    "description": f"About {name}",
                    "inputSchema": {"json": SCHEMA},
                }
            }
            for name in ("weather", "time")
        ],
        "toolChoice": expected,
    }


def test_tools_that_are_not_offered() -> None:
    tools = (tool("weather"), tool("time"))
    assert sent(tool_config=ToolCallConfig(tools, tool_choice="none")).body == MINIMAL
    assert sent(tool_config=ToolCallConfig(())).body == MINIMAL
    explicit = AllowedTools(("time_key",), "explicit")
    given = body(tool_config=ToolCallConfig(tools, allowed_tools=explicit))
    assert [one["toolSpec"]["name"] for one in given["toolConfig"]["tools"]] == ["time"]


def test_custom_tools_are_refused() -> None:
    config = ToolCallConfig((), custom_tools=(CustomTool("sql"),))
    outcome = converse(request(tool_config=config), ANSWER)
    assert outcome.failed().kind == "IncompatibleTool"
    assert "not supported by the provider type `aws_bedrock`" in str(outcome.failed())
    assert outcome.seen == []


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["on", "strict"])
def test_json_by_prefill(mode: Any) -> None:
    outcome = sent(json_mode=mode, function_type="json")
    assert outcome.body == MINIMAL.replace("}]}],", "}]}," + PREFILL + "],")


@pytest.mark.parametrize(
    ("model_id", "mode", "function_type"),
    [
        ("amazon.nova-lite-v1:0", "on", "json"),
        ("amazon.nova-lite-v1:0", "strict", "json"),
        (CLAUDE, "off", "json"),
        (CLAUDE, "on", "chat"),
        (CLAUDE.upper(), "on", "json"),
    ],
)
def test_json_without_prefill(model_id: str, mode: Any, function_type: Any) -> None:
    given = request(json_mode=mode, function_type=function_type)
    outcome = converse(given, ANSWER, model_id=model_id)
    assert outcome.body == MINIMAL


def test_strict_json_warns(caplog: pytest.LogCaptureFixture) -> None:
    sent(json_mode="strict", function_type="json")
    assert "AWS Bedrock has no strict JSON mode" in caplog.text


# --- extra body and headers ---------------------------------------------------------------------


def test_cache_points_by_extra_body() -> None:
    point = {"cachePoint": {"type": "default"}}
    given = body(
        system="long",
        extra_body=(
            ExtraBody("/system/-", point),
            ExtraBody("/messages/0/content/-", point),
            ExtraBody("/additionalModelRequestFields/top_k", 5),
        ),
    )
    assert given["system"] == [{"text": "long"}, point]
    assert given["messages"][0]["content"] == [{"text": "hi"}, point]
    assert given["additionalModelRequestFields"] == {"top_k": 5}


def test_extra_headers_and_the_signature() -> None:
    """What AWS needs to read the body is not to be changed; a token of the caller's stays."""
    extra = (
        ExtraHeader("Content-Type", "text/plain"),
        ExtraHeader("accept", delete=True),
        ExtraHeader("X-Amz-Security-Token", "theirs"),
        ExtraHeader("x-trace", "7"),
    )
    outcome = converse(request(extra_headers=extra), ANSWER, keys=TOKEN)
    headers = outcome.headers
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert headers["x-amz-security-token"] == "theirs"
    assert (
        "SignedHeaders=accept;content-type;host;x-amz-date;x-amz-security-token;x-trace,"
        in headers["authorization"]
    )


def test_an_authorization_of_the_callers_stays() -> None:
    for keys in (TOKEN, BEARER):
        extra = (ExtraHeader("authorization", "Bearer theirs"),)
        outcome = converse(request(extra_headers=extra), ANSWER, keys=keys)
        assert outcome.headers["authorization"] == "Bearer theirs"


# --- keys and places ----------------------------------------------------------------------------


def test_a_session_token() -> None:
    headers = converse(request(), ANSWER, keys=TOKEN).headers
    assert headers["x-amz-security-token"] == "a-session-token"
    assert "/us-east-1/bedrock/aws4_request, " in headers["authorization"]
    assert (
        "SignedHeaders=accept;content-type;host;x-amz-date;x-amz-security-token,"
        in headers["authorization"]
    )


def test_a_bearer_key() -> None:
    headers = converse(request(), ANSWER, keys=BEARER).headers
    assert headers["authorization"] == "Bearer a-bearer-token"
    assert "x-amz-date" not in headers


DYNAMIC: dict[str, Credential] = {
    "access_key_id": DynamicCredential("id"),
    "secret_access_key": DynamicCredential("secret"),
    "session_token": DynamicCredential("token"),
}
BROUGHT = {"id": "AKIDTHEIRS", "secret": "a secret of theirs", "token": "t", "where": "eu-west-3"}


def test_dynamic_keys_and_region() -> None:
    region = DynamicCredential("where")
    outcome = converse(request(), ANSWER, keys=DYNAMIC, region=region, credentials=BROUGHT)
    headers = outcome.headers
    assert "Credential=AKIDTHEIRS/" in headers["authorization"]
    assert "/eu-west-3/bedrock/aws4_request, " in headers["authorization"]
    assert headers["x-amz-security-token"] == "t"


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        (
            "id",
            "API key missing for provider aws: Dynamic `access_key_id` with key `id` is missing",
        ),
        (
            "secret",
            "API key missing for provider aws: Dynamic `secret_access_key` with key `secret` is "
            "missing",
        ),
        (
            "token",
            "API key missing for provider aws: Dynamic `session_token` with key `token` is missing",
        ),
        ("where", "Dynamic region 'where' not found in credentials"),
    ],
)
def test_a_request_without_its_keys(missing: str, text: str) -> None:
    brought = {key: value for key, value in BROUGHT.items() if key != missing}
    region = DynamicCredential("where")
    outcome = converse(request(), ANSWER, keys=DYNAMIC, region=region, credentials=brought)
    assert str(outcome.failed()) == text
    assert outcome.failed().status == (404 if missing == "where" else 400)
    assert outcome.seen == []


def test_a_dynamic_bearer_key() -> None:
    keys: dict[str, Credential] = {"api_key": DynamicCredential("theirs")}
    outcome = converse(request(), ANSWER, keys=keys, credentials={"theirs": "b"})
    assert outcome.headers["authorization"] == "Bearer b"
    assert str(converse(request(), ANSWER, keys=keys).failed()) == (
        "API key missing for provider AWS Bedrock: Dynamic `api_key` with key `theirs` is missing"
    )


@pytest.mark.parametrize("region", ["evil.example/", "x@evil.example", "a b", "", "a" * 65])
def test_a_dynamic_region_names_no_host(region: str) -> None:
    """It would get the key of the configuration."""
    outcome = converse(
        request(),
        ANSWER,
        keys=BEARER,
        region=DynamicCredential("where"),
        credentials={"where": region},
    )
    assert "Invalid dynamic region: `where` names no region" in str(outcome.failed())


def test_a_dynamic_endpoint(caplog: pytest.LogCaptureFixture) -> None:
    more = {"endpoint_url": DynamicCredential("place")}
    failed = converse(request(), ANSWER, more=more).failed()
    assert (failed.kind, failed.status) == ("DynamicEndpointNotFound", 404)
    failed = converse(request(), ANSWER, more=more, credentials={"place": "nowhere"}).failed()
    assert (failed.kind, failed.status) == ("InvalidDynamicEndpoint", 400)
    # Nobody listens there: the text names the host that was asked for.
    brought = {"place": "http://127.0.0.1:9/base/"}
    failed = converse(request(), ANSWER, more=more, credentials=brought).failed()
    assert "Error sending request to AWS Bedrock: " in str(failed)
    assert "127.0.0.1" in str(failed)
    assert "outside the domains of AWS" in caplog.text


def test_the_endpoint_of_a_region() -> None:
    """Without ``endpoint_url`` the region's own host is asked."""
    for region, host in (("eu-west-3", "eu-west-3"), (DynamicCredential("where"), "eu-north-1")):
        outcome = converse(
            request(),
            ANSWER,
            region=region,
            more={"endpoint_url": None},
            credentials={"where": "eu-north-1"},
            hosts=(f"bedrock-runtime.{host}.amazonaws.com",),
        )
        outcome.answered()
        assert outcome.seen[0].line.startswith("POST /model/us.anthropic.")
