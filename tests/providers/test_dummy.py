"""The ``dummy`` provider: every behaviour and every option that ``docs/dummy.md`` lists."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import MODEL_INFERENCE_ID, Outcome, assistant, call, request, user
from tensorzero.config.credentials import DynamicCredential
from tensorzero.functions.merge import StreamMerger
from tensorzero.types.content import OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.errors import ConfigError, GatewayError, IncompatibleTool
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.files import File
from tensorzero.types.model import ModelRequest
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import (
    AllowedTools,
    CustomTool,
    FunctionTool,
    ProviderTool,
    ToolCallConfig,
)
from tensorzero.types.usage import Usage

SCHEMA = JSONSchema(
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
        "required": ["city", "days"],
    }
)
WEATHER = FunctionTool("weather_key", "weather", "", SCHEMA)
CLOCK = FunctionTool("clock", "clock", "", JSONSchema({"type": "object"}))
TOOLS = ToolCallConfig((WEATHER, CLOCK))


def ask(name: str, given: ModelRequest | None = None, **options: Any) -> Outcome:
    outcome = call(given or request(), type="dummy", model=name, **options)
    assert outcome.seen == [], "the dummy has no network"
    return outcome


def output(name: str, given: ModelRequest | None = None, **options: Any) -> list[OutputBlock]:
    return ask(name, given, **options).answered().output


def test_text() -> None:
    (block,) = output("text")
    assert isinstance(block, Text) and "dummy provider" in block.text
    assert output("text?text=a+b%26c%20d") == [Text("a b&c d")]
    assert output("text?text=") == [Text("")]


def test_template() -> None:
    name = "text?template={user}|{system}|{model}/{provider}|{call}|{messages}|{tools}|{{x}}"
    given = request(user("a"), assistant("b"), user("c {d}"), system="s", tool_config=TOOLS)
    assert output(name, given, times=2) == [Text("c {d}|s|m/p|2|3|weather, clock|{x}")]
    assert output("text?template={tools}{system}.") == [Text(".")]


def test_echo() -> None:
    given = request(user("first"), user("a", "b"), assistant("no"), user(File(url="http://x")))
    assert output("echo", given) == [Text("b")]
    assert output("echo", request(assistant("no"))) == [Text("")]


def test_json() -> None:
    (block,) = output("json", request(output_schema=SCHEMA))
    assert isinstance(block, Text)
    assert orjson.loads(block.text) == {"city": "text", "days": 2}
    assert output("json") == [Text("{}")]
    assert output('json?value={"a":1}', request(output_schema=SCHEMA)) == [Text('{"a":1}')]


def test_json_with_a_forced_tool_is_its_call() -> None:
    forced = ToolCallConfig((WEATHER,), tool_choice={"specific": "weather"})
    (block,) = output("json", request(tool_config=forced))
    assert isinstance(block, ToolCall)
    assert (block.name, orjson.loads(block.arguments)["days"]) == ("weather", 2)
    assert isinstance(output("json", request(tool_config=TOOLS))[0], Text)


def test_invalid_json() -> None:
    (block,) = output("invalid_json")
    assert isinstance(block, Text)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(block.text)


def test_tool_call() -> None:
    arguments = '{"city":"text","days":2}'
    expected = ToolCall("call_0", "weather", arguments)
    assert output("tool_call", request(tool_config=TOOLS)) == [expected]
    forced = ToolCallConfig((WEATHER, CLOCK), tool_choice={"specific": "clock"})
    assert output("tool_call", request(tool_config=forced)) == [ToolCall("call_0", "clock", "{}")]
    allowed = ToolCallConfig((WEATHER, CLOCK), allowed_tools=AllowedTools(("clock",), "explicit"))
    assert output("tool_call", request(tool_config=allowed))[0].name == "clock"  # type: ignore[union-attr]
    assert output("tool_call?n=2&args={", request(tool_config=TOOLS)) == [
        ToolCall("call_0", "weather", "{"),
        ToolCall("call_1", "weather", "{"),
    ]
    assert isinstance(ask("tool_call").failed(), IncompatibleTool)


def test_thought() -> None:
    thought, text = output("thought?signature=sig&text=a")
    assert text == Text("a")
    assert isinstance(thought, Thought)
    assert (thought.signature, thought.provider_type) == ("sig", "dummy")
    assert thought.text


def test_empty_none_and_unknown() -> None:
    assert output("empty") == [Text("")]
    assert output("none") == []
    assert output("unknown") == [Unknown({"type": "dummy_block"}, "m", "p")]


def test_request() -> None:
    given = request(
        user("a"),
        system="s",
        tool_config=ToolCallConfig((WEATHER,), tool_choice="required"),
        temperature=0.5,
        stop_sequences=("x",),
        json_mode="on",
        output_schema=SCHEMA,
        extra_headers=(ExtraHeader("x-a", "1"),),
    )
    (block,) = output("request", given, credentials={"b": "secret", "a": "secret"})
    assert isinstance(block, Text)
    shown = orjson.loads(block.text)
    assert shown["system"] == "s"
    assert shown["messages"] == [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    assert shown["tools"][0]["name"] == "weather"
    assert shown["tool_choice"] == "required"
    assert shown["params"] == {"temperature": 0.5, "stop_sequences": ["x"]}
    assert (shown["json_mode"], shown["function_type"]) == ("on", "chat")
    assert shown["output_schema"] == SCHEMA.value
    assert shown["credentials"] == ["a", "b"]
    assert shown["extra_headers"] == {"x-a": "1"}
    assert "secret" not in block.text


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        (
            "error",
            "InferenceServer",
            "Error from dummy server: the dummy provider was told to fail",
        ),
        ("error?status=503&message=busy", "InferenceServer", "Error from dummy server: busy"),
        (
            "error?status=429&message=slow+down",
            "InferenceClient",
            "Error 429 Too Many Requests from dummy client: slow down",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_error(name: str, kind: str, text: str, stream: bool) -> None:
    error = ask(name, request(stream=stream)).failed()
    assert (error.kind, str(error)) == (kind, text)
    assert len(error.raw_responses()) == 1


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_latency(stream: bool) -> None:
    assert _waited("text", stream) == 0
    assert _waited("text?latency_ms=40", stream) >= 0.04
    assert _waited("error?latency_ms=40", stream) >= 0.04
    assert (_waited("text?ttft_ms=40", stream) >= 0.04) is stream
    assert _waited("text?jitter_ms=30&latency_ms=40&rand_seed=1", stream) >= 0.04


def _waited(name: str, stream: bool) -> float:
    """How long the model waited, in seconds."""
    given = request(stream=stream)
    ask(name, given)
    return given.clock.total_s


def test_response_time_counts_the_latency() -> None:
    assert ask("text?latency_ms=50").answered().response_time_ms >= 50


@pytest.mark.parametrize("stream", [False, True])
def test_its_waiting_is_not_the_gateways_time(stream: bool) -> None:
    given = request(stream=stream)
    ask("text?text=ab&latency_ms=60&chunks=2&interval_ms=60", given)
    assert given.clock.total_s >= (0.12 if stream else 0.06)


def streamed(name: str, given: ModelRequest | None = None) -> list[Any]:
    given = given or request()
    given.stream = True
    return ask(name, given).items


def merged(items: list[Any]) -> StreamMerger:
    merger = StreamMerger(json=False)
    for item in items:
        merger.add(item)
    return merger


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("text?text=abcdefghijklmnopqrstuvwxyz", 9),
        ("text?text=abcdef&chunks=3", 3),
        ("text?text=abcdef&chunks=100", 6),
        ("text?text=&chunks=5", 1),
        ("tool_call?args=abcd&chunks=2&n=2", 4),
        ("thought?text=ab&chunks=2", 3),
        ("none", 0),
    ],
)
def test_a_stream_is_the_answer_in_chunks(name: str, count: int) -> None:
    given = request(tool_config=TOOLS)
    items = streamed(name, given)
    assert len(items) == count + 1
    whole = ask(name, request(tool_config=TOOLS)).answered()
    assert [b for b in whole.output if b != Text("")] == merged(items).output()
    last = items[-1]
    assert (last.content, last.usage, last.finish_reason) == (
        [],
        whole.usage,
        whole.finish_reason,
    )
    assert all(item.finish_reason is None and item.usage is None for item in items[:-1])
    for item in items:
        assert orjson.loads(item.raw)["object"] == "chat.completion.chunk"


def test_interval() -> None:
    outcome = ask("text?text=abc&chunks=3&interval_ms=40", request(stream=True))
    assert outcome.took_s >= 0.08


def test_stream_errors() -> None:
    items = streamed("text?text=abcd&chunks=4&stream_error_at=3")
    assert [getattr(item, "kind", "chunk") for item in items] == [
        "chunk",
        "chunk",
        "InferenceServer",
        "chunk",
        "chunk",
        "chunk",
    ]
    items = streamed("text?text=abcd&chunks=4&stream_fatal_at=3")
    assert [getattr(item, "kind", "chunk") for item in items] == [
        "chunk",
        "chunk",
        "FatalStreamError",
    ]
    (error,) = streamed("text?stream_fatal_at=1")
    assert isinstance(error, GatewayError)


def failures(name: str, times: int, given: ModelRequest | None = None) -> list[bool]:
    return ask(name, given, times=times, keep_going=True).failures


def test_failures_by_number() -> None:
    assert failures("text?fail_first=2", 4) == [True, True, False, False]
    assert failures("text?fail_every=3", 7) == [False, False, True, False, False, True, False]
    assert failures("text?fail_first=1&fail_every=2", 4) == [True, True, False, True]


def test_failures_by_chance_repeat_from_run_to_run() -> None:
    first = failures("text?error_rate=0.5", 40)
    assert 5 < sum(first) < 35
    assert failures("text?error_rate=0.5", 40) == first
    assert failures("text?error_rate=0.5&rand_seed=1", 40) != first
    seeded = failures("text?error_rate=0.5", 40, request(seed=9))
    assert failures("text?error_rate=0.5", 40, request(user("other"), seed=9)) == seeded
    assert failures("text?error_rate=0", 5) == [False] * 5
    assert failures("text?error_rate=1", 5) == [True] * 5


@pytest.mark.parametrize(
    "reason", ["stop", "stop_sequence", "length", "tool_call", "content_filter", "unknown"]
)
def test_finish(reason: str) -> None:
    response = ask(f"text?finish={reason}").answered()
    assert response.finish_reason == reason
    wire = orjson.loads(response.raw_response)["choices"][0]["finish_reason"]
    assert wire == ("tool_calls" if reason == "tool_call" else reason)
    assert streamed(f"text?finish={reason}")[-1].finish_reason == reason


def test_finish_by_default() -> None:
    assert ask("text").answered().finish_reason == "stop"
    given = request(tool_config=TOOLS)
    assert ask("tool_call", given).answered().finish_reason == "tool_call"


def test_usage() -> None:
    given = request(user("one two", "three"), assistant("four"), system="five six")
    response = ask("text?text=a+b", given).answered()
    assert response.usage == Usage(6, 2)
    assert response.raw_usage is not None
    assert response.raw_usage.to_json() == {
        "model_inference_id": MODEL_INFERENCE_ID,
        "provider_type": "dummy",
        "api_type": "chat_completions",
        "data": {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8},
    }
    assert ask("text?input_tokens=7&output_tokens=0").answered().usage == Usage(7, 0)
    quiet = ask("text?usage=none").answered()
    assert (quiet.usage, quiet.raw_usage) == (Usage(), None)
    assert "usage" not in orjson.loads(quiet.raw_response)
    assert streamed("text?usage=none")[-1].usage == Usage()


def test_what_is_recorded() -> None:
    given = request(
        user("a", File(data="AAAA", mime_type="image/png"), File(url="http://x/y")),
        system="s",
        extra_body=(ExtraBody("/x", 1),),
    )
    response = ask("text?text=a", given).answered()
    assert orjson.loads(response.raw_request) == {
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "file", "data": "<TENSORZERO_FILE_0>"},
                    File(url="http://x/y").to_json(),
                ],
            },
        ],
        "model": "text?text=a",
        "stream": False,
        "x": 1,
    }
    raw = orjson.loads(response.raw_response)
    assert raw["choices"][0]["message"] == {"role": "assistant", "content": "a"}
    assert raw["usage"]["completion_tokens"] == 1
    assert "AAAA" not in response.raw_request


def test_a_dynamic_key_must_come_with_the_request() -> None:
    key = DynamicCredential("k")
    assert ask("text", credential=key, credentials={"k": "x"}).answered()
    assert str(ask("text", credential=key).failed()) == (
        "API key missing for provider Dummy: Dynamic api key `k` is missing"
    )


def test_tools_that_it_lacks_are_refused() -> None:
    custom = ToolCallConfig((), custom_tools=(CustomTool("c"),))
    assert isinstance(ask("text", request(tool_config=custom)).failed(), IncompatibleTool)
    provided = ToolCallConfig((), provider_tools=(ProviderTool({}),))
    assert isinstance(ask("text", request(tool_config=provided)).failed(), ConfigError)


def test_a_thought_of_another_type_is_not_seen() -> None:
    given = request(user("a", Thought("no", provider_type="openai"), Thought("yes")))
    (message,) = ask("text", given).answered().messages
    assert message.content == [Text("a"), Thought("yes")]
