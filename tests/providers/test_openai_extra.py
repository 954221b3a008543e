"""Keys, ``extra_body`` and ``extra_headers`` in the requests of the ``openai`` provider."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import call, request, user
from tensorzero.config.credentials import (
    DynamicCredential,
    FallbackCredential,
    NoCredential,
    StaticCredential,
)
from tensorzero.types.content import Unknown
from tensorzero.types.errors import ApiKeyMissing, ExtraBodyReplacement, Serialization
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import FunctionTool, ToolCallConfig

START = '{"messages":[{"role":"user","content":"hi"}],"model":"gpt-x","stream":false'


def body(*entries: ExtraBody, **options: Any) -> str:
    outcome = call(request(extra_body=entries), **options)
    assert outcome.answered().raw_request == outcome.body
    return outcome.body


EDITS: list[tuple[list[ExtraBody], str]] = [
    ([ExtraBody("/x", {"b": 1, "a": None})], START + ',"x":{"b":1,"a":null}}'),
    ([ExtraBody("/model", "other")], START.replace("gpt-x", "other") + "}"),
    ([ExtraBody("/a/b/c", 1), ExtraBody("/a/b/d", 2)], START + ',"a":{"b":{"c":1,"d":2}}}'),
    ([ExtraBody("/a~1b~0c~01", 1)], START + ',"a/b~c~1":1}'),
    (
        [ExtraBody("/messages/-", {"role": "user", "content": "more"})],
        START.replace("}]", '},{"role":"user","content":"more"}]') + "}",
    ),
    ([ExtraBody("/messages/0/content", "new")], START.replace('"hi"', '"new"') + "}"),
    (
        [ExtraBody("/messages/0", delete=True)],
        START.replace('{"role":"user","content":"hi"}', "") + "}",
    ),
    ([ExtraBody("/stream", delete=True)], START.replace(',"stream":false', "") + "}"),
    ([ExtraBody("/nothing/there", delete=True)], START + "}"),
    ([ExtraBody("/messages/7", delete=True)], START + "}"),
    ([ExtraBody("/x", 1), ExtraBody("/x", delete=True)], START + "}"),
    ([ExtraBody("/x", 1), ExtraBody("/x", 2)], START + ',"x":2}'),
    ([ExtraBody("/x", None)], START + ',"x":null}'),
    ([ExtraBody("/x", 1, model_name="m")], START + ',"x":1}'),
    ([ExtraBody("/x", 1, model_name="m", provider_name="p")], START + ',"x":1}'),
    ([ExtraBody("/x", 1, model_name="other")], START + "}"),
    ([ExtraBody("/x", 1, model_name="m", provider_name="other")], START + "}"),
]


@pytest.mark.parametrize(("entries", "expected"), EDITS)
def test_edits(entries: list[ExtraBody], expected: str) -> None:
    assert body(*entries) == expected


FAULTS: list[tuple[str, bool, str]] = [
    ("", False, "empty"),
    ("x", False, "does not start with `/`"),
    ("/x/", False, "ends with `/`"),
    ("/0", False, "looks like an array index"),
    ("/a/0/b", False, "looks like an array index"),
    ("/messages/1", False, "not in an array of length 1"),
    ("/messages/01", False, "not in an array"),
    ("/messages/x", False, "not in an array"),
    ("/messages/-/x", False, "last element"),
    ("/messages/3/x", False, "out of range"),
    ("/-", False, "arrays only"),
    ("/model/x", False, "neither"),
    ("/model/x/y", False, "neither object nor array"),
    ("/messages/-", True, "no element"),
    ("", True, "empty"),
]


@pytest.mark.parametrize(("pointer", "delete", "text"), FAULTS)
@pytest.mark.parametrize("stream", [False, True])
def test_pointers_that_cannot_apply(pointer: str, delete: bool, text: str, stream: bool) -> None:
    outcome = call(request(extra_body=(ExtraBody(pointer, 1, delete),), stream=stream))
    error = outcome.failed()
    assert isinstance(error, ExtraBodyReplacement)
    assert error.status == 400
    assert text in str(error) and f"with pointer: `{pointer}`" in str(error)
    assert outcome.seen == []


def test_a_deletion_of_nothing_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    body(ExtraBody("/nothing", delete=True))
    assert "nothing to delete at `/nothing`" in caplog.text


def test_variant_then_provider_then_request() -> None:
    outcome = call(
        request(
            variant_extra_body=(ExtraBody("/x", "variant"), ExtraBody("/v", 1)),
            extra_body=(ExtraBody("/z", "request"), ExtraBody("/v", delete=True)),
        ),
        extra_body=(ExtraBody("/x", "provider"), ExtraBody("/z", "provider")),
    )
    assert orjson.loads(outcome.body)["x"] == "provider"
    assert outcome.body.endswith(',"x":"provider","z":"request"}')


def test_values_are_not_shared_between_requests() -> None:
    """An appended entry must not grow the configured value."""
    entry = ExtraBody("/list", [])
    append = ExtraBody("/list/-", 1)
    assert body(append, extra_body=(entry,)).endswith('"list":[1]}')
    assert body(append, extra_body=(entry,)).endswith('"list":[1]}')
    assert entry.value == []


def test_edits_inside_tools_and_schemas_leave_the_config_alone() -> None:
    schema = JSONSchema({"type": "object", "properties": {"a": {"type": "string"}}})
    tool = FunctionTool("t", "t", "", schema)
    data = {"type": "x", "deep": [{"n": 1}]}
    given = request(
        user("a", Unknown(data)),
        tool_config=ToolCallConfig((tool,)),
        json_mode="strict",
        output_schema=schema,
        extra_body=(
            ExtraBody("/tools/0/function/parameters/properties/a/type", "integer"),
            ExtraBody("/response_format/json_schema/schema/properties/a", delete=True),
            ExtraBody("/messages/0/content/1/deep/0/n", 2),
        ),
    )
    for _ in range(2):
        sent = orjson.loads(call(given).body)
        parameters = sent["tools"][0]["function"]["parameters"]
        assert parameters["properties"] == {"a": {"type": "integer"}}
        assert sent["response_format"]["json_schema"]["schema"]["properties"] == {}
        assert sent["messages"][0]["content"][1]["deep"] == [{"n": 2}]
    assert schema.value == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert data == {"type": "x", "deep": [{"n": 1}]}


def headers(*entries: ExtraHeader, **options: Any) -> dict[str, str]:
    outcome = call(request(extra_headers=entries), **options)
    outcome.answered()
    return outcome.headers


KEY = StaticCredential("sk-secret-0123456789")


def test_headers_are_set_replaced_and_removed() -> None:
    plain = headers(credential=KEY)
    assert plain["authorization"] == "Bearer sk-secret-0123456789"
    sent = headers(
        ExtraHeader("X-New", "1"),
        ExtraHeader("AUTHORIZATION", "Basic x"),
        ExtraHeader("Content-Type", "application/json; charset=utf-8"),
        ExtraHeader("accept", delete=True),
        credential=KEY,
    )
    assert sent["x-new"] == "1"
    assert sent["authorization"] == "Basic x"
    assert sent["content-type"] == "application/json; charset=utf-8"
    assert "accept" not in sent


def test_header_order_and_deletions() -> None:
    outcome = call(
        request(
            variant_extra_headers=(ExtraHeader("x-a", "v"), ExtraHeader("x-b", "v")),
            extra_headers=(
                ExtraHeader("X-B", "request"),
                ExtraHeader("x-c", delete=True),
                ExtraHeader("x-d", "1", model_name="other"),
                ExtraHeader("x-e", "1", model_name="m", provider_name="p"),
            ),
        ),
        extra_headers=(ExtraHeader("X-A", "provider"), ExtraHeader("x-c", "provider")),
    )
    sent = {name: value for name, value in outcome.headers.items() if name.startswith("x-")}
    assert sent == {"x-a": "provider", "x-b": "request", "x-e": "1"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bad name", "x"),
        ("", "x"),
        ("x", "a\r\nb: c"),
        ("x", "a\0"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
    ],
)
def test_headers_that_cannot_be_sent(name: str, value: str) -> None:
    outcome = call(request(extra_headers=(ExtraHeader(name, value),)))
    assert isinstance(outcome.failed(), Serialization)
    assert outcome.seen == []


def test_a_refused_header_value_is_not_shown() -> None:
    outcome = call(request(extra_headers=(ExtraHeader("x-key", "sk-secret\n"),)))
    assert "sk-secret" not in str(outcome.failed())


PAIR = FallbackCredential(DynamicCredential("k"), KEY)


def test_credentials(caplog: pytest.LogCaptureFixture) -> None:
    dynamic = DynamicCredential("k")
    given = {"k": "sk-dynamic"}
    assert "authorization" not in headers(credential=NoCredential())
    assert headers(credential=dynamic, credentials=given)["authorization"] == "Bearer sk-dynamic"
    assert headers(credential=PAIR, credentials=given)["authorization"] == "Bearer sk-dynamic"
    assert "fallback" not in caplog.text
    assert headers(credential=PAIR)["authorization"] == "Bearer sk-secret-0123456789"
    assert caplog.text.count("fallback") == 1
    assert headers(credential=StaticCredential(""))["authorization"] == "Bearer"


@pytest.mark.parametrize("stream", [False, True])
def test_a_missing_dynamic_key_names_itself(stream: bool) -> None:
    outcome = call(
        request(stream=stream), credential=DynamicCredential("tenant"), credentials={"other": "x"}
    )
    error = outcome.failed()
    assert isinstance(error, ApiKeyMissing)
    assert str(error) == (
        "API key missing for provider OpenAI: Dynamic api key `tenant` is missing"
    )
    assert outcome.seen == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_a_key_that_is_no_header_value(dynamic: bool, stream: bool) -> None:
    """Such as one whose variable ends in a line break."""
    key = "sk-secret\n"
    outcome = call(
        request(stream=stream),
        credential=DynamicCredential("k") if dynamic else StaticCredential(key),
        credentials={"k": key},
    )
    assert "control character" in str(outcome.failed())
    assert "sk-secret" not in str(outcome.failed())
    assert outcome.seen == []
