"""What the one-pass reader takes is what the complete parser makes of the same bytes."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.gateway.common_request import read_common_request
from tensorzero.gateway.request import parse_any_request, parse_inference_request
from tensorzero.types.errors import GatewayError

texts = st.text(max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "text", "raw_text"]), "text": texts},
    optional={"value": texts, "arguments": anything},
)
templates = st.fixed_dictionaries(
    {"type": st.just("template"), "name": texts, "arguments": st.dictionaries(texts, anything)},
    optional={"text": texts},
)
contents = texts | st.lists(blocks | templates, max_size=3) | anything
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"]), "content": contents},
    optional={"name": texts},
)
inputs = st.fixed_dictionaries(
    {}, optional={"messages": st.lists(messages, max_size=3) | anything, "system": texts | anything}
)
requests = st.fixed_dictionaries(
    {"input": inputs | anything},
    optional={
        "function_name": texts | anything,
        "model_name": texts,
        "episode_id": st.uuids().map(str) | texts,
        "variant_name": texts,
        "stream": st.booleans() | anything,
        "dryrun": st.booleans(),
        "internal": st.booleans(),
        "tags": st.dictionaries(texts, texts, max_size=2) | anything,
        "params": st.just({"chat_completion": {"seed": 1}}) | anything,
        "cache_options": st.just({"enabled": "off"}),
    },
)


def _compare(body: bytes) -> bool:
    """Whether the body is of the common form; then both ways must agree."""
    if read_common_request(body) is None:
        return False
    try:
        expected = parse_any_request(body)
    except GatewayError as refusal:
        with pytest.raises(type(refusal)) as caught:
            parse_inference_request(body)
        assert str(caught.value) == str(refusal)
    else:
        read = parse_inference_request(body)
        assert read.common
        read.common = False
        assert read == expected
    return True


@settings(max_examples=600, deadline=None)
@given(requests)
def test_generated_requests(request: dict[str, Any]) -> None:
    _compare(orjson.dumps(request))


PLAIN: dict[str, Any] = {
    "function_name": "draft",
    "input": {
        "system": "sé",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
            {
                "role": "user",
                "content": [
                    {
                        "type": "template",
                        "name": "t",
                        "arguments": {"a": [1, 2.5, None, {"b": True}]},
                    }
                ],
            },
        ],
    },
    "episode_id": "0190F000-0000-7000-8000-000000000009",
    "tags": {"a": "b"},
    "stream": True,
}


def test_the_common_form_is_taken() -> None:
    assert _compare(orjson.dumps(PLAIN))
    assert _compare(json.dumps(PLAIN, indent=3).encode())


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_broken_bytes(data: st.DataObject) -> None:
    body = bytearray(json.dumps(PLAIN, ensure_ascii=data.draw(st.booleans())).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        what = data.draw(st.sampled_from(["set", "insert", "delete", "cut"]))
        if what == "set":
            body[at] = data.draw(st.integers(0, 255))
        elif what == "insert":
            body[at:at] = data.draw(
                st.sampled_from(
                    [b"\\ud800", b"\\u0000", b"\\", b'"', b"\xff", b"\xed\xa0\x80", b"\n"]
                )
            )
        elif what == "delete":
            del body[at]
        else:
            del body[at:]
        if not body:
            return
    _compare(bytes(body))


@pytest.mark.parametrize(
    "content",
    [b"\\ud800", b"\\ud800a", b"\\udc00", b"\\ud800\\u0041", b"\\ud800\\udc00", b"\xed\xa0\x80"],
)
def test_surrogates(content: bytes) -> None:
    _compare(b'{"input":{"messages":[{"role":"user","content":"' + content + b'"}]}}')


@pytest.mark.parametrize(
    "body",
    [
        b'{"input":{"messages":[]},"input":{"messages":[{"role":"user","content":"x"}]}}',
        b'{"stream":true,"stream":false,"input":{}}',
        b'{"input":{"messages":[{"role":"user","role":"assistant","content":"x"}]}}',
        b'{"input":{"messages":[{"role":"user","content":[{"type":"raw_text","type":"text","text":"x"}]}]}}',
        b'{"input":{},"tags":{"a":"1","a":"2"}}',
        b'{"input":{"system":{"a":1,"a":2}}}',
    ],
)
def test_repeated_keys(body: bytes) -> None:
    _compare(body)


@pytest.mark.parametrize(
    "number",
    [
        b"1e400",
        b"-0",
        b"-0.0",
        b"1E5",
        b"0.1",
        b"123456789012345678901234567890",
        b"-9223372036854775809",
        b"18446744073709551616",
        b"9007199254740993",
        b"1.7976931348623157e308",
        b"5e-324",
        b"01",
        b"1.",
        b"NaN",
    ],
)
def test_numbers_of_arguments(number: bytes) -> None:
    body = b'{"input":{"system":{"a":[' + number + b"]}}}"
    if _compare(body):
        mine, whole = parse_inference_request(body), parse_any_request(body)
        assert repr(mine.input.system) == repr(whole.input.system)


def test_deep_arguments() -> None:
    for depth in (100, 126, 127, 200, 3000):
        _compare(b'{"input":{"system":{"a":' + b"[" * depth + b"]" * depth + b"}}}")


@pytest.mark.parametrize(
    ("enabled", "warned"), [("on", True), ("write_only", True), ("off", False)]
)
def test_cache_options_do_not_pretend(
    enabled: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"input":{},"cache_options":{"enabled":"' + enabled.encode() + b'"}}'
    parse_inference_request(body)
    assert ("cache is not served yet" in caplog.text) is warned
