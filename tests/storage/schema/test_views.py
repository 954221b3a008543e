"""What one row in a source table adds to the tables behind it (data-model 5, 7.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from databases import drop_everything, insert, uuid7

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.schema.migrations import migrate
from tensorzero.storage.schema.tables import QUANTILES

HASH = str(2**255 + 12345)
FUTURE = 10**13  # ms: workflow-evaluation episodes


@pytest.fixture(scope="module")
def complete(engine: EmbeddedDatabase) -> Iterator[EmbeddedDatabase]:
    drop_everything(engine)
    migrate(engine, version="1", embedded=True)
    yield engine


@pytest.fixture
def db(complete: EmbeddedDatabase) -> EmbeddedDatabase:
    for row in complete.query_json(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND engine LIKE '%MergeTree'"
    ):
        complete.command(f"TRUNCATE TABLE {row['name']}")
    return complete


def _chat(id_: UUID, episode: UUID, **more: Any) -> dict[str, Any]:
    return {
        "id": str(id_),
        "function_name": "support",
        "variant_name": "mini",
        "episode_id": str(episode),
        "input": "{}",
        "output": "[]",
        "tool_params": "",
        "inference_params": "{}",
        "processing_time_ms": 812,
        "tags": {"user_id": "7"},
        "extra_body": "[]",
        "snapshot_hash": HASH,
        **more,
    }


def _json(id_: UUID, episode: UUID, **more: Any) -> dict[str, Any]:
    row = _chat(id_, episode, **more)
    del row["tool_params"]
    return {**row, "output_schema": "{}", "auxiliary_content": "[]"}


def _model(inference: UUID, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "inference_id": str(inference),
        "raw_request": "",
        "raw_response": "",
        "model_name": "gpt",
        "model_provider_name": "openai",
        "input_tokens": 61,
        "output_tokens": 17,
        "response_time_ms": 790,
        "input_messages": "[]",
        "output": "[]",
        "cost": 0.00004925,
        "function_name": "support",
        "variant_name": "mini",
        "snapshot_hash": HASH,
        **more,
    }


@pytest.mark.parametrize(
    ("table", "kind", "row"),
    [
        ("ChatInference", "chat", _chat),
        ("JsonInference", "json", _json),
    ],
)
def test_an_inference(db: EmbeddedDatabase, table: str, kind: str, row: Any) -> None:
    id_, episode = uuid7(), uuid7()
    insert(db, table, row(id_, episode))
    assert db.query_json("SELECT * FROM InferenceById") == [
        {
            "id_uint": str(id_.int),
            "function_name": "support",
            "variant_name": "mini",
            "episode_id": str(episode),
            "function_type": kind,
            "snapshot_hash": HASH,
        }
    ]
    assert db.query_json("SELECT * FROM InferenceByEpisodeId") == [
        {
            "episode_id_uint": str(episode.int),
            "id_uint": str(id_.int),
            "function_name": "support",
            "variant_name": "mini",
            "function_type": kind,
            "snapshot_hash": HASH,
        }
    ]
    assert db.query_json(
        "SELECT episode_id_uint, sum(count) AS count, groupArrayMerge(inference_ids) AS ids, "
        "min(min_inference_id_uint) AS first FROM EpisodeById GROUP BY episode_id_uint"
    ) == [
        {
            "episode_id_uint": str(episode.int),
            "count": "1",
            "ids": [str(id_)],
            "first": str(id_.int),
        }
    ]
    assert db.query_json("SELECT * FROM InferenceTag") == [
        {
            "function_name": "support",
            "key": "user_id",
            "value": "7",
            "inference_id": str(id_),
            "snapshot_hash": HASH,
        }
    ]
    assert db.query_json("SELECT * EXCEPT updated_at FROM TagInference") == [
        {
            "key": "user_id",
            "value": "7",
            "function_name": "support",
            "variant_name": "mini",
            "episode_id": str(episode),
            "inference_id": str(id_),
            "function_type": kind,
            "is_deleted": False,
            "snapshot_hash": HASH,
        }
    ]
    assert db.query_json(f"SELECT toUnixTimestamp(timestamp) * 1000 AS t FROM {table}") == [
        {"t": str((id_.int >> 80) // 1000 * 1000)}
    ]


def test_workflow_evaluation_episodes_are_not_listed(db: EmbeddedDatabase) -> None:
    episode = uuid7(FUTURE + 10)
    insert(db, "ChatInference", _chat(uuid7(), episode))
    assert db.command("SELECT count() FROM EpisodeById").strip() == "0"
    assert db.command("SELECT count() FROM InferenceByEpisodeId").strip() == "1"


def test_statistics(db: EmbeddedDatabase) -> None:
    inference = uuid7()
    insert(db, "ChatInference", _chat(inference, uuid7(), ttft_ms=100))
    insert(
        db,
        "ModelInference",
        _model(inference, provider_cache_read_input_tokens=5),
        _model(inference, cost=None, input_tokens=None),
    )
    merged = (
        "sumMerge(total_input_tokens) AS input, sumMerge(total_output_tokens) AS output, "
        "countMerge(count) AS count, sumMerge(total_cost) AS cost, "
        "countMerge(count_with_cost) AS with_cost, "
        "sumMerge(total_provider_cache_read_input_tokens) AS cached"
    )
    expected = {
        "input": "61",
        "output": "34",
        "cost": 0.00004925,
        "with_cost": "1",
        "cached": "5",
    }
    provider = db.query_json(
        f"SELECT model_name, model_provider_name, {merged}, "
        f"quantilesTDigestMerge({QUANTILES})(response_time_ms_quantiles)[1] AS q "
        "FROM ModelProviderStatistics GROUP BY ALL"
    )
    assert provider == [
        {"model_name": "gpt", "model_provider_name": "openai", **expected, "count": "2", "q": 790}
    ]
    variant = db.query_json(
        f"SELECT function_name, variant_name, {merged}, "
        f"quantilesTDigestMerge({QUANTILES})(processing_time_ms_quantiles)[1] AS q "
        "FROM VariantStatistics GROUP BY ALL"
    )
    assert variant == [
        {"function_name": "support", "variant_name": "mini", **expected, "count": "1", "q": 812}
    ]
    usage = db.query_json("SELECT type, count FROM CumulativeUsage FINAL ORDER BY type")
    assert usage == [
        {"type": "input_tokens", "count": "61"},
        {"type": "model_inferences", "count": "1"},
        {"type": "output_tokens", "count": "17"},
    ]


def _feedback(target: UUID, value: object, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "target_id": str(target),
        "metric_name": "solved",
        "value": value,
        "tags": {"author": "ann"},
        "snapshot_hash": HASH,
        **more,
    }


@pytest.mark.parametrize(("kind", "value"), [("Boolean", True), ("Float", 1.0)])
def test_metric_feedback_on_an_inference(db: EmbeddedDatabase, kind: str, value: object) -> None:
    inference, other = uuid7(), uuid7()
    insert(db, "ChatInference", _chat(inference, uuid7()), _chat(other, uuid7()))
    feedback = _feedback(inference, value)
    insert(db, f"{kind}MetricFeedback", feedback)
    assert db.query_json(f"SELECT * FROM {kind}MetricFeedbackByTargetId") == [feedback]
    assert db.query_json(f"SELECT * FROM {kind}MetricFeedbackByVariant") == [
        {
            "function_name": "support",
            "variant_name": "mini",
            "metric_name": "solved",
            "id_uint": str(UUID(feedback["id"]).int),
            "target_id_uint": str(inference.int),
            "value": value,
            "feedback_tags": {"author": "ann"},
            "snapshot_hash": HASH,
        }
    ]
    assert db.query_json(
        "SELECT function_name, variant_name, metric_name, avgMerge(feedback_mean) AS mean, "
        "sum(count) AS count FROM FeedbackByVariantStatistics GROUP BY ALL"
    ) == [
        {
            "function_name": "support",
            "variant_name": "mini",
            "metric_name": "solved",
            "mean": 1,
            "count": "1",
        }
    ]
    assert db.query_json("SELECT * FROM FeedbackTag") == [
        {
            "metric_name": "solved",
            "key": "author",
            "value": "ann",
            "feedback_id": feedback["id"],
            "snapshot_hash": HASH,
        }
    ]
    # A second piece of feedback joins its own block only, not the whole table again.
    insert(db, f"{kind}MetricFeedback", _feedback(other, value))
    assert db.command(f"SELECT count() FROM {kind}MetricFeedbackByVariant").strip() == "2"


def test_metric_feedback_on_episodes(db: EmbeddedDatabase) -> None:
    one, two, both = uuid7(), uuid7(), uuid7()
    insert(
        db,
        "ChatInference",
        _chat(uuid7(), one),
        _chat(uuid7(), one),
        _chat(uuid7(), two, variant_name="a"),
        _chat(uuid7(), two, variant_name="b"),
        _chat(uuid7(), both),
        _chat(uuid7(), both, function_name="other", variant_name="x"),
    )
    for episode in (one, two, both):
        insert(db, "BooleanMetricFeedback", _feedback(episode, True))
    rows = db.query_json(
        "SELECT target_id_uint AS t, function_name AS f, variant_name AS v "
        "FROM BooleanMetricFeedbackByVariant ORDER BY t, f"
    )
    assert rows == [
        {"t": str(one.int), "f": "support", "v": "mini"},
        {"t": str(both.int), "f": "other", "v": "x"},
        {"t": str(both.int), "f": "support", "v": "mini"},
    ]


def test_doubled_index_rows_do_not_double_feedback(db: EmbeddedDatabase) -> None:
    inference, episode = uuid7(), uuid7()
    for _ in range(2):
        insert(db, "ChatInference", _chat(inference, episode))
    insert(db, "BooleanMetricFeedback", _feedback(inference, True), _feedback(episode, False))
    assert db.command("SELECT count() FROM BooleanMetricFeedbackByVariant").strip() == "2"


def test_comments_and_demonstrations(db: EmbeddedDatabase) -> None:
    target = uuid7()
    comment = {
        "id": str(uuid7()),
        "target_id": str(target),
        "target_type": "episode",
        "value": "nice",
        "tags": {"k": "v"},
        "snapshot_hash": HASH,
    }
    insert(db, "CommentFeedback", comment)
    demonstration = {
        "id": str(uuid7()),
        "inference_id": str(target),
        "value": "[]",
        "tags": {"k": "w"},
        "snapshot_hash": HASH,
    }
    insert(db, "DemonstrationFeedback", demonstration)
    assert db.query_json("SELECT * FROM CommentFeedbackByTargetId") == [comment]
    assert db.query_json("SELECT * FROM DemonstrationFeedbackByInferenceId") == [demonstration]
    tags = db.query_json("SELECT metric_name AS m, value AS v FROM FeedbackTag ORDER BY m")
    assert tags == [{"m": "comment", "v": "v"}, {"m": "demonstration", "v": "w"}]


def test_workflow_runs_and_batches(db: EmbeddedDatabase) -> None:
    run, episode = uuid7(), uuid7(FUTURE)
    for project in ("bot", None):
        insert(
            db,
            "DynamicEvaluationRun",
            {"run_id_uint": str(run.int), "variant_pins": {"f": "v"}, "project_name": project},
        )
    rows = db.query_json("SELECT * EXCEPT updated_at FROM DynamicEvaluationRunByProjectName")
    assert len(rows) == 1
    assert (rows[0]["project_name"], rows[0]["variant_pins"]) == ("bot", {"f": "v"})
    insert(
        db,
        "DynamicEvaluationRunEpisode",
        {"run_id": str(run), "episode_id_uint": str(episode.int), "datapoint_name": "d"},
    )
    by_run = db.query_json("SELECT * FROM DynamicEvaluationRunEpisodeByRunId")
    assert (by_run[0]["run_id_uint"], by_run[0]["datapoint_name"]) == (str(run.int), "d")
    batch = {"inference_id": str(uuid7()), "batch_id": str(uuid7())}
    insert(db, "BatchModelInference", {**batch, "input": "{}"})
    assert db.query_json("SELECT * FROM BatchIdByInferenceId") == [batch]


def test_feedback_views_read_only_the_keys_they_need(db: EmbeddedDatabase) -> None:
    """Feedback on one inference must not scan the index of all inferences."""
    db.command(
        "INSERT INTO InferenceById SELECT number, 'f', 'v', generateUUIDv4(), 'chat', NULL "
        "FROM numbers(500000)"
    )
    with db.session() as session:
        session.insert(
            "INSERT INTO BooleanMetricFeedback",
            "JSONEachRow",
            b'{"id":"%s","target_id":"%s","metric_name":"m","value":true}'
            % (str(uuid7()).encode(), str(UUID(int=777)).encode()),
        )
    assert db.command("SELECT count() FROM BooleanMetricFeedbackByVariant").strip() == "1"
    plan = db.command(
        "EXPLAIN indexes = 1 SELECT any(variant_name) FROM InferenceById "
        "WHERE id_uint IN (SELECT toUInt128(target_id) FROM BooleanMetricFeedback)"
    )
    granules = [line for line in plan.splitlines() if "Granules" in line]
    assert granules
    read, total = map(int, granules[-1].split(":")[1].split("/"))
    assert read * 10 < total
