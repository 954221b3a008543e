"""A running gateway does what its configuration says: keys, names, costs, what is not served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.provider import Provider
from gateway.running import Gateway
from tensorzero.config.load import load

HI = {"messages": [{"role": "user", "content": "hi"}]}
PAIR = "{ default = 'dynamic::k', fallback = 'env::FALLBACK_KEY' }"
ENVIRON = {"FALLBACK_KEY": "sk-fallback"}


def model(name: str, *providers: str, keys: str = "") -> str:
    """A model whose providers are named a, b, …"""
    names = [chr(ord("a") + index) for index in range(len(providers))]
    parts = [f"[models.{name}]\nrouting = {names}\n{keys}"]
    parts += [
        f"[models.{name}.providers.{key}]\ntype = 'openai'\n{text}\n"
        for key, text in zip(names, providers, strict=True)
    ]
    return "\n".join(parts)


def write(folder: Path, url: str) -> Path:
    base = f"api_base = '{url}'\nmodel_name = 'ok'\n"
    root = url.removesuffix("/v1")
    none = "api_key_location = 'none'\n"
    price = "{pointer = '/usage/total_tokens', cost_per_million"
    (folder / "judge.txt").write_text("Judge.\n")
    text = [
        model("open", base + none),
        model("slash", f"{base}{none}".replace("/v1'", "/v1/'")),
        model("root", f"api_base = '{root}'\nmodel_name = 'ok'\n{none}"),
        model("doubled", f"{base}{none}".replace("/v1'", "/v1/chat/completions'")),
        model("asked", f"{base}api_key_location = 'dynamic::k'"),
        model("routed", f"{base}api_key_location = 'dynamic::k'", base + none),
        model("pair", f"{base}api_key_location = {PAIR}"),
        model("refused", f"{base}api_key_location = {PAIR}".replace("'ok'", "'status-401'")),
        model("private", base + none, keys="namespace = 'mine'\n"),
        model("free", f"{base}{none}cost = []"),
        model("priced", f"{base}{none}cost = [{price} = 2}}]"),
        model("negative", f"{base}{none}cost = [{price} = -2}}]"),
        "[functions.f]\ntype = 'chat'\n"
        "[functions.f.variants.a]\ntype = 'experimental_best_of_n_sampling'\n"
        "candidates = ['c']\nevaluator = { model = 'dummy::text' }\n"
        "[functions.f.variants.c]\ntype = 'chat_completion'\nmodel = 'dummy::echo'\n"
        "[functions.f.evaluators.e]\ntype = 'llm_judge'\noutput_type = 'boolean'\n"
        "optimize = 'max'\n[functions.f.evaluators.e.variants.v]\ntype = 'chat_completion'\n"
        "model = 'dummy::json'\njson_mode = 'strict'\nsystem_instructions = 'judge.txt'\n",
    ]
    file = folder / "tensorzero.toml"
    file.write_text("\n".join(text))
    return file


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    server = Provider()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OPENAI_API_KEY", raising=False)
        running = Gateway(write(folder, provider.url), folder / "data", environment=ENVIRON)
        yield running
        assert running.stop() == 0


def ask(gateway: Gateway, name: str, **fields: Any) -> httpx.Response:
    return gateway.post({"model_name": name, "input": HI, **fields})


def test_a_missing_dynamic_key_is_named(gateway: Gateway, provider: Provider) -> None:
    calls = len(provider.requests)
    answer = ask(gateway, "asked")
    assert answer.status_code >= 400
    assert "Dynamic api key `k` is missing" in answer.json()["error"]
    assert len(provider.requests) == calls


def test_a_dynamic_key_is_sent(gateway: Gateway, provider: Provider) -> None:
    assert ask(gateway, "asked", credentials={"k": "sk-mine"}).status_code == 200
    headers, _ = provider.requests[-1]
    assert headers["authorization"] == "Bearer sk-mine"


def test_without_the_dynamic_key_the_next_provider_answers(
    gateway: Gateway, provider: Provider
) -> None:
    assert ask(gateway, "routed").status_code == 200
    headers, _ = provider.requests[-1]
    assert "authorization" not in headers


def test_the_fallback_key_serves_only_where_the_request_brings_none(
    gateway: Gateway, provider: Provider
) -> None:
    log = gateway.data_dir.parent / "gateway.log"
    before = log.read_text().count("using the fallback credential")
    assert ask(gateway, "pair").status_code == 200
    assert provider.requests[-1][0]["authorization"] == "Bearer sk-fallback"
    assert log.read_text().count("using the fallback credential") == before + 1
    assert ask(gateway, "pair", credentials={"k": "sk-mine"}).status_code == 200
    assert provider.requests[-1][0]["authorization"] == "Bearer sk-mine"
    assert log.read_text().count("using the fallback credential") == before + 1


def test_a_refused_key_is_not_replaced_by_the_fallback(
    gateway: Gateway, provider: Provider
) -> None:
    calls = len(provider.requests)
    answer = ask(gateway, "refused", credentials={"k": "sk-mine"})
    assert answer.status_code >= 400 and "sk-" not in answer.text
    assert len(provider.requests) == calls + 1


def test_none_sends_no_authorization(gateway: Gateway, provider: Provider) -> None:
    assert ask(gateway, "open").status_code == 200
    assert "authorization" not in provider.requests[-1][0]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("open", "/v1/chat/completions"),
        ("slash", "/v1/chat/completions"),
        ("root", "/chat/completions"),
        ("doubled", "/v1/chat/completions/chat/completions"),
    ],
)
def test_the_path_of_an_api_base(
    gateway: Gateway, provider: Provider, name: str, path: str
) -> None:
    assert ask(gateway, name).status_code == 200
    assert provider.paths[-1] == path


@pytest.mark.parametrize("name", ["azure::x", "vllm::x", "nope::x", "Openai::x", "gpt-5"])
def test_a_name_that_is_no_model(gateway: Gateway, name: str) -> None:
    answer = ask(gateway, name)
    assert answer.status_code == 400
    assert f"Model name '{name}' not found in model table" in answer.json()["error"]


def test_a_shorthand_without_its_key_fails_alone(gateway: Gateway) -> None:
    for _ in range(2):
        answer = ask(gateway, "openai::gpt-5-mini")
        assert answer.status_code >= 400 and "OPENAI_API_KEY" in answer.json()["error"]
    assert ask(gateway, "dummy::text").status_code == 200


def test_what_is_not_served_is_never_drawn_and_says_so_when_pinned(gateway: Gateway) -> None:
    for _ in range(6):
        answer = gateway.post({"function_name": "f", "input": HI})
        assert answer.status_code == 200 and answer.json()["variant_name"] == "c"
    answer = gateway.post({"function_name": "f", "variant_name": "a", "input": HI})
    assert answer.status_code >= 400
    assert (
        "variants of type `experimental_best_of_n_sampling` are not served by this version yet"
        in answer.json()["error"]
    )


def test_a_namespaced_model_needs_its_namespace(gateway: Gateway) -> None:
    answer = ask(gateway, "private")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(
        "Model `private` has namespace `mine`, but the request namespace is `None`."
    )
    answer = ask(gateway, "private", namespace="other")
    assert answer.status_code == 400 and "is `other`" in answer.json()["error"]
    assert ask(gateway, "private", namespace="mine").status_code == 200


@pytest.mark.parametrize(
    ("name", "cost"), [("free", 0), ("open", None), ("priced", 0.000036), ("negative", None)]
)
def test_costs(gateway: Gateway, name: str, cost: float | None) -> None:
    answer = ask(gateway, name)
    assert answer.status_code == 200
    usage = answer.json()["usage"]
    assert "cost" in usage and usage["cost"] == cost


def test_a_judge_function_can_be_called(gateway: Gateway) -> None:
    arguments = {"input": "i", "generated_output": "o", "reference_output": None}
    content = [{"type": "template", "name": "user", "arguments": arguments}]
    answer = gateway.post(
        {
            "function_name": "tensorzero::llm_judge::function_name::f::e",
            "input": {"messages": [{"role": "user", "content": content}]},
        }
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["output"]["parsed"] == {"score": False}


def test_rows_name_the_configuration_and_shorthand_models(gateway: Gateway) -> None:
    config_hash = load(str(gateway.config), environ=ENVIRON).snapshot.hash
    status = httpx.get(f"{gateway.url}/status").json()
    assert status["config_hash"] == config_hash
    inference = ask(gateway, "dummy::text").json()["inference_id"]
    gateway.wait_for(
        "SELECT concat(model_name, ' ', model_provider_name, ' ', toString(isNull(cost)), ' ', "
        f"toString(snapshot_hash)) FROM ModelInference WHERE inference_id = '{inference}'",
        f"dummy::text dummy 1 {config_hash}",
    )


def test_a_restart_keeps_the_stored_configuration(gateway: Gateway) -> None:
    sql = "SELECT toString(hash), created_at, last_used FROM ConfigSnapshot FINAL"
    (first,) = gateway.query(sql)
    assert gateway.stop() == 0
    gateway.start()
    (second,) = gateway.query(sql)
    assert second[:2] == first[:2]
    assert second[2] > first[2]
