"""Errors, fallback, timeouts, escape hatches and secrets (checklist 45 to 53)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway import functions
from gateway.api import HELLO, Api, text, user
from gateway.provider import Provider, delta, ending
from gateway.running import Gateway

SECRET = "sk-very-secret-0123456789"


def test_a_dead_provider(api: Api) -> None:
    """Checklist 45: 500 pinned, 502 sampled or by model name."""
    pinned = api.refused(500, function_name="weights", variant_name="b")
    assert pinned["error"].startswith("All model providers failed to infer with errors: p: Error")
    sampled = api.refused(502, function_name="weights")
    assert sampled["error"].startswith(
        "All variants failed with errors: b: All model providers failed to infer with errors: p: "
    )
    by_name = api.refused(502, model_name="dead")
    assert by_name["error"].startswith("All variants failed with errors: dead: ")


def test_every_cause_is_listed_in_order(api: Api) -> None:
    """Checklist 45."""
    body = api.refused(
        502, function_name="allbad", episode_id="0190f000-0000-7000-8000-000000000001"
    )
    lines = body["error"].removeprefix("All variants failed with errors: ").split("\n")
    assert len(lines) == 2
    tried = ["one" if sent["model"] == "status-500" else "two" for sent in api.provider.sent]
    assert [line.split(":")[0] for line in lines] == tried


@pytest.mark.parametrize("model", ["status-500", "status-429", "status-401", "garbage", "cut"])
def test_provider_statuses_never_leak(api: Api, model: str) -> None:
    """Section 14.2, checklist 49 for the provider's 429."""
    dynamic = {"type": "chat_completion", "model": model}
    api.refused(502, model_name=model)
    api.refused(500, function_name="chat", dryrun=True, internal_dynamic_variant_config=dynamic)


def test_the_second_provider_answers(api: Api) -> None:
    """Checklist 46: one model row, of the second."""
    answer = api.ok(function_name="routed")
    (row,) = api.model_rows(answer["inference_id"])
    assert (row["model_name"], row["model_provider_name"]) == ("routed", "second")
    frames = api.stream(function_name="routed")
    (row,) = api.model_rows(frames[0]["inference_id"])
    assert row["model_provider_name"] == "second"


def test_the_other_variant_answers(api: Api) -> None:
    """Checklist 47: with a row of the variant that answered."""
    answer = api.ok(function_name="ordered")
    assert answer["variant_name"] == "z"
    assert api.row(answer["inference_id"])["variant_name"] == "z"
    (model,) = api.model_rows(answer["inference_id"])
    assert model["variant_name"] == "z"
    frames = api.stream(function_name="ordered")
    assert {frame["variant_name"] for frame in frames} == {"z"}


@pytest.mark.parametrize(
    ("variant", "status", "level"),
    [("variant", 408, "Variant"), ("model", 408, "Model"), ("provider", 500, "Model provider")],
)
def test_timeouts(api: Api, variant: str, status: int, level: str) -> None:
    """Checklist 48: each level names itself, its setting and the value."""
    for stream, setting, value in (
        (False, "`non_streaming.total_ms`", "200ms"),
        (True, "`streaming.ttft_ms`", "100ms"),
    ):
        body = api.refused(
            status,
            f"{level} `",
            "timed out due to configured",
            setting,
            value,
            function_name="late",
            variant_name=variant,
            stream=stream,
        )
        assert ("All model providers failed" in body["error"]) is (status == 500)


def test_error_json(silent: Api) -> None:
    """Checklist 50: keyed by kind, causes nested alike."""
    body = silent.refused(404, function_name="nope")
    assert body == {
        "error": "Unknown function: nope",
        "error_json": {"UnknownFunction": {"name": "nope"}},
    }
    body = silent.refused(400, function_name="chat", bogus=1)
    assert list(body["error_json"]) == ["JsonRequest"]
    body = silent.refused(404, function_name="chat", variant_name="nope")
    assert body["error_json"] == {"UnknownVariant": {"name": "nope"}}
    body = silent.refused(400, function_name="chat", episode_id=str("0" * 32))
    raw = "00000000-0000-0000-0000-000000000000"
    assert body["error_json"] == {"InvalidUuid": {"raw_uuid": raw}}
    body = silent.refused(400, function_name="tools", allowed_tools=["x"])
    assert body["error_json"] == {"ToolNotFound": {"name": "x"}}
    body = silent.refused(502, function_name="ordered", variant_name=None, **late())
    assert list(body["error_json"]) == ["AllVariantsFailed"]
    body = silent.refused(408, function_name="late", variant_name="variant")
    assert body["error_json"] == {
        "VariantTimeout": {
            "variant_name": "variant",
            "timeout": {"secs": 0, "nanos": 200_000_000},
            "kind": "non_streaming_total",
        }
    }
    missing = silent.client.get(f"{silent.url}/nope")
    assert missing.json()["error_json"] == {"RouteNotFound": {"path": "/p/nope", "method": "GET"}}


def late() -> dict[str, Any]:
    """An edit that no provider body can take: every variant fails by it."""
    return {"extra_body": [{"pointer": "/messages/99/x", "value": 1}]}


def test_nested_error_json(silent: Api) -> None:
    """Section 14.1 and 14.2."""
    body = silent.refused(502, model_name="status-429")
    variant = body["error_json"]["AllVariantsFailed"]["errors"]["status-429"]
    provider = variant["AllModelProvidersFailed"]["provider_errors"]["p"]
    assert list(provider) == ["InferenceClient"]
    fields = provider["InferenceClient"]
    assert fields["status_code"] == 429
    assert fields["provider_type"] == "openai"
    assert fields["api_type"] == "chat_completions"
    assert json.loads(fields["raw_request"])["model"] == "status-429"
    assert json.loads(fields["raw_response"]) == {"error": {"message": "no"}}


def test_error_json_without_debug(storeless: Api) -> None:
    """Section 14.1: raw request and response only in debug mode."""
    body = storeless.refused(502, model_name="status-500")
    variant = body["error_json"]["AllVariantsFailed"]["errors"]["status-500"]
    fields = variant["AllModelProvidersFailed"]["provider_errors"]["p"]["InferenceServer"]
    assert (fields["raw_request"], fields["raw_response"]) == (None, None)
    broken = {
        "system": {"tone": "private words"},
        **user({"type": "text", "arguments": {"a": "b"}}),
    }
    body = storeless.refused(400, function_name="typed", input=broken)
    fields = body["error_json"]["JsonSchemaValidation"]
    assert fields["messages"] == ['"name" is a required property']
    assert fields["data"] is None
    assert fields["schema"]["required"] == ["name"]
    assert "private words" not in json.dumps(body)


def test_debug_texts(silent: Api) -> None:
    """Section 14.1: with `gateway.debug` texts show the data."""
    body = silent.refused(502, model_name="status-500")
    assert '"model":"status-500"' in body["error"]
    assert '{"error":{"message":"no"}}' in body["error"]
    broken = {"system": {"tone": "x"}, **user({"type": "text", "arguments": {"a": "b"}})}
    body = silent.refused(400, function_name="typed", input=broken)
    assert '\n\nData:\n{"a":"b"}\n\nSchema:\n{' in body["error"]


def test_error_frames_carry_error_json(silent: Api) -> None:
    """Section 13.4."""
    silent.provider.scripts["scripted"] = [delta(content="a"), "{broken", *ending()]
    frames = silent.stream(function_name="chat")
    assert list(frames[1]) == ["error", "error_json"]
    assert list(frames[1]["error_json"]) == ["InferenceServer"]


def test_raw_responses_of_failures(api: Api) -> None:
    """Section 14.1: beside the error, without ids."""
    body = api.refused(502, function_name="allbad", include_raw_response=True)
    assert list(body) == ["error", "raw_response"]
    assert [list(entry) for entry in body["raw_response"]] == [
        ["provider_type", "api_type", "data"]
    ] * 2
    assert {entry["data"] for entry in body["raw_response"]} == {
        '{"error":{"message":"no"}}',
        "<html>not JSON",
    }
    assert "raw_response" not in api.refused(502, function_name="allbad")


@pytest.mark.parametrize(
    ("entry", "status", "text_of"),
    [
        ({"variant_name": "nope", "value": 1}, 404, "Unknown variant: nope"),
        ({"model_name": "nope", "value": 1}, 400, "Invalid inference target: "),
        (
            {"model_name": "scripted", "provider_name": "q", "value": 1},
            400,
            "Invalid inference target: ",
        ),
        ({"value": 1, "delete": True}, 400, "extra_body[0]"),
        ({}, 400, "extra_body[0]"),
        ({"delete": False}, 400, "extra_body[0].delete"),
        ({"variant_name": "v", "model_name": "scripted", "value": 1}, 400, "extra_body[0]"),
        ({"provider_name": "p", "value": 1}, 400, "extra_body[0]"),
        ({"value": 1, "name": "x"}, 400, "extra_body[0]: unknown field `name`"),
    ],
    ids=str,
)
def test_filters_that_are_refused(
    api: Api, entry: dict[str, Any], status: int, text_of: str
) -> None:
    """Checklist 51, for bodies and headers alike."""
    body = api.refused(status, function_name="chat", extra_body=[{"pointer": "/x", **entry}])
    assert body["error"].startswith(text_of)
    header = {"name": "x-h", **entry}
    if "value" in entry:
        header["value"] = "text"
    if entry.get("name"):
        header = {"name": "x", "pointer": "/x", "value": "x"}
    body = api.refused(status, function_name="chat", extra_headers=[header])
    assert body["error"].startswith(
        text_of.replace("body", "headers").replace("name", "pointer")
        if "unknown field" in text_of
        else text_of.replace("body", "headers")
    )
    assert api.provider.requests == []


def test_filters_of_model_name_calls(api: Api) -> None:
    """Section 5: the only variant is the model itself; shorthands and their type are known."""
    entry = {"pointer": "/x", "value": 1}
    assert api.ok(model_name="scripted", extra_body=[{**entry, "variant_name": "scripted"}])
    assert api.provider.last["x"] == 1
    api.refused(404, model_name="scripted", extra_body=[{**entry, "variant_name": "v"}])
    shorthand = {**entry, "model_name": "dummy::text", "provider_name": "dummy"}
    assert api.ok(model_name="scripted", extra_body=[shorthand])
    assert "x" not in api.provider.last
    shorthand["provider_name"] = "p"
    api.refused(400, model_name="scripted", extra_body=[shorthand])


def test_edits_apply_in_order_and_by_scope(api: Api) -> None:
    """Section 5: variant, provider, request; later wins; other variants' entries stay away."""
    edits: list[dict[str, Any]] = [
        {"pointer": "/seen", "value": "everyone"},
        {"pointer": "/mine", "value": 1, "variant_name": "b"},
        {"pointer": "/other", "value": 1, "variant_name": "a"},
        {"pointer": "/model", "value": "scripted", "model_name": "edited", "provider_name": "p"},
        {"pointer": "/nested/new/key", "value": None},
        {"pointer": "/messages/-", "value": {"role": "user", "content": "appended"}},
        {"pointer": "/stream", "delete": True},
        {"pointer": "/absent", "delete": True},
        {"pointer": "/a~1b~0c", "value": "escaped"},
        {"pointer": "/stored", "value": 1, "model_provider_name": "anything"},
    ]
    headers = [
        {"name": "x-mine", "value": "b", "variant_name": "b"},
        {"name": "x-other", "value": "a", "variant_name": "a"},
        {"name": "x-gone", "value": "1"},
        {"name": "x-gone", "delete": True, "value": None},
    ]
    answer = api.ok(function_name="edited", extra_body=edits, extra_headers=headers)
    assert answer["variant_name"] == "b"
    first, second = api.provider.sent
    assert first["other"] == 1
    assert "mine" not in first
    assert second["order"] == "provider"
    assert (second["variant"], second["seen"], second["mine"]) == (1, "everyone", 1)
    assert "other" not in second
    assert second["nested"] == {"new": {"key": None}}
    assert second["messages"][-1]["content"] == "appended"
    assert "stream" not in second
    assert (second["a/b~c"], second["stored"]) == ("escaped", 1)
    sent = {name.lower(): value for name, value in api.provider.requests[-1][0].items()}
    assert (sent["x-order"], sent["x-mine"]) == ("provider", "b")
    assert "x-other" not in sent
    assert "x-gone" not in sent
    row = api.row(answer["inference_id"])
    assert row["extra_body"][1] == {"variant_name": "b", "pointer": "/mine", "value": 1}
    assert row["extra_body"][3] == {
        "model_name": "edited",
        "provider_name": "p",
        "pointer": "/model",
        "value": "scripted",
    }
    last = api.ok(function_name="edited", extra_body=[{"pointer": "/order", "value": "request"}])
    assert api.provider.last["order"] == "request"
    assert json.loads(api.model_row(last["inference_id"])["raw_request"]) == api.provider.last


@pytest.mark.parametrize("pointer", ["", "x", "/a/", "/messages/9/x", "/temperature/x", "/-"])
def test_pointers_that_cannot_be_applied(api: Api, pointer: str) -> None:
    """Section 5: `ExtraBodyReplacement` inside the attempt."""
    body = api.refused(
        500,
        "All model providers failed",
        f"`{pointer}`",
        function_name="chat",
        variant_name="v",
        extra_body=[{"pointer": pointer, "value": 1}],
    )
    assert "Error replacing extra body" in body["error"]
    assert api.provider.requests == []


@pytest.mark.parametrize(("name", "value"), [("bad name", "x"), ("x", "a\r\nb: c"), ("x", "\0")])
def test_headers_that_cannot_be_sent(api: Api, name: str, value: str) -> None:
    """Nothing is smuggled into the provider's request, and the value is not shown."""
    body = api.refused(
        500,
        "header",
        function_name="chat",
        variant_name="v",
        extra_headers=[{"name": name, "value": SECRET + value}],
    )
    assert SECRET not in body["error"]
    assert api.provider.requests == []


def test_dynamic_credentials(api: Api) -> None:
    """Checklist 52."""
    body = api.refused(
        500, "API key missing for provider", "customer", function_name="keyed", variant_name="v"
    )
    assert "OpenAI" in body["error"]
    api.refused(502, "API key missing", function_name="keyed")
    assert api.provider.requests == []
    answer = api.ok(function_name="keyed", credentials={"customer": SECRET})
    sent = {name.lower(): value for name, value in api.provider.requests[-1][0].items()}
    assert sent["authorization"] == f"Bearer {SECRET}"
    rows = [api.row(answer["inference_id"]), *api.model_rows(answer["inference_id"])]
    assert SECRET not in json.dumps(rows)
    assert SECRET not in api.log


def dynamic(**fields: Any) -> dict[str, Any]:
    return {"type": "chat_completion", "model": "scripted", **fields}


def test_dynamic_variants(api: Api) -> None:
    """Checklist 53, section 7.3."""
    config = dynamic(temperature=0.5, max_tokens=3)
    api.refused(400, "dryrun", function_name="chat", internal_dynamic_variant_config=config)
    answer = api.ok(function_name="chat", dryrun=True, internal_dynamic_variant_config=config)
    assert answer["variant_name"] == "tensorzero::dynamic_variant"
    assert (api.provider.last["temperature"], api.provider.last["max_completion_tokens"]) == (
        0.5,
        3,
    )
    frames = api.stream(function_name="chat", dryrun=True, internal_dynamic_variant_config=config)
    assert {frame["variant_name"] for frame in frames} == {"tensorzero::dynamic_variant"}
    default = api.ok(
        function_name="tensorzero::default", dryrun=True, internal_dynamic_variant_config=config
    )
    assert default["variant_name"] == "tensorzero::dynamic_variant"
    api.refused(
        400,
        "variant_name",
        function_name="chat",
        dryrun=True,
        variant_name="v",
        internal_dynamic_variant_config=config,
    )
    api.refused(
        400,
        "Invalid inference target: ",
        model_name="ok",
        dryrun=True,
        internal_dynamic_variant_config=config,
    )


def test_templates_of_a_dynamic_variant(api: Api) -> None:
    """Section 7.3: carried in the request, for this call only."""

    def file(name: str, content: str) -> dict[str, str]:
        return {"__tensorzero_remapped_path": name, "__data": content}

    config = dynamic(
        system_template=file("s", "Sys {{ tone }}"),
        user_template=file("user.minijinja", "Other: {{ name }}"),
        assistant_template=file("a", "{{ name }}"),
    )
    given = {"system": {"tone": "kind"}, **user({"type": "text", "arguments": {"name": "Ann"}})}
    api.ok(function_name="typed", dryrun=True, internal_dynamic_variant_config=config, input=given)
    assert [message["content"] for message in api.provider.last["messages"]] == [
        "Sys kind",
        "Other: Ann",
    ]
    api.ok(function_name="typed", input=given)
    assert api.provider.last["messages"][1]["content"] == "Name: Ann"
    api.refused(
        400,
        "template",
        function_name="legacy",
        dryrun=True,
        internal_dynamic_variant_config=dynamic(user_template=file("u", "{{ broken")),
    )


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"type": "nope"},
        {"type": "chat_completion"},
        dynamic(model="nope"),
        dynamic(bogus=1),
        dynamic(temperature="hot"),
        dynamic(user_template="/etc/hostname"),
    ],
    ids=str,
)
def test_dynamic_variants_that_do_not_load(api: Api, config: dict[str, Any]) -> None:
    """Section 7.3: the error of their loading, never a file of the server's."""
    body = api.refused(
        500, function_name="chat", dryrun=True, internal_dynamic_variant_config=config
    )
    assert "unexpected" not in body["error"]
    assert "internal_dynamic_variant_config" in body["error"]
    assert api.provider.requests == []


def test_a_database_that_must_be_read_and_is_not_there(silent: Api) -> None:
    """Section 8.2 without a database: no run can exist."""
    milliseconds = (int(time.time()) + 10_000_000_000) * 1000
    episode = str(UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62)))
    body = silent.refused(400, function_name="chat", episode_id=episode)
    assert body["error_json"] == {"InvalidWorkflowEvaluationRun": {"episode_id": episode}}


def test_no_secret_in_any_answer_log_or_row(
    provider: Provider,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key of the environment, one of the request, one in a header, and a provider that tells
    each of them back."""
    folder: Path = tmp_path_factory.mktemp("secrets")
    monkeypatch.setenv("CUSTOMER_KEY", SECRET + "-environment")
    extra = (
        "[gateway]\ndebug = true\nunstable_error_json = true\n"
        '[models.filed]\nrouting = ["p"]\n[models.filed.providers.p]\ntype = "openai"\n'
        f'model_name = "echo-key"\napi_base = "{provider.url}"\n'
        'api_key_location = "env::CUSTOMER_KEY"\n'
        '[models.given]\nrouting = ["p"]\n[models.given.providers.p]\ntype = "openai"\n'
        f'model_name = "echo-key"\napi_base = "{provider.url}"\n'
        'api_key_location = "dynamic::customer"\n'
    )
    config = functions.write(folder, provider.url, extra)
    gateway = Gateway(config, folder / "data")
    api = Api(gateway, provider)
    seen: list[str] = []
    try:
        for fields in (
            {"model_name": "filed"},
            {"model_name": "given", "credentials": {"customer": SECRET + "-given"}},
            {"model_name": "given", "credentials": {"other": SECRET}},
            {"model_name": "given", "credentials": {"customer": 5, "x": SECRET}},
            {"function_name": "keyed", "credentials": {"customer": SECRET + "\r\nx: y"}},
            {"function_name": "keyed", "credentials": {"customer": SECRET + "-fine"}},
            {
                "model_name": "status-500",
                "extra_headers": [{"name": "authorization", "value": f"Bearer {SECRET}-header"}],
            },
        ):
            for stream in (False, True):
                answer = api.send(
                    {"input": HELLO, "stream": stream, "include_raw_response": True, **fields}
                )
                seen.append(answer.text)
        marker = api.ok(model_name="dummy::text")["inference_id"]
        api.row(marker)
        api.model_row(marker)
        rows = api.sql("SELECT * FROM ChatInference") + api.sql("SELECT * FROM ModelInference")
        snapshots = api.sql("SELECT * FROM ConfigSnapshot")
        assert len(rows) == 6
        seen += [json.dumps(rows), json.dumps(snapshots)]
    finally:
        assert gateway.stop() == 0
    seen.append(api.log)
    told = [headers for headers, _ in provider.requests]
    assert any(SECRET in json.dumps(headers) for headers in told)
    for part in seen:
        assert SECRET not in part, part[max(0, part.index(SECRET) - 300) :][:600]
        assert "Traceback" not in part
        assert ".py" not in part


def test_no_stack_trace_in_the_shared_log(api: Api, silent: Api, storeless: Api) -> None:
    """Whatever the tests before this one provoked."""
    for one in (api, silent, storeless):
        one.ok(function_name="chat", input=user(text("x")), dryrun=True)
        assert "Traceback" not in one.log
        assert "unexpectedly" not in one.log
        assert "unexpected error" not in one.log
