"""Embeddings (checklist 46 to 52)."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest
from openai_support import EMBEDDING, OpenAIApi

from upstream.scripted import ScriptedServer, answer

VECTOR = [0.0125, -0.5, 0.3]
USAGE = {"prompt_tokens": 7, "total_tokens": 7}


def scripted(api: OpenAIApi, *vectors: Any, usage: Any = USAGE) -> None:
    data = [{"object": "embedding", "index": 0, "embedding": vector} for vector in vectors]
    body: dict[str, Any] = {"object": "list", "data": data, "model": "embed"}
    if usage is not None:
        body["usage"] = usage
    api.provider.scripts["embed"] = body


def packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def ask(api: OpenAIApi, model: str = "ok", given: Any = "red", **fields: Any) -> Any:
    answer = api.embed({"model": EMBEDDING + model, "input": given, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(api: OpenAIApi, status: int, *texts: str, **fields: Any) -> Any:
    answer = api.embed({"model": EMBEDDING + "ok", "input": "red", **fields})
    assert answer.status_code == status, answer.text
    for wanted in texts:
        assert wanted in answer.json()["error"]["message"], answer.text
    return answer.json()


def test_the_answer(api: OpenAIApi) -> None:
    """Section 11.3, to the byte: values in single precision, indices of our own."""
    scripted(api, VECTOR, [0.25, 1e-9, 123456789.0])
    told = api.embed({"model": EMBEDDING + "ok", "input": ["red", "blue"]})
    assert told.text == (
        '{"object":"list","data":['
        '{"object":"embedding","embedding":[0.0125,-0.5,0.3],"index":0},'
        '{"object":"embedding","embedding":[0.25,1e-09,1.2345679e+08],"index":1}],'
        f'"model":"{EMBEDDING}ok",'
        '"usage":{"prompt_tokens":7,"total_tokens":7,"tensorzero_cost":0.000014}}'
    )
    assert api.provider.last == {
        "model": "embed",
        "input": ["red", "blue"],
        "encoding_format": "float",
    }


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ("red", 1),
        ("", 1),
        (["red", "blue"], 2),
        ([791, 5679], 1),
        ([[791, 5679], [80863]], 2),
        ([[], [1]], 2),
    ],
)
def test_forms_of_input(api: OpenAIApi, given: Any, count: int) -> None:
    """Checklist 46."""
    body = ask(api, "small", given)
    assert body["object"] == "list"
    assert [entry["index"] for entry in body["data"]] == list(range(count))
    for entry in body["data"]:
        assert math.hypot(*entry["embedding"]) == pytest.approx(1.0, abs=1e-5)
        assert len(entry["embedding"]) == 8
    scripted(api, *[VECTOR] * count)
    ask(api, "ok", given)
    assert api.provider.last["input"] == given


@pytest.mark.parametrize(
    "given", [None, 7, {}, ["a", 1], [1, "a"], [[1], "a"], [["a"]], [1.5], [-1], [2**32], [True]]
)
def test_inputs_that_are_none(api: OpenAIApi, given: Any) -> None:
    refused(api, 400, "input: invalid type", input=given)


def test_names(api: OpenAIApi) -> None:
    """Checklist 47."""
    scripted(api, VECTOR)
    answer = api.embed({"model": "ok", "input": "red"})
    assert answer.json()["model"] == EMBEDDING + "ok"
    for name in ("nope", "scripted", "dummy::embed", "azure::x"):
        body = refused(api, 404, model=EMBEDDING + name)
        assert body == {"error": {"message": f"Model not found: {name}"}}
    refused(
        api,
        404,
        "Model not found: tensorzero::model_name::scripted",
        model="tensorzero::model_name::scripted",
    )
    # A shorthand that is one, and has no key here.
    refused(api, 400, "API key missing", model=EMBEDDING + "openrouter::x")


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"input": []}, "`input` must not be an empty list"),
        ({"model": 1}, "model: invalid type"),
        ({"model": None}, "model: invalid type"),
        ({"dimensions": -1}, "dimensions: invalid value"),
        ({"dimensions": "8"}, "dimensions: invalid type"),
        ({"encoding_format": "hex"}, "encoding_format: unknown variant"),
        ({"tensorzero::credentials": {"a": 1}}, "tensorzero::credentials.a: invalid type"),
        ({"tensorzero::dryrun": 1}, "tensorzero::dryrun: invalid type"),
        ({"tensorzero::include_raw_response": 1}, "invalid type"),
        ({"tensorzero::cache_options": {"enabled": 1}}, "invalid type"),
    ],
)
def test_refusals(api: OpenAIApi, fields: Any, wanted: str) -> None:
    refused(api, 400, wanted, **fields)


def test_bodies(api: OpenAIApi) -> None:
    url = f"{api.base}/embeddings"
    for content, wanted in (
        (b"", "Failed to parse"),
        (b"{", "Failed to parse"),
        (b"[]", "expected an object"),
        (b'{"model":"x"}', "missing field `input`"),
        (b'{"input":"x"}', "missing field `model`"),
    ):
        answer = api.raw.post(url, content=content)
        assert answer.status_code == 400
        assert wanted in answer.json()["error"]["message"]
    assert api.raw.get(url).status_code == 405
    assert api.raw.post(url, content=b"{}", headers={"content-encoding": "x"}).status_code == 415


def test_dimensions_and_formats(api: OpenAIApi) -> None:
    """Checklist 48."""
    body = ask(api, "small", dimensions=512, user="u", **{"tensorzero::tags": 1})
    assert len(body["data"][0]["embedding"]) == 512
    floats = ask(api, "small", encoding_format="float")["data"][0]["embedding"]
    text = ask(api, "small", encoding_format="base64")["data"][0]["embedding"]
    assert isinstance(text, str)
    numbers = struct.unpack("<8f", base64.b64decode(text))
    assert list(numbers) == [struct.unpack("<f", struct.pack("<f", one))[0] for one in floats]
    scripted(api, VECTOR)
    ask(api, dimensions=3, encoding_format="base64")
    assert api.provider.last == {
        "model": "embed",
        "input": "red",
        "dimensions": 3,
        "encoding_format": "base64",
    }
    failed = refused(api, 500, "`dimensions` must be", model=EMBEDDING + "small", dimensions=2**31)
    assert list(failed) == ["error"]


def test_conversion(api: OpenAIApi) -> None:
    """Section 11.3: what was asked for, whatever the provider answers."""
    for told in (VECTOR, packed(VECTOR)):
        scripted(api, told)
        assert ask(api)["data"][0]["embedding"] == VECTOR
        found = ask(api, encoding_format="base64")["data"][0]["embedding"]
        assert found == packed(VECTOR)
    assert api.sdk.embeddings.create(model=EMBEDDING + "ok", input="red").data[
        0
    ].embedding == pytest.approx(VECTOR)


@pytest.mark.parametrize(
    "vector", ["not base64", "AAAA", "AACAfw==", 7, None, ["a"], [None], [1e300], [{}]]
)
def test_vectors_that_cannot_be_read(api: OpenAIApi, vector: Any) -> None:
    scripted(api, vector)
    refused(api, 500, "Error parsing JSON response")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": {}},
        {"data": [1]},
        {"data": [{}]},
        {"data": [], "usage": []},
        {"data": [], "usage": {"prompt_tokens": "7"}},
    ],
)
def test_answers_that_cannot_be_read(api: OpenAIApi, body: Any) -> None:
    api.provider.scripts["embed"] = body
    refused(api, 500, "Error parsing JSON response")


def test_usage(api: OpenAIApi) -> None:
    """Section 11.3: the keys are always written."""
    scripted(api, VECTOR, usage=None)
    nothing = {"prompt_tokens": None, "total_tokens": None, "tensorzero_cost": None}
    assert ask(api, "edited")["usage"] == nothing
    assert ask(api, "silent")["usage"] == nothing
    assert ask(api, "small", "one two three")["usage"]["prompt_tokens"] == 3


def test_edits(api: OpenAIApi) -> None:
    """The provider's own entries."""
    scripted(api, VECTOR)
    ask(api, "edited", user="ignored")
    headers, _ = api.provider.requests[-1]
    assert api.provider.last["user"] == "gateway"
    assert headers["x-own"] == "yes"


def test_credentials(api: OpenAIApi) -> None:
    scripted(api, VECTOR)
    refused(api, 500, "API key missing", model=EMBEDDING + "keyed")
    secret = {"tensorzero::credentials": {"customer": "sk-0123456789"}}
    ask(api, "keyed", **secret)
    headers = {name.lower(): value for name, value in api.provider.requests[-1][0].items()}
    assert headers["authorization"] == "Bearer sk-0123456789"


def test_azure(api: OpenAIApi) -> None:
    """The deployment is in the URL; the endpoint is the request's."""
    vectors = {"data": [{"embedding": VECTOR}], "usage": {"prompt_tokens": 2}}
    server = ScriptedServer(lambda _: answer(vectors))
    server.in_thread()
    where = {"where": f"{server.url}/?a=b", "customer": "k-0123456789"}
    fields: dict[str, Any] = {"tensorzero::credentials": where}
    assert ask(api, "azure", dimensions=3, **fields)["data"][0]["embedding"] == VECTOR
    (seen,) = server.seen
    path = "/v1/openai/deployments/my%20dep/embeddings?a=b&api-version=2025-04-01-preview"
    assert seen.line == f"POST {path} HTTP/1.1"
    assert seen.headers["api-key"] == "k-0123456789" and "authorization" not in seen.headers
    assert json.loads(seen.body) == {"input": "red", "dimensions": 3, "encoding_format": "float"}
    model = EMBEDDING + "azure"
    fields = {"tensorzero::credentials": {"customer": "k"}}
    refused(api, 500, "Dynamic endpoint 'where' not found in credentials", model=model, **fields)
    for url in ("ftp://secret", "secret", "http://[secret"):
        fields = {"tensorzero::credentials": {**where, "where": url}}
        body = refused(api, 500, "All model providers failed", model=model, **fields)
        assert "secret" not in str(body)


def test_fallback(api: OpenAIApi) -> None:
    """Checklist 51 and 50."""
    scripted(api, VECTOR)
    body = ask(api, "pair", **{"tensorzero::include_raw_response": True})
    failed, good = body["tensorzero::raw_response"]
    assert failed == {
        "provider_type": "openai",
        "api_type": "embeddings",
        "data": '{"error":{"message":"no"}}',
    }
    assert good["api_type"] == "embeddings" and "model_inference_id" in good
    assert "tensorzero::raw_response" not in ask(api, "pair")
    assert ask(api, "late")["data"][0]["embedding"] == VECTOR


def test_total_failure(api: OpenAIApi) -> None:
    """Checklist 50."""
    fields = {"model": EMBEDDING + "broken", "tensorzero::include_raw_response": True}
    text = "All model providers failed to infer with errors: first: "
    body = refused(api, 500, text, "second: ", **fields)
    assert [entry["data"] for entry in body["tensorzero_raw_response"]] == [
        '{"error":{"message":"no"}}',
        "<html>not JSON",
    ]
    refused(api, 500, "slow down", model=EMBEDDING + "failing")


def test_the_models_deadline(api: OpenAIApi) -> None:
    """Checklist 51."""
    body = refused(api, 408, "Model `slow` timed out", "300ms", model=EMBEDDING + "slow")
    assert list(body) == ["error"]


def test_metrics_and_rows(api: OpenAIApi) -> None:
    """Checklist 52."""

    def figure(name: str) -> float:
        text = api.client.get(f"{api.url}/metrics").text
        found = [line for line in text.splitlines() if line.startswith(name)]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    labels = '{endpoint="embeddings",model_name="small"} '
    counts = ("tensorzero_requests_total" + labels, "tensorzero_inferences_total" + labels)
    before = [figure(name) for name in counts]
    tokens = figure("tensorzero_input_tokens_total ")
    ask(api, "small", ["one two", "three"])
    assert [figure(name) for name in counts] == [before[0] + 1, before[1] + 2]
    assert figure("tensorzero_input_tokens_total ") == tokens + 3
    ask(api, "small", ["a"], **{"tensorzero::dryrun": True})
    assert [figure(name) for name in counts] == [before[0] + 1, before[1] + 2]
    marker = api.ok(model_name="dummy::text")["inference_id"]
    api.row(marker)
    for table in ("ChatInference", "JsonInference", "ModelInference"):
        found = api.sql(
            f"SELECT count() AS n FROM {table} WHERE toString(tuple(*)) LIKE '%embed?dims%'"
        )
        assert int(found[0]["n"]) == 0


def test_many_vectors(api: OpenAIApi) -> None:
    """Written in a thread, whole and in order."""
    given = [f"text {number}" for number in range(100)]
    body = ask(api, "small", given, dimensions=1536)
    assert len(body["data"]) == 100
    alone = ask(api, "small", given[42], dimensions=1536)["data"][0]["embedding"]
    assert body["data"][42]["embedding"] == alone


def test_listed(api: OpenAIApi) -> None:
    names = [model.id for model in api.sdk.models.list()]
    assert EMBEDDING + "small" in names
    assert api.sdk.models.retrieve(EMBEDDING + "openai::text-embedding-3-small").object == "model"
