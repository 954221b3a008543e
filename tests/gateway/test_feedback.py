"""``POST /feedback``: the contract's feedback page, section 1 and its checklist (1 to 21)."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from gateway.api import Api, text, user
from gateway.feedback_calls import OLD, asked, feedback, given, inference, refused, row
from tzcore.uuid7 import uuid7

RESERVED = "Tag name cannot start with 'tensorzero::': tensorzero::x"
BY_VARIANT = "SELECT * FROM {kind}MetricFeedbackByVariant WHERE id_uint = toUInt128({{id:UUID}})"


def test_a_boolean_metric_reaches_every_table(api: Api) -> None:
    """At once after the answer, though the inference is not in the database yet."""
    target = inference(api)
    id_ = given(
        api,
        metric_name="solved",
        value=True,
        inference_id=target["inference_id"],
        tags={"author": "ann"},
    )
    assert row(api, "BooleanMetricFeedback", id_) == {
        "target_id": target["inference_id"],
        "metric_name": "solved",
        "value": True,
        "tags": {"author": "ann"},
    }
    assert row(api, "BooleanMetricFeedbackByTargetId", id_)["value"] is True
    tag = asked(api, "SELECT * FROM FeedbackTag WHERE feedback_id = {id:UUID}", id=id_)[0]
    assert (tag["metric_name"], tag["key"], tag["value"]) == ("solved", "author", "ann")
    by_variant = asked(api, BY_VARIANT.format(kind="Boolean"), id=id_)
    assert [(r["function_name"], r["variant_name"]) for r in by_variant] == [("two", "a")]


def test_statistics_by_variant(api: Api) -> None:
    for value in (1, 2.5):
        target = inference(api, variant_name="b")
        id_ = given(api, metric_name="rating", value=value, inference_id=target["inference_id"])
        assert row(api, "FloatMetricFeedback", id_)["value"] == value
        assert asked(api, BY_VARIANT.format(kind="Float"), id=id_)[0]["variant_name"] == "b"
    found = api.sql(
        "SELECT sum(count) AS n, avgMerge(feedback_mean) AS mean FROM FeedbackByVariantStatistics "
        "WHERE function_name = 'two' AND variant_name = 'b' AND metric_name = 'rating'"
    )[0]
    assert (int(found["n"]), found["mean"]) == (2, 1.75)


def test_an_episode_counts_where_it_used_one_variant(api: Api) -> None:
    one = inference(api)
    inference(api, episode_id=one["episode_id"])
    both = inference(api)
    inference(api, episode_id=both["episode_id"], variant_name="b")
    kept = given(api, metric_name="won", value=False, episode_id=one["episode_id"])
    left_out = given(api, metric_name="cost", value=3, episode_id=both["episode_id"])
    assert row(api, "BooleanMetricFeedback", kept)["target_id"] == one["episode_id"]
    assert row(api, "FloatMetricFeedback", left_out)["target_id"] == both["episode_id"]
    by_variant = asked(api, BY_VARIANT.format(kind="Boolean"), id=kept)
    assert [(r["variant_name"], r["value"]) for r in by_variant] == [("a", False)]
    assert api.sql(BY_VARIANT.format(kind="Float"), id=left_out) == []


@pytest.mark.parametrize("level", ["inference", "episode"])
def test_comments(api: Api, level: str) -> None:
    target = inference(api)[f"{level}_id"]
    id_ = given(api, metric_name="comment", value="", tags={"k": "v"}, **{f"{level}_id": target})
    assert row(api, "CommentFeedback", id_) == {
        "target_id": target,
        "target_type": level,
        "value": "",
        "tags": {"k": "v"},
    }
    tag = asked(api, "SELECT * FROM FeedbackTag WHERE feedback_id = {id:UUID}", id=id_)[0]
    assert tag["metric_name"] == "comment"


def test_an_evaluators_metric_is_configured(api: Api) -> None:
    name = "tensorzero::evaluation_name::quality::evaluator_name::same"
    target = inference(api)["inference_id"]
    id_ = given(api, metric_name=name, value=True, inference_id=target)
    assert row(api, "BooleanMetricFeedback", id_)["metric_name"] == name


def test_internal_feedback_has_reserved_tags(api: Api) -> None:
    target = inference(api)["inference_id"]
    fields = {"metric_name": "solved", "value": True, "inference_id": target, "episode_id": None}
    id_ = given(api, **fields, internal=True, tags={"tensorzero::x": "1"}, dryrun=None)
    assert row(api, "BooleanMetricFeedback", id_)["tags"] == {
        "tensorzero::x": "1",
        "tensorzero::internal": "true",
    }
    plain = given(api, **fields, internal=None, tags=None)
    assert row(api, "BooleanMetricFeedback", plain)["tags"] == {}


SOLVED = {"metric_name": "solved", "value": True}
BOTH = {"inference_id": OLD, "episode_id": OLD}
HUMAN = {"tensorzero::datapoint_id": OLD, "tensorzero::human_feedback": "true"}
LEVEL = 'Correct ID was not provided for feedback level "{}".'


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"metric_name": "solved", "inference_id": OLD}, 400, "missing field `value`"),
        ({"value": True, "inference_id": OLD}, 400, "missing field `metric_name`"),
        (SOLVED | {"more": 1, "tags": {"tensorzero::x": ""}}, 400, "unknown field `more`"),
        (SOLVED | {"inference_id": "x"}, 400, "inference_id: UUID parsing failed"),
        (SOLVED | {"tags": {"a": 1}}, 400, "tags.a: invalid type: integer `1`"),
        (SOLVED | BOTH | {"tags": {"tensorzero::x": "1"}}, 400, RESERVED),
        (
            SOLVED | BOTH | {"tags": HUMAN, "internal": True},
            400,
            "tensorzero::evaluator_inference_id is required when tensorzero::datapoint_id and "
            "tensorzero::human_feedback are provided",
        ),
        (
            BOTH | {"metric_name": "nobody", "value": 1},
            400,
            "Both episode_id and inference_id cannot be provided",
        ),
        ({"metric_name": "nobody", "value": 1}, 404, "Unknown metric: nobody"),
        (
            {"metric_name": "comment", "value": 1},
            400,
            "Exactly one of inference_id or episode_id must be provided",
        ),
        (SOLVED | {"episode_id": OLD}, 400, LEVEL.format("inference")),
        (SOLVED, 400, LEVEL.format("inference")),
        ({"metric_name": "won", "value": 1, "inference_id": OLD}, 400, LEVEL.format("episode")),
        (
            {"metric_name": "demonstration", "value": "x", "episode_id": OLD},
            400,
            LEVEL.format("inference"),
        ),
    ],
)
def test_refused_in_the_contracts_order(
    api: Api, fields: dict[str, Any], status: int, message: str
) -> None:
    refused(api, status, message, **fields)


def test_bodies_that_are_no_object(api: Api) -> None:
    for body in (b"", b"[]", b"{", b'{"metric_name":"solved","value":1e999}', b'"\xff"'):
        answer = api.client.post(f"{api.url}/feedback", content=body)
        assert answer.status_code == 400, (body, answer.text)


@pytest.mark.parametrize(
    ("metric", "value", "message"),
    [
        ("rating", "5", "Feedback value for metric `rating` must be a number"),
        ("rating", True, "Feedback value for metric `rating` must be a number"),
        ("rating", None, "Feedback value for metric `rating` must be a number"),
        ("solved", 1, "Feedback value for metric `solved` must be a boolean"),
        ("solved", None, "Feedback value for metric `solved` must be a boolean"),
        ("comment", 1, "Feedback value for a comment must be a string"),
        ("comment", None, "Feedback value for a comment must be a string"),
    ],
)
def test_values_that_do_not_fit(api: Api, metric: str, value: Any, message: str) -> None:
    target = inference(api)["inference_id"]
    refused(api, 400, message, metric_name=metric, value=value, inference_id=target)


def workflow_episode(api: Api) -> str:
    run = api.client.post(f"{api.url}/workflow_evaluation_run", json={"variants": {}}).json()
    path = f"{api.url}/workflow_evaluation_run/{run['run_id']}/episode"
    return str(api.client.post(path, json={}).json()["episode_id"])


def test_targets_that_do_not_exist(api: Api) -> None:
    """An old id is looked for at once and a second later, a fresh one until its row would be
    there. A value that does not fit is not looked at before."""
    target = inference(api)
    workflow = workflow_episode(api)
    inference_id, episode_id = target["inference_id"], target["episode_id"]
    cases: list[tuple[float, dict[str, str]]] = [
        (1.0, {"metric_name": "solved", "inference_id": OLD}),
        (1.0, {"metric_name": "won", "episode_id": OLD}),
        (1.0, {"metric_name": "demonstration", "inference_id": OLD}),
        (5.9, {"metric_name": "comment", "inference_id": uuid7()}),
        (5.0, {"metric_name": "won", "episode_id": workflow}),
        # An inference is no episode, and an episode no inference.
        (5.0, {"metric_name": "solved", "inference_id": episode_id}),
        (5.0, {"metric_name": "won", "episode_id": inference_id}),
    ]

    def ask(case: tuple[float, dict[str, str]]) -> None:
        began = time.monotonic()
        id_ = case[1].get("inference_id") or case[1]["episode_id"]
        level = "Inference" if "inference_id" in case[1] else "Episode"
        refused(api, 400, f"{level} ID: {id_} does not exist", value=1, dryrun=True, **case[1])
        assert time.monotonic() - began >= case[0]

    with ThreadPoolExecutor(len(cases)) as clients:
        assert len(list(clients.map(ask, cases))) == len(cases)


def test_ids_without_a_time(api: Api) -> None:
    version4 = str(uuid4())
    message = f"Failed to parse UUID as v7: {version4}"
    for metric in ("solved", "comment", "demonstration"):
        refused(api, 400, message, metric_name=metric, value=True, inference_id=version4)


def test_dryrun_stores_and_counts_nothing(api: Api) -> None:
    name = 'tensorzero_requests_total{endpoint="feedback",metric_name="cost"}'

    def counted() -> int:
        lines = api.client.get(f"{api.url}/metrics").text.splitlines()
        return sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    before = counted()
    target = inference(api)["episode_id"]
    dry = given(api, metric_name="cost", value=1, episode_id=target, dryrun=True)
    assert counted() == before
    refused(api, 400, "must be a number", metric_name="cost", value="", episode_id=target)
    wet = given(api, metric_name="cost", value=1, episode_id=target)
    assert counted() == before + 2
    row(api, "FloatMetricFeedback", wet)
    rows = api.sql("SELECT id FROM FloatMetricFeedback WHERE id = {id:UUID}", id=dry)
    assert rows == []


def test_without_recording_there_is_no_feedback(silent: Api) -> None:
    answer = feedback(silent, **SOLVED, inference_id=OLD)
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "Feedback requires observability to be enabled "
        "(`gateway.observability.enabled` must not be `false`)."
    )
    answer = feedback(silent, **SOLVED, tags={"tensorzero::x": "1"})
    assert answer.json()["error"] == RESERVED


def test_a_workflow_episode_takes_feedback_after_its_first_inference(api: Api) -> None:
    """Its id lies far in the future, which makes nobody wait."""
    episode = workflow_episode(api)
    inference(api, episode_id=episode)
    id_ = given(api, metric_name="won", value=True, episode_id=episode)
    assert asked(api, BY_VARIANT.format(kind="Boolean"), id=id_)[0]["variant_name"] == "a"


EVALUATOR = "tensorzero::evaluator_inference_id"
STATIC = "SELECT * FROM StaticEvaluationHumanFeedback WHERE feedback_id = {id:UUID}"


def test_human_feedback_is_kept_for_evaluations(api: Api) -> None:
    tags = HUMAN | {EVALUATOR: OLD}
    for known in (False, True):
        target = inference(api)["inference_id"]
        if known:
            api.row(target)
        fields = {"metric_name": "rating", "value": 0.5, "inference_id": target, "internal": True}
        id_ = given(api, **fields, tags=tags)
        assert row(api, "FloatMetricFeedback", id_)["tags"][EVALUATOR] == OLD
        found = asked(api, STATIC, id=id_)[0]
        output = api.sql("SELECT output FROM ChatInference WHERE id = {id:UUID}", id=target)
        assert found["output"] == output[0]["output"]
        assert (found["metric_name"], found["value"]) == ("rating", "0.5")
        assert (found["datapoint_id"], found["evaluator_inference_id"]) == (OLD, OLD)
    for key, kind in (
        (EVALUATOR, "evaluator_inference"),
        ("tensorzero::datapoint_id", "datapoint"),
    ):
        refused(api, 400, f"Invalid {kind} ID: Invalid UUID: ", **fields, tags=tags | {key: "x"})
    episode = inference(api)["episode_id"]
    id_ = given(api, metric_name="won", value=True, episode_id=episode, internal=True, tags=tags)
    comment = given(
        api, metric_name="comment", value="c", episode_id=episode, internal=True, tags=tags
    )
    row(api, "BooleanMetricFeedback", id_)
    row(api, "CommentFeedback", comment)
    assert api.sql(STATIC, id=id_) == api.sql(STATIC, id=comment) == []


NASTY = [
    "'; DROP TABLE FloatMetricFeedback; --",
    '"}\n{"id":"x"}',
    "\\' OR 1=1 /* \\\\ */",
    "\0\x01\t\r\n\u2028`{id:UUID}`",
    "NULL",
    "\\N",
]


@pytest.mark.parametrize("nasty", NASTY)
def test_no_text_reaches_sql_but_as_a_value(api: Api, nasty: str) -> None:
    target = inference(api)["inference_id"]
    tags = {nasty: nasty, "plain": nasty}
    comment = given(api, metric_name="comment", value=nasty, inference_id=target, tags=tags)
    demonstration = given(
        api, metric_name="demonstration", value=nasty, inference_id=target, tags=tags
    )
    found = row(api, "CommentFeedback", comment)
    assert (found["value"], found["tags"]) == (nasty, tags)
    found = row(api, "DemonstrationFeedback", demonstration)
    assert json.loads(found["value"]) == [{"type": "text", "text": nasty}]
    assert found["tags"] == tags
    for field in ("inference_id", "episode_id"):
        refused(api, 400, "UUID parsing failed", metric_name="comment", value="", **{field: nasty})
    refused(api, 404, "Unknown metric: ", metric_name=nasty, value=1, inference_id=target)
    refused(api, 400, "unknown field", **SOLVED, inference_id=target, **{nasty: 1})
    fields = SOLVED | {"inference_id": target, "internal": True}
    for key in (EVALUATOR, "tensorzero::datapoint_id"):
        broken = HUMAN | {EVALUATOR: OLD} | {key: nasty}
        refused(api, 400, "Invalid UUID: ", **fields, tags=broken)


def test_a_model_name_that_is_all_quotes(api: Api) -> None:
    """The target's own columns are bound too."""
    model = "dummy::text?text='\\\"--"
    answer = inference(api, function_name=None, variant_name=None, model_name=model)
    target = answer["inference_id"]
    api.row(target)
    id_ = given(api, metric_name="demonstration", value="x", inference_id=target)
    assert row(api, "DemonstrationFeedback", id_)["inference_id"] == target
    assert answer["variant_name"] == model


def test_an_id_inside_of_a_row_is_no_target(api: Api) -> None:
    spoof = f'","episode_id":"{OLD}","id":"{OLD}"'
    inference(api, input=user(text(spoof)), tags={"id": OLD, "episode_id": OLD})
    refused(api, 400, "does not exist", metric_name="comment", value="", inference_id=OLD)
