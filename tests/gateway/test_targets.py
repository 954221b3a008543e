"""Target, ids, episodes, tags and namespaces (checklist 8 to 13), and sampling."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from gateway.api import HELLO, Api
from tzcore.sampling import draw
from tzcore.uuid7 import uuid7

OLD = "0190f000-0000-7000-8000-000000000001"
"""The episode of the contract's test vectors."""


def uuid7_at(seconds: float, tail: int = 1) -> str:
    return str(UUID(int=(int(seconds * 1000) << 80) | (7 << 76) | (2 << 62) | tail))


@pytest.mark.parametrize(
    ("fields", "status", "texts"),
    [
        ({}, 400, ["Invalid inference target: "]),
        ({"function_name": "chat", "model_name": "ok"}, 400, ["Invalid inference target: "]),
        ({"model_name": "ok", "variant_name": "v"}, 400, ["Invalid inference target: "]),
        ({"model_name": "nope"}, 400, ["Invalid inference target: ", "'nope'", "not found"]),
        ({"model_name": "vendor::nope"}, 400, ["'vendor::nope'", "not found"]),
        ({"function_name": "chat", "variant_name": "nope"}, 404, ["Unknown variant: nope"]),
        ({"function_name": "tensorzero::default"}, 500, ["has no variants"]),
        (
            {"function_name": "tensorzero::default", "variant_name": "ok"},
            500,
            ["has no variants"],
        ),
    ],
)
def test_targets_that_are_refused(
    api: Api, fields: dict[str, object], status: int, texts: list[str]
) -> None:
    """Checklist 8."""
    api.refused(status, *texts, **fields)
    assert api.provider.requests == []


def test_unknown_function(api: Api) -> None:
    """Checklist 8: the body is exactly this."""
    answer = api.post(function_name="does_not_exist")
    assert answer.status_code == 404
    assert answer.text == '{"error":"Unknown function: does_not_exist"}'


def test_model_name_runs_the_default_function(api: Api) -> None:
    """Checklist 9, by shorthand and by configured name."""
    for name, provider_name in (("dummy::text", "dummy"), ("ok", "p")):
        answer = api.ok(model_name=name)
        assert answer["variant_name"] == name
        row = api.row(answer["inference_id"])
        assert row["function_name"] == "tensorzero::default"
        assert row["variant_name"] == name
        (model,) = api.model_rows(answer["inference_id"])
        assert (model["model_name"], model["model_provider_name"]) == (name, provider_name)
        assert model["function_name"] == "tensorzero::default"


def test_the_default_function_takes_everything_a_request_brings(api: Api) -> None:
    """Section 7.1: tools, params, json_mode and output_schema work per request."""
    schema = {"type": "object"}
    api.ok(
        model_name="scripted",
        params={"chat_completion": {"seed": 3, "json_mode": "strict"}},
        output_schema=schema,
        additional_tools=[{"name": "t", "description": "d", "parameters": schema}],
    )
    sent = api.provider.last
    assert sent["seed"] == 3
    assert sent["response_format"]["json_schema"]["schema"] == schema
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["t"]


def test_a_shorthand_without_its_key(api: Api) -> None:
    """Section 7.1: the lookup fails, inside the 502 of a sampled variant."""
    body = api.refused(502, "API key missing for provider", model_name="mistral::small")
    assert "All model providers failed" not in body["error"]


@pytest.mark.parametrize(
    "episode",
    ["7f3b2a10-9c1d-4e5f-8a6b-1c2d3e4f5a6b", "00000000-0000-0000-0000-000000000000"],
)
def test_episode_ids_without_time(api: Api, episode: str) -> None:
    """Checklist 10."""
    body = api.refused(400, function_name="chat", episode_id=episode)
    assert body == {"error": f"Failed to parse UUID as v7: {episode}"}


def test_episode_ids_of_the_wrong_version_or_time(api: Api) -> None:
    """Checklist 10, section 8.2."""
    api.refused(
        400,
        "Invalid Episode ID: ",
        "7",
        "1",
        function_name="chat",
        episode_id="c232ab00-9414-11ec-b3c8-9f6bdeced846",
    )
    now = time.time()
    api.refused(400, "in the future", function_name="chat", episode_id=uuid7_at(now + 3600))
    api.refused(400, "too early", function_name="chat", episode_id=uuid7_at(1_579_751_959))
    assert api.ok(function_name="chat", episode_id=uuid7_at(1_579_751_960))


def test_an_id_of_a_workflow_run_that_does_not_exist(api: Api) -> None:
    """Section 8.2: far-future ids are looked up."""
    episode = uuid7_at(time.time() + 10_000_000_000)
    api.refused(400, episode, function_name="chat", episode_id=episode)


@pytest.mark.parametrize("spelling", ["{}", "urn:uuid:{}", "{{{}}}"])
def test_a_fresh_episode_id_is_echoed(api: Api, spelling: str) -> None:
    """Checklist 10, section 8.1: any spelling in, one out."""
    episode = str(uuid7())
    given = spelling.format(episode.upper())
    assert api.ok(function_name="chat", episode_id=given)["episode_id"] == episode
    simple = episode.replace("-", "")
    assert api.ok(function_name="chat", episode_id=simple)["episode_id"] == episode


def test_ids_are_fresh_and_recorded(api: Api) -> None:
    """Checklist 11, section 8.1."""
    answer = api.ok(function_name="chat")
    inference, episode = UUID(answer["inference_id"]), UUID(answer["episode_id"])
    assert inference.version == episode.version == 7
    assert inference < episode
    assert api.row(str(inference))["episode_id"] == str(episode)


def episodes(count: int) -> Iterator[str]:
    for number in range(count):
        yield uuid7_at(time.time() - 60, number + 1)


def test_an_episode_keeps_its_variant(api: Api) -> None:
    """Checklist 11."""
    first = api.ok(function_name="two")
    for _ in range(5):
        again = api.ok(function_name="two", episode_id=first["episode_id"])
        assert again["variant_name"] == first["variant_name"]
    assert {api.ok(function_name="two")["variant_name"] for _ in range(40)} == {"a", "b"}


@pytest.mark.parametrize(
    ("function", "episode", "wanted"),
    [
        ("draft_email", OLD, 0.5846250586),
        ("tensorzero::default", OLD, 0.2005813895),
        ("draft_email", OLD[:-1] + "2", 0.8607053093),
        ("f", "00000000-0000-0000-0000-000000000000", 0.2181518325),
    ],
)
def test_the_draw_of_an_episode(function: str, episode: str, wanted: float) -> None:
    """The vectors of the variants page, 9.1."""
    assert draw(function, UUID(episode).bytes) == pytest.approx(wanted, abs=1e-10)


def test_uniform_sampling_by_the_draw(api: Api) -> None:
    """Variants page 9.2: index floor(u n) in name order."""
    for episode in episodes(12):
        u = draw("two", UUID(episode).bytes)
        answer = api.ok(function_name="two", episode_id=episode)
        assert answer["variant_name"] == "ab"[int(u * 2)]


def test_weighted_sampling_by_the_draw_and_again_after_a_failure(api: Api) -> None:
    """Variants page 9.2: the same u over what is left; `b` always fails."""
    seen = set()
    for episode in episodes(24):
        u = draw("shares", UUID(episode).bytes)
        wanted = "abc"[int(u * 3)]
        seen.add(wanted)
        if wanted == "b":
            wanted = "ac"[int(u * 2)]
        answer = api.ok(function_name="shares", episode_id=episode)
        assert answer["variant_name"] == wanted
    assert seen == {"a", "b", "c"}


def test_a_namespace_picks_its_own_experiment(api: Api) -> None:
    """Section 2: its section if there is one, else the base."""
    for episode in episodes(4):
        own = api.ok(function_name="shares", namespace="tenant", episode_id=episode)
        assert own["variant_name"] == "d"
        other = api.ok(function_name="shares", namespace="other", episode_id=episode)
        assert other["variant_name"] in ("a", "c")


def test_fallback_variants_in_list_order(api: Api) -> None:
    """Variants page 9.2: the first live fallback as listed, not by name."""
    for episode in episodes(3):
        answer = api.ok(function_name="ordered", episode_id=episode)
        assert answer["variant_name"] == "z"
    assert [sent["model"] for sent in api.provider.sent] == ["status-500", "scripted"] * 3


def test_a_candidate_of_weight_zero_is_tried_last(api: Api) -> None:
    """Checklist 47, variants page 9.1."""
    assert api.ok(function_name="zero")["variant_name"] == "a"
    assert [sent["model"] for sent in api.provider.sent] == ["status-500", "scripted"]


def test_a_variant_of_weight_zero_is_never_sampled_but_can_be_pinned(api: Api) -> None:
    """Checklist 47."""
    api.refused(502, function_name="weights")
    assert [sent["model"] for sent in api.provider.sent] == ["status-500"]
    assert api.ok(function_name="weights", variant_name="a")["variant_name"] == "a"


def test_reserved_tags(api: Api) -> None:
    """Checklist 12."""
    body = api.refused(400, function_name="chat", tags={"a": "b", "tensorzero::x": "1"})
    assert body == {"error": "Tag name cannot start with 'tensorzero::': tensorzero::x"}
    answer = api.ok(function_name="chat", tags={"tensorzero::x": "1", "plain": "é"}, internal=True)
    assert api.row(answer["inference_id"])["tags"] == {
        "tensorzero::x": "1",
        "plain": "é",
        "tensorzero::internal": "true",
    }


def test_tags_that_the_gateway_adds(api: Api) -> None:
    """Checklist 13."""
    answer = api.ok(function_name="chat", variant_name="v", namespace="team", tags={"k": "v"})
    assert api.row(answer["inference_id"])["tags"] == {
        "k": "v",
        "tensorzero::namespace": "team",
        "tensorzero::variant_pinned": "v",
    }
    sampled = api.ok(function_name="chat")
    assert api.row(sampled["inference_id"])["tags"] == {}


@pytest.mark.parametrize("namespace", ["", "tensorzero::x"])
def test_namespaces_that_are_refused(api: Api, namespace: str) -> None:
    """Checklist 13."""
    api.refused(400, "amespace", function_name="chat", namespace=namespace)


def test_a_namespaced_model_needs_its_namespace(api: Api) -> None:
    """Section 7.1: for `model_name`, pinned and dynamic variants."""
    for namespace in (None, "other"):
        api.refused(400, "tenant", model_name="tenant_model", namespace=namespace)
        for variant in ("own", "private"):
            api.refused(
                400, "tenant", function_name="tenants", variant_name=variant, namespace=namespace
            )
        api.refused(
            400,
            "tenant",
            function_name="tenants",
            dryrun=True,
            namespace=namespace,
            internal_dynamic_variant_config={"type": "chat_completion", "model": "tenant_model"},
        )
    assert api.provider.requests == []
    assert api.ok(model_name="tenant_model", namespace="tenant")
    for variant in ("own", "private"):
        assert api.ok(function_name="tenants", variant_name=variant, namespace="tenant")
    assert api.ok(function_name="tenants", namespace="tenant")["variant_name"] == "own"
    assert api.ok(function_name="tenants")["variant_name"] == "open"


def test_the_order_of_refusals(api: Api) -> None:
    """Section 6: of several faults the earlier step wins."""
    bad_tag = {"tags": {"tensorzero::x": "1"}}
    bad_episode = {"episode_id": str(uuid4())}
    bad_schema = {"input": {"system": {"tone": 5}, "messages": []}}
    bad_filter = {"extra_body": [{"variant_name": "nope", "pointer": "/a", "value": 1}]}
    bad_tool = {"allowed_tools": ["nope"]}
    aggregated = {"include_aggregated_response": True}
    dynamic = {
        "internal_dynamic_variant_config": {"type": "chat_completion", "model": "ok"},
    }
    steps = [
        ("tensorzero::x", bad_tag),
        ("Failed to parse UUID", bad_episode),
        ("JSON Schema validation failed", bad_schema),
        ("Unknown variant: nope", bad_filter),
        ("dryrun", dynamic),
        ("Tool not found: nope", bad_tool),
        ("include_aggregated_response", aggregated),
    ]
    for index, (wanted, _) in enumerate(steps):
        fields: dict[str, object] = {"input": {"system": {"tone": "kind"}, **HELLO}}
        fields["input"] = {"system": {"tone": "kind"}, "messages": []}
        for _, fault in steps[index:]:
            fields.update(fault)
        answer = api.post(function_name="typed", **fields)
        assert answer.status_code in (400, 404)
        assert wanted in answer.json()["error"], (index, answer.text)
    both = api.post(function_name="nope", tags={"tensorzero::x": "1"}, episode_id=str(uuid4()))
    assert "tensorzero::x" in both.json()["error"]
    assert api.provider.requests == []
