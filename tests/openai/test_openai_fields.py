"""Routes, ``model`` and request fields (checklist 1 to 16)."""

from __future__ import annotations

import gzip
import json
import socket
import time
import uuid
from typing import Any

import pytest
from openai_support import FUNCTION, HI, MODEL, OpenAIApi

from gateway.provider import message
from tzcore.uuid7 import uuid7

PREFIX = "Invalid request to OpenAI-compatible endpoint: "


def test_a_model_without_configuration(api: OpenAIApi) -> None:
    """Checklist 1."""
    model = MODEL + "dummy::text?text=Hello"
    answer = api.completion(model)
    assert answer["model"] == model
    assert answer["choices"][0]["message"]["content"] == "Hello"
    row = api.row(answer["id"])
    assert row["function_name"] == "tensorzero::default"
    assert row["variant_name"] == "dummy::text?text=Hello"
    assert row["episode_id"] == answer["episode_id"]


def test_a_function(api: OpenAIApi) -> None:
    """Checklist 2; the answer's name of a model is no name to ask for."""
    answer = api.completion("two")
    row = api.row(answer["id"])
    assert answer["model"] == f"{FUNCTION}two::variant_name::{row['variant_name']}"
    text = api.turned_away(404, model=answer["model"])
    assert text == f"Unknown function: two::variant_name::{row['variant_name']}"


@pytest.mark.parametrize(
    "model",
    ["gpt-4o", "openai::gpt-4o", "tensorzero::F", "tensorzero::embedding_model_name::E", ""],
)
def test_other_names_of_models(api: OpenAIApi, model: str) -> None:
    """Checklist 3."""
    body = {"model": model, "messages": HI}
    answer = api.raw.post(f"{api.base}/chat/completions", json=body)
    assert answer.status_code == 400
    text = answer.json()["error"]["message"]
    assert text.startswith(PREFIX) and FUNCTION in text and MODEL in text


def test_empty_and_missing_names(api: OpenAIApi) -> None:
    """Checklist 3."""
    assert api.turned_away(400, "function name", "cannot be empty", model=FUNCTION)
    assert api.turned_away(400, "model name", "cannot be empty", model=MODEL)
    for body, wanted in (
        ({"messages": HI}, "missing field `model`"),
        ({"model": FUNCTION + "chat"}, "missing field `messages`"),
        ({"model": 3, "messages": HI}, "model: invalid type"),
        ({"model": None, "messages": HI}, "model: invalid type"),
        ({"model": FUNCTION + "chat", "messages": None}, "messages: invalid type"),
        ({"model": FUNCTION + "chat", "messages": {}}, "messages: invalid type"),
        ([], "expected an object"),
    ):
        answer = api.raw.post(f"{api.base}/chat/completions", json=body)
        assert answer.status_code == 400
        assert wanted in answer.json()["error"]["message"]
        assert not answer.json()["error"]["message"].startswith(PREFIX)


def test_unknown_targets(api: OpenAIApi) -> None:
    """Checklist 4."""
    answer = api.chat(FUNCTION + "nope")
    assert (answer.status_code, answer.text) == (
        404,
        '{"error":{"message":"Unknown function: nope"}}',
    )
    text = api.turned_away(400, "'nope'", model=MODEL + "nope")
    assert text.startswith("Invalid inference target: ")
    text = api.turned_away(404, **{"tensorzero::variant_name": "nope"})
    assert text == "Unknown variant: nope"
    model = MODEL + "dummy::text"
    api.turned_away(
        400, "Invalid inference target", model=model, **{"tensorzero::variant_name": "v"}
    )


def test_routes(api: OpenAIApi) -> None:
    """Checklist 5: unknown paths answer in the native form."""
    for path in ("responses", "completions", "chat/completions/", "models/", "files"):
        answer = api.client.post(f"{api.base}/{path}", json={})
        assert answer.status_code == 404, path
        assert answer.json() == {"error": f"Route not found: POST /openai/v1/{path}"}
    answer = api.raw.get(f"{api.base}/chat/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_any_key_passes(api: OpenAIApi) -> None:
    """Checklist 6: the header is ignored and goes to nobody."""
    api.provider.scripts["scripted"] = message("x")
    body = {"model": FUNCTION + "chat", "messages": HI}
    for key in ("Bearer sk-secret-of-the-caller", "nonsense", ""):
        answer = api.raw.post(
            f"{api.base}/chat/completions", json=body, headers={"authorization": key}
        )
        assert answer.status_code == 200
        headers, _ = api.provider.requests[-1]
        assert "authorization" not in {name.lower() for name in headers}


def test_bodies(api: OpenAIApi) -> None:
    """Checklist 7, and the HTTP facts of all routes."""
    url = f"{api.base}/chat/completions"
    for content in (b"", b"{", b"\xff", b"[" * 200 + b"]" * 200):
        answer = api.raw.post(url, content=content)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith("Failed to parse the request body")
    body = b'{"model":"tensorzero::model_name::dummy::text","messages":[]}'
    packed = gzip.compress(body)
    assert api.raw.post(url, content=packed, headers={"content-encoding": "gzip"}).is_success
    answer = api.raw.post(url, content=body, headers={"content-encoding": "deflate"})
    assert answer.status_code == 415
    answer = api.raw.post(url, content=body, headers={"content-type": "text/plain"})
    assert answer.is_success


def test_a_body_beyond_the_limit(api: OpenAIApi) -> None:
    """Refused in OpenAI's form before it is read."""
    port = int(api.gateway.url.rpartition(":")[2])
    for route in ("chat/completions", "embeddings"):
        head = f"POST /openai/v1/{route} HTTP/1.1\r\nhost: x\r\ncontent-length: 104857601\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(head.encode() + b"{")
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
                data = connection.recv(65536)
                assert data, answer
                answer += data
        assert answer.startswith(b"HTTP/1.1 400 ")
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert "104857600 bytes" in body["error"]["message"]


def test_unknown_fields(api: OpenAIApi) -> None:
    """Checklist 8."""
    unknown: dict[str, Any] = {
        "user": "u",
        "logit_bias": {},
        "top_k": 3,
        "episode_id": "x",
        "tensorzero::internal": True,
    }
    api.completion("two", **unknown)
    names = "[episode_id, logit_bias, tensorzero::internal, top_k, user]"
    assert api.log.count(names) == 1
    fields = {**unknown, "tensorzero::deny_unknown_fields": True}
    text = api.turned_away(400, names, "tensorzero::deny_unknown_fields", **fields)
    assert text.startswith(PREFIX)
    told = {"role": "user", "content": "hi", "name": "Ann", "parsed": None, "x": 1}
    api.completion("two", [told], **{"tensorzero::deny_unknown_fields": True})
    api.completion("two", stream_options={"x": 1}, **{"tensorzero::deny_unknown_fields": True})


def test_n(api: OpenAIApi) -> None:
    """Checklist 9."""
    api.completion("two", n=1)
    for n in (0, 2):
        assert api.turned_away(400, "`n`", n=n).startswith(PREFIX)
    assert not api.turned_away(400, "n: invalid", n="1").startswith(PREFIX)


def params_of(api: OpenAIApi, model: str = "chat", **fields: Any) -> dict[str, Any]:
    """What the row says of the parameters."""
    api.provider.scripts["scripted"] = message("x")
    row = api.row(api.completion(model, **fields)["id"])
    found: dict[str, Any] = row["inference_params"]["chat_completion"]
    return found


def test_limits_of_tokens(api: OpenAIApi) -> None:
    """Checklist 10: the smaller one."""
    assert params_of(api, max_tokens=100, max_completion_tokens=50)["max_tokens"] == 50
    assert params_of(api, max_tokens=50, max_completion_tokens=100)["max_tokens"] == 50
    assert params_of(api, max_completion_tokens=9)["max_tokens"] == 9
    assert params_of(api)["max_tokens"] == 7


def test_precedence(api: OpenAIApi) -> None:
    """Checklist 11: our own params, then the top level, then the variant."""
    own = {"tensorzero::params": {"chat_completion": {"temperature": 0.9, "seed": 5}}}
    found = params_of(api, temperature=0.5, top_p=0.25, **own)
    assert found == {
        "temperature": 0.9,
        "max_tokens": 7,
        "seed": 5,
        "top_p": 0.25,
        "stop_sequences": ["END"],
    }
    assert params_of(api, temperature=0.5)["temperature"] == 0.5
    assert params_of(api)["temperature"] == 0.1
    assert params_of(api, **{"tensorzero::params": {}})["temperature"] == 0.1


def test_all_parameters(api: OpenAIApi) -> None:
    """Checklist 12 and the table of section 3.1."""
    found = params_of(
        api,
        stop=["x"],
        stop_sequences=["y"],
        presence_penalty=0.5,
        frequency_penalty=-1,
        seed=7,
        reasoning_effort="low",
        verbosity="high",
        service_tier="flex",
    )
    assert found == {
        "temperature": 0.1,
        "max_tokens": 7,
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": -1.0,
        "stop_sequences": ["x"],
        "reasoning_effort": "low",
        "service_tier": "flex",
        "verbosity": "high",
    }
    assert api.provider.last["stop"] == ["x"]
    assert params_of(api, stop="one")["stop_sequences"] == ["one"]
    assert params_of(api, stop=None, seed=None)["stop_sequences"] == ["END"]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"service_tier": "scale"}, "service_tier: unknown variant"),
        ({"seed": -1}, "seed: invalid value"),
        ({"seed": 2**32}, "seed: invalid value"),
        ({"max_tokens": 1.5}, "max_tokens: invalid type"),
        ({"temperature": "hot"}, "temperature: invalid type"),
        ({"stop": [1]}, "stop[0]: invalid type"),
        ({"stream": "true"}, "stream: invalid type"),
        ({"stream_options": []}, "stream_options: invalid type"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage: invalid"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls: invalid type"),
        ({"tensorzero::tags": {"a": 1}}, "tensorzero::tags.a: invalid type"),
        ({"tensorzero::credentials": {"a": 1}}, "tensorzero::credentials.a: invalid type"),
        ({"tensorzero::params": {"x": 1}}, "unknown field `x`"),
        ({"tensorzero::params": {"chat_completion": {"x": 1}}}, "unknown field `x`"),
        ({"tensorzero::cache_options": {"enabled": "yes"}}, "unknown variant `yes`"),
        ({"tensorzero::episode_id": "x"}, "UUID parsing failed"),
        ({"tensorzero::extra_body": [{"pointer": "/a"}]}, "missing field `value`"),
        ({"tensorzero::extra_headers": [{"name": "a"}]}, "missing field `value`"),
        ({"tensorzero::provider_tools": [{}]}, "missing field `tool`"),
        ({"tensorzero::internal_dynamic_variant_config": 1}, "invalid type"),
        ({"tensorzero::dryrun": "no"}, "tensorzero::dryrun: invalid type"),
        ({"tensorzero::namespace": ""}, "cannot be empty"),
        ({"tensorzero::namespace": "tensorzero::x"}, "cannot start with"),
        ({"tensorzero::tags": {"tensorzero::x": "y"}}, "Tag name cannot start with"),
    ],
)
def test_fields_of_a_wrong_kind(api: OpenAIApi, fields: dict[str, Any], wanted: str) -> None:
    assert not api.turned_away(400, wanted, **fields).startswith(PREFIX)
    assert api.provider.requests == []


def test_null_is_absent(api: OpenAIApi) -> None:
    """Section 14.1."""
    from tensorzero.api.openai.request import _FIELDS, _OTHER, _PARAMS

    names = {*_FIELDS, *_PARAMS, *_OTHER} - {"model", "messages"}
    api.completion("two", **dict.fromkeys(names))


def test_tags_and_episodes(api: OpenAIApi) -> None:
    """Checklist 13."""
    episode = str(uuid7())
    answer = api.completion(
        "two",
        episode_id=str(uuid7()),
        **{"tensorzero::episode_id": episode, "tensorzero::tags": {"customer": "c"}},
    )
    assert answer["episode_id"] == episode
    row = api.row(answer["id"])
    assert (row["episode_id"], row["tags"]) == (episode, {"customer": "c"})
    fields = {"tensorzero::episode_id": str(uuid.uuid4())}
    api.turned_away(400, "Failed to parse UUID as v7", **fields)


def test_pinning_and_namespaces(api: OpenAIApi) -> None:
    fields = {"tensorzero::variant_name": "b", "tensorzero::namespace": "tenant"}
    answer = api.completion("two", **fields)
    assert answer["model"] == f"{FUNCTION}two::variant_name::b"
    assert api.row(answer["id"])["tags"] == {
        "tensorzero::variant_pinned": "b",
        "tensorzero::namespace": "tenant",
    }


def test_dryrun(api: OpenAIApi) -> None:
    """Checklist 14."""
    answer = api.completion("two", **{"tensorzero::dryrun": True})
    assert not api.has_row(answer["id"])
    config = {"type": "chat_completion", "model": "dummy::text?text=dynamic"}
    fields = {"tensorzero::internal_dynamic_variant_config": config}
    api.turned_away(400, "dryrun", model="two", **fields)
    answer = api.completion("two", **fields, **{"tensorzero::dryrun": True})
    assert answer["model"] == f"{FUNCTION}two::variant_name::tensorzero::dynamic_variant"
    assert answer["choices"][0]["message"]["content"] == "dynamic"


def test_escape_hatches(api: OpenAIApi) -> None:
    """Checklist 15."""
    api.provider.scripts["scripted"] = message("x")
    api.completion(
        "chat",
        **{
            "tensorzero::extra_body": [
                {"pointer": "/store", "value": True},
                {"variant_name": "v", "pointer": "/stop", "delete": True},
            ],
            "tensorzero::extra_headers": [{"name": "x-trace", "value": "abc"}],
        },
    )
    headers, _ = api.provider.requests[-1]
    assert headers["x-trace"] == "abc"
    assert api.provider.last["store"] is True and "stop" not in api.provider.last
    entry = {"model_name": "nowhere", "pointer": "/a", "value": 1}
    api.turned_away(400, "'nowhere'", **{"tensorzero::extra_body": [entry]})


def test_credentials(api: OpenAIApi) -> None:
    """Section 3.3: used, and nowhere stored."""
    api.provider.scripts["scripted"] = message("x")
    api.turned_away(502, "API key missing", model="keyed")
    secret = "sk-of-a-customer-1234"
    answer = api.completion("keyed", **{"tensorzero::credentials": {"customer": secret}})
    headers, _ = api.provider.requests[-1]
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == (
        f"Bearer {secret}"
    )
    assert secret not in str(api.row(answer["id"])) + str(api.model_row(answer["id"])) + api.log


def test_the_order_of_checks(api: OpenAIApi) -> None:
    """Section 3.5: each fault hides the later ones."""
    faults: list[tuple[str, dict[str, Any]]] = [
        ("temperature: invalid type", {"temperature": "x"}),
        ("`n` other than 1", {"n": 2}),
        ("unknown fields: [zz]", {"zz": 1, "tensorzero::deny_unknown_fields": True}),
        (
            "include_usage",
            {"stream": True, "stream_options": {}, "tensorzero::include_raw_usage": True},
        ),
        ("`model` must start with", {"model": "gpt-4o::x"}),
        ("Invalid content block", {"messages": [{"role": "user", "content": [{"type": "x"}]}]}),
        ("Tag name cannot start", {"tensorzero::tags": {"tensorzero::a": "b"}}),
    ]
    fields: dict[str, Any] = {}
    for wanted, more in reversed(faults):
        fields.update(more)
        api.turned_away(400, wanted, **fields)


def test_created_is_now(api: OpenAIApi) -> None:
    """Checklist 35."""
    answer = api.completion("two")
    assert abs(answer["created"] - time.time()) < 30
    assert list(answer) == [
        "id",
        "episode_id",
        "choices",
        "created",
        "model",
        "system_fingerprint",
        "service_tier",
        "object",
        "usage",
    ]
    assert (answer["system_fingerprint"], answer["service_tier"]) == ("", None)
    assert uuid.UUID(answer["id"]).version == 7


def test_the_list_of_models(api: OpenAIApi) -> None:
    """A route that the contract lacks: every entry can be asked for."""
    names = [model.id for model in api.sdk.models.list()]
    assert FUNCTION + "chat" in names and MODEL + "scripted" in names
    assert api.sdk.models.retrieve(FUNCTION + "chat").id == FUNCTION + "chat"
    assert api.sdk.models.retrieve(MODEL + "dummy::text").object == "model"
    answer = api.raw.get(f"{api.base}/models/gpt-4o")
    assert answer.status_code == 404
    assert answer.json() == {"error": {"message": "Model not found: gpt-4o"}}
    assert api.raw.post(f"{api.base}/models").status_code == 405
