"""Workflow-evaluation runs: the contract's feedback page, section 2."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from gateway.api import Api

RUN = "/workflow_evaluation_run"
UNKNOWN = "0190f000-0000-7000-8000-000000000001"


def post(api: Api, path: str, body: Any) -> httpx.Response:
    return api.client.post(f"{api.url}{path}", json=body)


def start(api: Api, **fields: Any) -> str:
    answer = post(api, RUN, {"variants": {}, **fields})
    assert answer.status_code == 200, answer.text
    run_id = answer.json()["run_id"]
    assert UUID(run_id).version == 7
    return str(run_id)


def episode(api: Api, run_id: str, **fields: Any) -> str:
    answer = post(api, f"{RUN}/{run_id}/episode", fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["episode_id"])


def test_a_run_pins_variants_and_brings_its_tags(api: Api) -> None:
    run_id = start(
        api,
        variants={"two": "b"},
        tags={"a": "run", "b": "run"},
        project_name="p",
        display_name="d",
        something_new=1,
    )
    episode_id = episode(api, run_id, task_name="t", tags={"b": "episode"})
    assert UUID(episode_id).version == 7
    assert (UUID(episode_id).int >> 80) // 1000 > 10_000_000_000
    answer = api.ok(function_name="two", episode_id=episode_id, tags={"a": "request"})
    assert answer["variant_name"] == "b"
    row = api.row(answer["inference_id"])
    assert row["tags"] == {
        "a": "request",
        "b": "episode",
        "tensorzero::variant_pinned": "b",
        "tensorzero::dynamic_evaluation_run_id": run_id,
        "tensorzero::workflow_evaluation_run_id": run_id,
    }
    named = api.ok(function_name="two", variant_name="a", episode_id=episode_id)
    assert named["variant_name"] == "a"
    run = api.sql(
        "SELECT * FROM DynamicEvaluationRun WHERE run_id_uint = toUInt128({id:UUID})", id=run_id
    )[0]
    assert (run["project_name"], run["run_display_name"]) == ("p", "d")
    assert run["variant_pins"] == {"two": "b"}
    assert run["snapshot_hash"]
    recorded = api.sql(
        "SELECT * FROM DynamicEvaluationRunEpisode WHERE episode_id_uint = toUInt128({id:UUID})",
        id=episode_id,
    )[0]
    assert (recorded["run_id"], recorded["datapoint_name"]) == (run_id, "t")
    assert recorded["tags"]["a"] == "run"


def test_the_former_name_serves_older_clients(api: Api) -> None:
    answer = post(api, "/dynamic_evaluation_run", {"variants": {"two": "a"}})
    run_id = answer.json()["run_id"]
    answer = post(api, f"/dynamic_evaluation_run/{run_id}/episode", {})
    assert UUID(answer.json()["episode_id"])
    assert "is now called `/workflow_evaluation_run`" in api.log


def test_internal_runs_bring_reserved_tags(api: Api) -> None:
    run_id = start(api, internal=True, tags={"tensorzero::internal": "true"})
    assert UUID(episode(api, run_id))


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "missing field `variants`"),
        ({"variants": []}, 400, "variants: invalid type: sequence"),
        ({"variants": {"two": 1}}, 400, "variants.two: invalid type: integer `1`"),
        ({"variants": {"nobody": "a"}}, 404, "Unknown function: nobody"),
        ({"variants": {"two": "z"}}, 400, "Variant z for function two not found."),
        (
            {"variants": {"two": "z"}, "tags": {"tensorzero::x": "1"}},
            400,
            "Tag name cannot start with 'tensorzero::': tensorzero::x",
        ),
    ],
)
def test_runs_that_are_refused(api: Api, body: Any, status: int, text: str) -> None:
    answer = post(api, RUN, body)
    assert answer.status_code == status, answer.text
    assert text in answer.json()["error"]


def test_episodes_that_are_refused(api: Api) -> None:
    answer = post(api, f"{RUN}/{UNKNOWN}/episode", {})
    assert answer.status_code == 400
    assert answer.json()["error"] == f"Workflow evaluation run not found: {UNKNOWN}"
    answer = post(api, f"{RUN}/no-uuid/episode", {})
    assert answer.status_code == 400
    assert "is not a UUID" in answer.json()["error"]
    run_id = start(api)
    answer = post(api, f"{RUN}/{run_id}/episode", {"tags": {"tensorzero::x": "1"}})
    assert answer.status_code == 400
    assert "cannot start with 'tensorzero::'" in answer.json()["error"]
    assert post(api, f"{RUN}/{run_id}/episode", []).status_code == 400
    answer = api.client.get(f"{api.url}{RUN}/{run_id}/episode")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_without_recording_there_are_no_runs(silent: Api) -> None:
    answer = post(silent, RUN, {"variants": {}})
    assert answer.status_code == 503
    assert "observability" in answer.json()["error"]
