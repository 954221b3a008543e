"""What arrives at hosts of the Messages API: lines, headers, bodies byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from providers.calls import assistant, request, user
from providers.claude import (
    ANTHROPIC,
    BOTH,
    KEY,
    MODEL,
    NAMES,
    SCHEMA,
    VERTEX,
    VERTEX_OPTIONS,
    ask,
    says,
    sent,
    text,
)
from providers.gcp_account import EMAIL, key_file, read_jwt
from tensorzero.config.credentials import DynamicCredential, FileCredential, NoCredential
from tensorzero.config.shorthand import shorthand_options
from tensorzero.providers.anthropic import LIMITS
from tensorzero.providers.gcp_vertex_anthropic import LIMITS as VERTEX_LIMITS
from tensorzero.types.content import Message
from tensorzero.types.extra import ExtraBody, ExtraHeader
from upstream.scripted import answer, stream

both = pytest.mark.parametrize("type", BOTH)
PREFILL = {"role": "assistant", "content": [text("Here is the JSON requested:\n{")]}


def test_the_smallest_call_of_anthropic() -> None:
    outcome = ask(ANTHROPIC, request(user("Hi")))
    assert outcome.seen[0].line == "POST /v1/messages HTTP/1.1"
    assert outcome.headers["x-api-key"] == KEY
    assert outcome.headers["anthropic-version"] == "2023-06-01"
    assert outcome.headers["content-type"] == "application/json"
    assert "anthropic-beta" not in outcome.headers and "authorization" not in outcome.headers
    assert outcome.body == outcome.raw_request
    assert outcome.body == (
        f'{{"model":"{MODEL}","messages":[{{"role":"user","content":'
        '[{"type":"text","text":"Hi"}]}],"max_tokens":64000,"stream":false}'
    )


def test_the_smallest_call_of_vertex() -> None:
    outcome = ask(VERTEX, request(user("Hi")))
    assert outcome.seen[0].line == (
        "POST /v1/projects/proj/locations/us-east5/publishers/anthropic/models/"
        f"{MODEL}@20250929:rawPredict HTTP/1.1"
    )
    assert outcome.headers["authorization"] == f"Bearer {KEY}"
    assert "anthropic-version" not in outcome.headers
    assert outcome.body == outcome.raw_request
    assert outcome.body == (
        '{"anthropic_version":"vertex-2023-10-16","messages":[{"role":"user","content":'
        '[{"type":"text","text":"Hi"}]}],"max_tokens":64000,"stream":false}'
    )


FULL: dict[str, Any] = {
    "system": "Be brief.",
    "temperature": 0.5,
    "top_p": 0.25,
    "max_tokens": 100,
    "stop_sequences": ("a", "b"),
    "reasoning_effort": "high",
    "json_mode": "strict",
    "output_schema": SCHEMA,
    "stream": True,
    "service_tier": "priority",
    "seed": 7,
    "presence_penalty": 1.0,
    "frequency_penalty": 1.0,
}


@both
def test_everything_in_the_vendors_order(type: str) -> None:
    said = [user("é"), assistant("Hm"), user("go")]
    outcome = ask(type, request(*said, **FULL), stream())
    messages = (
        '"messages":[{"role":"user","content":[{"type":"text","text":"é"}]},'
        '{"role":"assistant","content":[{"type":"text","text":"Hm"}]},'
        '{"role":"user","content":[{"type":"text","text":"go"}]}],"max_tokens":100,"stream":true,'
    )
    system = '"system":[{"type":"text","text":"Be brief."}],"temperature":0.5,'
    if type == ANTHROPIC:
        expected = (
            f'{{"model":"{MODEL}",{messages}"output_config":{{"format":{{"type":"json_schema",'
            '"schema":{"type":"object","properties":{"name":{"type":"string"}}}},'
            f'"effort":"high"}},{system}"thinking":{{"type":"adaptive"}},"top_p":0.25,'
            '"service_tier":"auto","stop_sequences":["a","b"]}'
        )
    else:
        expected = (
            f'{{"anthropic_version":"vertex-2023-10-16",{messages}'
            f'"output_config":{{"effort":"high"}},{system}"thinking":{{"type":"adaptive"}},'
            '"stop_sequences":["a","b"],"top_p":0.25}'
        )
    assert outcome.body == expected == outcome.raw_request
    assert outcome.headers["accept"] == "text/event-stream"


# --- places ---------------------------------------------------------------------------------------

BASES = ["", "/", "/messages", "/messages/", "?x=1", "/messages?x=1"]


@pytest.mark.parametrize("base", BASES)
def test_every_spelling_of_the_base_ends_in_messages(base: str) -> None:
    assert ask(ANTHROPIC, base=base).seen[0].line == "POST /v1/messages HTTP/1.1"


def test_without_a_base_the_vendor_is_asked() -> None:
    outcome = ask(ANTHROPIC, options={"api_base": None})
    assert outcome.seen[0].line == "POST /v1/messages HTTP/1.1"
    assert outcome.headers["host"].startswith("127.0.0.1")


PLACES = [
    ({"location": "global"}, "locations/global/publishers/anthropic/models/"),
    ({"model_id": None, "endpoint_id": "123"}, "locations/us-east5/endpoints/123:rawPredict"),
]


@pytest.mark.parametrize(("options", "place"), PLACES)
def test_places_of_vertex(options: dict[str, Any], place: str) -> None:
    outcome = ask(VERTEX, request(max_tokens=5), options={**VERTEX_OPTIONS, **options})
    assert place in outcome.seen[0].line


def test_streams_of_vertex_have_a_place_of_their_own() -> None:
    outcome = ask(VERTEX, request(stream=True), stream())
    assert outcome.seen[0].line.endswith(f"{MODEL}@20250929:streamRawPredict HTTP/1.1")
    assert '"stream":true' in outcome.body


# --- keys and headers -----------------------------------------------------------------------------


def test_a_key_that_the_request_brings() -> None:
    dynamic = DynamicCredential("mine")
    outcome = ask(ANTHROPIC, credential=dynamic, credentials={"mine": "brought"})
    assert outcome.headers["x-api-key"] == "brought"
    error = ask(ANTHROPIC, credential=dynamic).failed()
    assert (error.kind, error.status) == ("ApiKeyMissing", 400)
    assert "mine" in str(error)


def test_a_key_file_of_vertex_signs_for_the_region() -> None:
    outcome = ask(VERTEX, credential=FileCredential(key_file()), times=2)
    outcome.answered()
    header, claims = read_jwt(outcome.headers["authorization"])
    assert header == {"typ": "JWT", "alg": "RS256", "kid": "key-1"}
    assert claims["iss"] == claims["sub"] == EMAIL
    assert claims["aud"] == "https://us-east5-aiplatform.googleapis.com/"
    assert claims["exp"] - claims["iat"] == 3600
    # Nobody was asked for a token.
    assert all(":rawPredict" in seen.line for seen in outcome.seen) and len(outcome.seen) == 2


def test_a_token_of_vertex_that_is_missing() -> None:
    error = ask(VERTEX, credentials={}).failed()
    assert (error.kind, error.status) == ("ApiKeyMissing", 400)
    assert "`token`" in str(error)


SHORTHANDS = [
    (f"anthropic::{MODEL}", "POST /v1/messages HTTP/1.1"),
    (
        f"{VERTEX}::projects/p/locations/global/publishers/anthropic/models/{MODEL}@1",
        f"POST /v1/projects/p/locations/global/publishers/anthropic/models/{MODEL}@1:rawPredict "
        "HTTP/1.1",
    ),
    (
        f"{VERTEX}::projects/p/locations/eu/endpoints/77",
        "POST /v1/projects/p/locations/eu/endpoints/77:rawPredict HTTP/1.1",
    ),
]


@pytest.mark.parametrize(("name", "line"), SHORTHANDS)
def test_shorthands(name: str, line: str) -> None:
    type = name.partition("::")[0]
    options = {"api_base": None, **shorthand_options(name)}
    assert ask(type, request(max_tokens=5), options=options).seen[0].line == line


def test_no_key_at_all() -> None:
    assert "x-api-key" not in ask(ANTHROPIC, credential=NoCredential()).headers


def test_extra_headers_replace_and_add() -> None:
    beta = ExtraHeader("anthropic-beta", "a-1")
    given = request(extra_headers=(beta, ExtraHeader("anthropic-beta", "b-2")))
    outcome = ask(ANTHROPIC, given, extra_headers=(ExtraHeader("x-api-key", "other"),))
    assert outcome.headers["anthropic-beta"] == "b-2"
    assert outcome.headers["x-api-key"] == "other"


def test_extra_body_reaches_the_blocks() -> None:
    ephemeral = {"type": "ephemeral"}
    edits = (
        ExtraBody("/system/0/cache_control", ephemeral),
        ExtraBody("/messages/0/content/0/cache_control", ephemeral),
    )
    body = sent(ANTHROPIC, request(user("Hi"), system="S", extra_body=edits))
    assert body["system"] == [{**text("S"), "cache_control": ephemeral}]
    assert body["messages"][0]["content"] == [{**text("Hi"), "cache_control": ephemeral}]


@both
def test_an_empty_system_text_is_sent(type: str) -> None:
    assert sent(type, request(system=""))["system"] == [text("")]


@both
def test_no_messages(type: str) -> None:
    given = request()
    given.messages = []
    outcome = ask(type, given)
    assert (outcome.failed().kind, outcome.failed().status) == ("InvalidRequest", 400)
    assert str(outcome.failed()) == "Anthropic requires at least one message"
    assert outcome.seen == []


def test_an_answer_that_the_user_begins() -> None:
    body = sent(ANTHROPIC, request(user("Hi"), assistant("I say:")))
    assert body["messages"][-1] == {"role": "assistant", "content": [text("I say:")]}


# --- the limit of tokens --------------------------------------------------------------------------

KNOWN = [
    ("claude-3-haiku-20240307", 4096),
    ("claude-3-opus-latest", 4096),
    ("claude-3-5-haiku-latest", 8192),
    ("claude-3-5-sonnet-20241022", 8192),
    ("claude-opus-4-20250514", 32000),
    ("claude-opus-4-0", 32000),
    ("claude-opus-4-1", 32000),
    ("claude-opus-4-1-20250805", 32000),
    ("claude-3-7-sonnet-latest", 64000),
    ("claude-sonnet-4-20250514", 64000),
    ("claude-sonnet-4-0", 64000),
    ("claude-haiku-4-5", 64000),
    ("claude-sonnet-4-6", 64000),
    ("claude-opus-4-5-20251101", 64000),
    ("claude-opus-4-6", 128000),
]


def test_limits_by_model() -> None:
    for model, limit in KNOWN:
        assert sent(ANTHROPIC, model=model)["max_tokens"] == limit, model
    assert len(LIMITS) == 16


def test_limits_by_model_of_vertex() -> None:
    for name, limit in VERTEX_LIMITS.items():
        for model in (name, f"{name}@20251001"):
            body = sent(VERTEX, options={**VERTEX_OPTIONS, "model_id": model})
            assert body["max_tokens"] == limit


UNKNOWN = [
    (ANTHROPIC, {"model_name": "claude-9"}, "claude-9", "Anthropic"),
    (ANTHROPIC, {"model_name": "claude-opus-4-0-x"}, "claude-opus-4-0-x", "Anthropic"),
    (VERTEX, {"model_id": "claude-9@1"}, "claude-9@1", "GCP Vertex AI Anthropic"),
    (VERTEX, {"model_id": None, "endpoint_id": "12"}, "12", "GCP Vertex AI Anthropic"),
]


@pytest.mark.parametrize(("type", "options", "named", "vendor"), UNKNOWN)
def test_an_unknown_limit(type: str, options: dict[str, Any], named: str, vendor: str) -> None:
    options = {**(VERTEX_OPTIONS if type == VERTEX else {}), **options}
    outcome = ask(type, options=options)
    error = outcome.failed()
    assert (error.kind, outcome.seen) == ("InferenceClient", [])
    assert error.fields["status_code"] is None
    for part in (named, vendor, "output token limit", "max_tokens"):
        assert part in str(error)
    assert sent(type, request(max_tokens=9), options=options)["max_tokens"] == 9


# --- thinking, tiers, what is not sent ------------------------------------------------------------


@both
def test_a_budget_to_think(type: str) -> None:
    body = sent(type, request(thinking_budget_tokens=1024))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert "output_config" not in body


@both
def test_an_effort(type: str) -> None:
    body = sent(type, request(reasoning_effort="medium"))
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": "medium"}


@both
def test_effort_and_budget_exclude_each_other(type: str) -> None:
    outcome = ask(type, request(reasoning_effort="low", thinking_budget_tokens=5))
    error = outcome.failed()
    assert (error.kind, error.status, outcome.seen) == ("InvalidRequest", 400, [])
    assert str(error).startswith(
        f"Cannot specify both `reasoning_effort` and `thinking_budget_tokens` for {NAMES[type]}: "
    )


TIERS = [("auto", "auto"), ("priority", "auto"), ("default", "standard_only"), ("flex", None)]


@pytest.mark.parametrize(("tier", "expected"), TIERS)
def test_service_tiers(tier: str, expected: str | None, caplog: pytest.LogCaptureFixture) -> None:
    assert sent(ANTHROPIC, request(service_tier=tier)).get("service_tier") == expected
    warning = (
        "Anthropic does not support the inference parameter `service_tier`, so it will be ignored."
    )
    assert caplog.messages == ([warning] if expected is None else [])


@both
def test_what_is_not_sent(type: str, caplog: pytest.LogCaptureFixture) -> None:
    silent = {"seed": 1, "presence_penalty": 0.5, "frequency_penalty": 0.5}
    body = sent(type, request(**silent, max_tokens=1))
    assert set(body) == {"model", "messages", "max_tokens", "stream"} or type == VERTEX
    assert not caplog.messages and not silent.keys() & body.keys()
    loud = {"verbosity": "low", **({"service_tier": "auto"} if type == VERTEX else {})}
    body = sent(type, request(**loud))
    assert not loud.keys() & body.keys()
    assert sorted(caplog.messages) == sorted(
        f"{NAMES[type]} does not support the inference parameter `{name}`, so it will be ignored."
        for name in loud
    )


# --- JSON -----------------------------------------------------------------------------------------

HELLO = answer(says('"name":"x"}'))


def json_request(mode: str, kind: str = "json", **fields: Any) -> Any:
    fields.setdefault("output_schema", SCHEMA)
    return request(user("Hi"), json_mode=mode, function_type=kind, **fields)


@pytest.mark.parametrize("kind", ["json", "chat"])
def test_a_strict_answer(kind: str) -> None:
    body = sent(ANTHROPIC, json_request("strict", kind))
    form = {"type": "json_schema", "schema": SCHEMA.value}
    assert body["output_config"] == {"format": form}
    assert len(body["messages"]) == 1
    assert "output_config" not in sent(ANTHROPIC, json_request("strict", kind, output_schema=None))


def test_an_answer_that_is_begun() -> None:
    outcome = ask(ANTHROPIC, json_request("on"), HELLO)
    assert '"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]},' in outcome.body
    body = sent(
        ANTHROPIC,
        json_request("on"),
    )
    assert body["messages"][1:] == [PREFILL]
    assert "output_config" not in body
    assert outcome.answered().messages == [user("Hi")]


@pytest.mark.parametrize(("mode", "kind"), [("on", "chat"), ("off", "json"), ("off", "chat")])
def test_modes_that_change_nothing(mode: str, kind: str) -> None:
    body = sent(ANTHROPIC, json_request(mode, kind))
    assert set(body) == {"model", "messages", "max_tokens", "stream"}
    assert len(body["messages"]) == 1


@pytest.mark.parametrize("mode", ["on", "strict"])
def test_vertex_holds_no_answer_to_json(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    body = sent(VERTEX, json_request(mode))
    assert set(body) == {"anthropic_version", "messages", "max_tokens", "stream"}
    assert len(body["messages"]) == 1
    (warning,) = caplog.messages
    assert "GCP Vertex Anthropic" in warning and f'"{mode}"' in warning


@both
def test_a_message_of_which_nothing_is_left(type: str) -> None:
    body = sent(type, request(user("Hi"), Message("assistant", []), user("So?")))
    assert [one["content"] for one in body["messages"]] == [[text("Hi")], [], [text("So?")]]
