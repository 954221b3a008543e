"""HTTP facts of every route (checklist 1 to 7), and bad input."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import time
import zlib

import brotli
import httpx
import pytest
import zstandard

from gateway.api import HELLO, Api
from gateway.provider import delta, ending

BODY = json.dumps({"function_name": "chat", "input": HELLO}).encode()
LIMIT = 104_857_600


def test_status_and_health(api: Api) -> None:
    """Checklist 1."""
    status = api.client.get(f"{api.url}/status")
    assert status.status_code == 200
    assert list(status.json()) == ["status", "version", "config_hash"]
    assert status.json()["status"] == "ok"
    assert status.json()["version"] == status.headers["x-tensorzero-gateway-version"]
    assert int(status.json()["config_hash"]) < 2**256
    health = api.client.get(f"{api.url}/health")
    assert health.status_code == 200
    assert health.text == (
        '{"gateway":"ok","clickhouse":"ok","postgres":"ok","valkey":"ok","valkey_cache":"ok"}'
    )
    assert api.client.head(f"{api.url}/status").status_code == 200


def test_config_hash_is_the_snapshot_hash_of_rows(api: Api) -> None:
    """Section 1.1."""
    wanted = api.client.get(f"{api.url}/status").json()["config_hash"]
    answer = api.ok(function_name="chat")
    api.row(answer["inference_id"])
    rows = api.sql(
        "SELECT toString(snapshot_hash) AS h FROM ChatInference WHERE id = {id:UUID}",
        id=answer["inference_id"],
    )
    assert rows == [{"h": wanted}]


def test_health_tells_a_dead_database_and_inference_still_answers(api: Api) -> None:
    """Checklist 1."""
    (shipper,) = api.gateway.children("tensorzero.server.shipping")
    os.kill(shipper, signal.SIGSTOP)
    try:
        health = api.client.get(f"{api.url}/health")
        assert health.status_code == 503
        assert health.json()["clickhouse"] == "error"
        assert health.json()["gateway"] == "ok"
        assert len(health.json()) == 5
        answer = api.ok(function_name="chat")
    finally:
        os.kill(shipper, signal.SIGCONT)
    api.row(answer["inference_id"])
    assert api.client.get(f"{api.url}/health").status_code == 200


def test_unknown_path(api: Api) -> None:
    """Checklist 2."""
    for path, method in (("/nope?x=1", "GET"), ("/inference/", "POST"), ("/a/b", "DELETE")):
        answer = api.client.request(method, f"{api.url}{path}")
        assert answer.status_code == 404
        assert answer.json() == {"error": f"Route not found: {method} {path.split('?')[0]}"}
        assert answer.headers["x-tensorzero-gateway-version"]


def test_wrong_method(api: Api) -> None:
    """Checklist 2."""
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = api.client.request(method, f"{api.url}/inference")
        assert (answer.status_code, answer.content) == (405, b"")
        assert answer.headers["allow"] == "POST"
        assert answer.headers["x-tensorzero-gateway-version"]
    answer = api.client.post(f"{api.url}/health")
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "GET,HEAD")


def test_empty_body_and_empty_object(api: Api) -> None:
    """Checklist 3."""
    empty = api.client.post(f"{api.url}/inference")
    assert empty.status_code == 400
    assert empty.json() == {
        "error": "Failed to parse the request body as JSON: EOF while parsing a value at line 1 "
        "column 0 (400 Bad Request)"
    }
    nothing = api.send({})
    assert (nothing.status_code, nothing.json()) == (400, {"error": "missing field `input`"})


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_content_type_is_ignored(api: Api, content_type: str | None) -> None:
    """Checklist 4."""
    headers = {} if content_type is None else {"content-type": content_type}
    answer = api.client.post(f"{api.url}/inference", content=BODY, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("GZIP", gzip.compress(BODY, mtime=0)),
        ("br", brotli.compress(BODY)),
        ("zstd", zstandard.compress(BODY)),
        ("identity", BODY),
    ],
)
def test_codings(api: Api, coding: str, packed: bytes) -> None:
    """Checklist 5."""
    url, headers = f"{api.url}/inference", {"content-encoding": coding}
    assert api.client.post(url, content=packed, headers=headers).status_code == 200
    if coding != "identity":
        for broken in (b"not packed", packed[:-3]):
            answer = api.client.post(url, content=broken, headers=headers)
            assert answer.status_code == 400
            assert "decompress" in answer.json()["error"]


@pytest.mark.parametrize("coding", ["deflate", "gzip, br", "x-unknown"])
def test_unknown_codings(api: Api, coding: str) -> None:
    """Checklist 5."""
    answer = api.client.post(
        f"{api.url}/inference", content=zlib.compress(BODY), headers={"content-encoding": coding}
    )
    assert (answer.status_code, answer.content) == (415, b"")
    assert answer.headers["accept-encoding"] == "gzip,br,zstd"


def test_base_path(silent: Api) -> None:
    """Checklist 6."""
    assert silent.post(function_name="chat").status_code == 200
    for path in ("status", "health"):
        assert silent.client.get(f"{silent.url}/{path}").status_code == 200
    unprefixed = silent.client.post(f"{silent.gateway.url}/inference", json={"input": HELLO})
    assert unprefixed.status_code == 404
    assert unprefixed.json()["error"] == "Route not found: POST /inference"
    assert silent.client.get(f"{silent.gateway.url}/status").status_code == 404


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"bogus": 1}, "unknown field `bogus`"),
        ({"params": {"embedding": {}}}, "params: unknown field `embedding`"),
        (
            {"params": {"chat_completion": {"top_k": 1}}},
            "params.chat_completion: unknown field `top_k`",
        ),
        ({"input": {"messages": [], "extra": 1}}, "input: unknown field `extra`"),
        (
            {"input": {"messages": [{"role": "user", "content": "x", "name": "n"}]}},
            "input.messages[0]: unknown field `name`",
        ),
    ],
)
def test_unknown_keys_are_refused(api: Api, fields: dict[str, object], text: str) -> None:
    """Checklist 7."""
    body = api.refused(400, function_name="chat", **fields)
    assert body["error"].startswith(text)
    assert api.provider.requests == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"stream": "true"}, "stream"),
        ({"dryrun": 1}, "dryrun"),
        ({"internal": "no"}, "internal"),
        ({"function_name": 7}, "function_name"),
        ({"tags": {"a": 1}}, "tags.a"),
        ({"tags": []}, "tags"),
        ({"episode_id": "x"}, "episode_id"),
        ({"episode_id": "0190f000_00007000800000000000001"}, "episode_id"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": {"system": 5}}, "input.system"),
        ({"input": {"messages": {}}}, "input.messages"),
        ({"input": {"messages": [[]]}}, "input.messages[0]"),
        ({"input": {"messages": [{"role": "user"}]}}, "input.messages[0]"),
        ({"input": {"messages": [{"role": "user", "content": 5}]}}, "input.messages[0].content"),
        ({"params": {"chat_completion": {"max_tokens": 1.5}}}, "params.chat_completion.max_tokens"),
        ({"params": {"chat_completion": {"max_tokens": -1}}}, "params.chat_completion.max_tokens"),
        ({"params": {"chat_completion": {"seed": 2**32}}}, "params.chat_completion.seed"),
        (
            {"params": {"chat_completion": {"temperature": "1"}}},
            "params.chat_completion.temperature",
        ),
        (
            {"params": {"chat_completion": {"temperature": 1e39}}},
            "params.chat_completion.temperature",
        ),
        ({"params": {"chat_completion": {"json_mode": "x"}}}, "params.chat_completion.json_mode"),
        (
            {"params": {"chat_completion": {"service_tier": "x"}}},
            "params.chat_completion.service_tier",
        ),
        (
            {"params": {"chat_completion": {"stop_sequences": [1]}}},
            "params.chat_completion.stop_sequences[0]",
        ),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"specific": 1}}, "tool_choice.specific"),
        ({"parallel_tool_calls": "x"}, "parallel_tool_calls"),
        ({"allowed_tools": [1]}, "allowed_tools[0]"),
        ({"additional_tools": [{"name": "x"}]}, "additional_tools[0]"),
        (
            {"additional_tools": [{"name": "x", "description": "", "parameters": {}, "y": 1}]},
            "additional_tools[0]",
        ),
        ({"provider_tools": [{}]}, "provider_tools[0]"),
        ({"provider_tools": [{"tool": 1, "scope": {}}]}, "provider_tools[0].scope"),
        ({"credentials": {"k": 1}}, "credentials.k"),
        ({"cache_options": {"enabled": "sometimes"}}, "cache_options.enabled"),
        ({"cache_options": {"max_age_s": -1}}, "cache_options.max_age_s"),
        ({"internal_dynamic_variant_config": []}, "internal_dynamic_variant_config"),
    ],
)
def test_wrong_types_name_their_path(api: Api, fields: dict[str, object], path: str) -> None:
    """Sections 1 and 2: types are strict, the first fault's path is in the text."""
    body = api.refused(400, **{"function_name": "chat", **fields})
    assert body["error"].startswith(f"{path}: "), body
    assert api.ok(function_name="chat")


def test_null_counts_as_absent(api: Api) -> None:
    """Section 2, section 16.1."""
    nulls = dict.fromkeys(
        (
            *("model_name", "episode_id", "variant_name", "namespace", "stream", "params"),
            *("dryrun", "internal", "tags", "allowed_tools", "additional_tools", "tool_choice"),
            *("parallel_tool_calls", "provider_tools", "output_schema", "credentials"),
            *("cache_options", "extra_body", "extra_headers", "include_raw_response"),
            *("include_raw_usage", "include_original_response", "include_aggregated_response"),
            "internal_dynamic_variant_config",
        )
    )
    given = {"system": None, "messages": HELLO["messages"]}
    assert "raw_usage" not in api.ok(function_name="chat", **nulls, input=given)
    assert api.ok(function_name="chat", params={})
    assert api.ok(function_name="chat", params={"chat_completion": {"seed": None}})
    assert api.ok(function_name="chat", cache_options={"enabled": None, "other": 1})


@pytest.mark.parametrize(
    "content",
    [
        b" ",
        b"{",
        b"\xff\xfe",
        b'{"function_name":"chat","input":{"system":"\xff"}}',
        b'{"function_name":"chat","input":{"system":"\\ud800"}}',
        b"[" * 100_000,
        b'{"input":' + b"[" * 2000,
        b'{"function_name":"chat","input":{"system":{"a":' + b"[" * 200 + b"]" * 200 + b"}}}",
        b'{"function_name":"chat","input":NaN}',
        BODY + b"x",
    ],
)
def test_bodies_that_are_not_json(api: Api, content: bytes) -> None:
    """Bad input: invalid UTF-8, lone surrogates, deep nesting, garbage."""
    answer = api.client.post(f"{api.url}/inference", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Failed to parse the request body as JSON: ")
    assert api.ok(function_name="chat")


@pytest.mark.parametrize("content", [b"[]", b'"x"', b"null", b"1.5", b"true"])
def test_bodies_that_are_no_object(api: Api, content: bytes) -> None:
    answer = api.client.post(f"{api.url}/inference", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("invalid type: ")


def test_the_deepest_json_that_is_taken_is_recorded(api: Api) -> None:
    """What the parser takes, every writer can write."""
    depth = 127 - 6
    deep = json.loads('{"a":' * depth + "1" + "}" * depth)
    answer = api.ok(
        function_name="chat",
        extra_body=[{"pointer": "/" + "/".join("abc" for _ in range(100)), "value": deep}],
    )
    assert api.row(answer["inference_id"])["extra_body"][0]["value"] == deep
    refused = api.post(
        function_name="chat",
        variant_name="v",
        extra_body=[{"pointer": "/a" * 101, "value": 1}],
    )
    assert refused.status_code == 500
    assert "more than 100 parts" in refused.json()["error"]


def test_a_long_unknown_key_is_not_echoed_whole(api: Api) -> None:
    body = api.refused(400, "unknown field", function_name="chat", **{"x" * 100_000: 1})
    assert len(body["error"]) < 2000


def _raw(api: Api) -> socket.socket:
    host, port = api.gateway.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(api: Api) -> None:
    """Section 1: 400, not 413, and at once; a new request works."""
    with _raw(api) as link:
        link.sendall(
            f"POST /inference HTTP/1.1\r\nhost: x\r\ncontent-length: {LIMIT + 1}\r\n\r\n".encode()
        )
        answer = link.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"x-tensorzero-gateway-version" in head
    error = json.loads(body)["error"]
    assert str(LIMIT) in error
    assert "413" in error
    assert api.ok(function_name="chat")


def test_a_body_of_the_limit_is_read(api: Api) -> None:
    """100 MiB of JSON, and one byte more when decompressed."""
    padding = b" " * (LIMIT - len(BODY))
    with httpx.Client(timeout=60) as client:
        whole = client.post(f"{api.url}/inference", content=BODY + padding)
        assert whole.status_code == 200
        packed = brotli.compress(BODY + padding + b" ", quality=1)
        headers = {"content-encoding": "br"}
        over = client.post(f"{api.url}/inference", content=packed, headers=headers)
        assert over.status_code == 400
        assert "413" in over.json()["error"]
        assert client.post(f"{api.url}/inference", content=BODY).status_code == 200


def test_a_bomb_costs_little(api: Api) -> None:
    """A few kilobytes that stand for half a gigabyte end at the limit."""
    packed = brotli.compress(b"\0" * (1 << 29), quality=1)
    started = time.monotonic()
    answer = api.client.post(
        f"{api.url}/inference", content=packed, headers={"content-encoding": "br"}
    )
    assert answer.status_code == 400
    assert time.monotonic() - started < 10


def test_refusals_keep_the_connection(api: Api) -> None:
    """A 4xx, then the next request on the same connection."""
    requests = [
        (b"{", 400),
        (BODY, 200),
        (json.dumps({"function_name": "nope", "input": HELLO}).encode(), 404),
        (b"\xff", 400),
        (BODY, 200),
    ]
    with _raw(api) as link:
        reader = link.makefile("rb")
        for body, status in requests:
            link.sendall(
                b"POST /inference HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
                + body
            )
            line = reader.readline()
            assert line.startswith(f"HTTP/1.1 {status} ".encode())
            length = 0
            while (field := reader.readline()) != b"\r\n":
                if field.lower().startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
            assert reader.read(length)


DIFFERENTIAL: list[tuple[bytes, bytes]] = [
    (b"", BODY),
    (b"", b""),
    (b"", b'{"function_name":"nope","input":{}}'),
    (b"", b'{"function_name":"chat","input":{},"stream":true}'),
    (b"", b'{"model_name":"status-500","input":{},"stream":true}'),
    (b"content-encoding: gzip\r\n", gzip.compress(BODY, mtime=0)),
    (b"content-encoding: gzip\r\n", b"not gzip"),
    (b"content-encoding: deflate\r\n", BODY),
]
UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _exchange(
    api: Api, target: str, headers: bytes, body: bytes
) -> tuple[bytes, set[bytes], bytes]:
    """Status line, header fields and body (unchunked), ids blotted out."""
    with _raw(api) as link:
        link.sendall(
            f"POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".encode()
            + headers
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        )
        whole = link.makefile("rb").read()
    head, _, rest = whole.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    if b"transfer-encoding: chunked" in fields:
        plain = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            plain += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        rest = plain
    return (
        status,
        {field for field in fields if b"content-length" not in field},
        UUID.sub(b"", rest),
    )


@pytest.mark.parametrize(("headers", "body"), DIFFERENTIAL)
def test_both_protocols_answer_alike(api: Api, headers: bytes, body: bytes) -> None:
    """What our own protocol hands over (here by an absolute target) is answered the same."""
    own = _exchange(api, "/inference", headers, body)
    other = _exchange(api, "http://x/inference", headers, body)
    assert own == other


def test_an_inference_that_was_handed_over_outlives_its_client(api: Api) -> None:
    """Section 1.2, on the other protocol."""
    api.provider.scripts["scripted"] = [delta(content="a"), 0.3, delta(content="b"), *ending()]
    body = b'{"function_name":"chat","input":{},"stream":true,"tags":{"mark":"handed"}}'
    with _raw(api) as link:
        link.sendall(
            b"POST http://x/inference HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )
        assert b"200 OK" in link.recv(4096)
    ends = time.monotonic() + 30
    query = "SELECT output FROM ChatInference WHERE tags['mark'] = 'handed'"
    while not (rows := api.sql(query)):
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert rows == [{"output": '[{"type":"text","text":"ab"}]'}]


def test_a_chunked_body(api: Api) -> None:
    def pieces():  # type: ignore[no-untyped-def]
        yield BODY[:10]
        yield BODY[10:]

    assert api.client.post(f"{api.url}/inference", content=pieces()).status_code == 200
