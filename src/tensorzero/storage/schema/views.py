"""The 30 materialized views (data-model 5), in their form for a fresh database.

Within a view's query its source table means *the inserted block*, wherever the name stands,
subqueries included; every other table is read as a whole, so the queries filter it by the
block's keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tensorzero.storage.schema.model import View
from tensorzero.storage.schema.tables import QUANTILES

UINT_TO_UUID_BODY: Final = (
    "(x) -> reinterpretAsUUID(concat(substring(reinterpretAsString(x), 9, 8), "
    "substring(reinterpretAsString(x), 1, 8)))"
)

# Workflow-evaluation episodes carry ids 10^10 s in the future; the episode list leaves them out.
_FUTURE_EPISODES = "toUInt128(toUUID('09184e72-a000-7000-8000-000000000000'))"

_KINDS: Final = (("Chat", "chat"), ("Json", "json"))


def _inference_views() -> Iterable[View]:
    for kind, literal in _KINDS:
        source = f"{kind}Inference"
        yield View(
            f"{kind}InferenceByIdView",
            source,
            "InferenceById",
            f"SELECT toUInt128(id) AS id_uint, function_name, variant_name, episode_id, "
            f"'{literal}' AS function_type, snapshot_hash FROM {source}",
        )
        yield View(
            f"{kind}InferenceByEpisodeIdView",
            source,
            "InferenceByEpisodeId",
            f"SELECT toUInt128(episode_id) AS episode_id_uint, toUInt128(id) AS id_uint, "
            f"function_name, variant_name, '{literal}' AS function_type, snapshot_hash "
            f"FROM {source}",
        )
        yield View(
            f"EpisodeById{kind}View",
            source,
            "EpisodeById",
            "SELECT toUInt128(episode_id) AS episode_id_uint, 1 AS count, "
            "groupArrayState(id) AS inference_ids, "
            "toUInt128(min(id)) AS min_inference_id_uint, "
            "toUInt128(max(id)) AS max_inference_id_uint "
            f"FROM {source} WHERE toUInt128(episode_id) < {_FUTURE_EPISODES} "
            "GROUP BY toUInt128(episode_id)",
        )
        yield View(
            f"{kind}InferenceTagView",
            source,
            "InferenceTag",
            "SELECT function_name, key, tags[key] AS value, id AS inference_id, snapshot_hash "
            f"FROM {source} ARRAY JOIN mapKeys(tags) AS key",
        )
        yield View(
            f"Tag{kind}InferenceView",
            source,
            "TagInference",
            "SELECT key, tags[key] AS value, function_name, variant_name, episode_id, "
            f"id AS inference_id, '{literal}' AS function_type, snapshot_hash "
            f"FROM {source} ARRAY JOIN mapKeys(tags) AS key",
        )


def _feedback_views() -> Iterable[View]:
    copies = (
        ("BooleanMetricFeedback", "TargetId", "id, target_id, metric_name, value, tags"),
        ("FloatMetricFeedback", "TargetId", "id, target_id, metric_name, value, tags"),
        ("CommentFeedback", "TargetId", "id, target_id, target_type, value, tags"),
        ("DemonstrationFeedback", "InferenceId", "id, inference_id, value, tags"),
    )
    for source, by, columns in copies:
        yield View(
            f"{source}By{by}View",
            source,
            f"{source}By{by}",
            f"SELECT {columns}, snapshot_hash FROM {source}",
        )
    names = (
        ("BooleanMetricFeedback", "metric_name"),
        ("FloatMetricFeedback", "metric_name"),
        ("CommentFeedback", "'comment' AS metric_name"),
        ("DemonstrationFeedback", "'demonstration' AS metric_name"),
    )
    for source, metric in names:
        yield View(
            f"{source}TagView",
            source,
            "FeedbackTag",
            f"SELECT {metric}, key, tags[key] AS value, id AS feedback_id, snapshot_hash "
            f"FROM {source} ARRAY JOIN mapKeys(tags) AS key",
        )
    for kind, value in (("Boolean", "toFloat32(value)"), ("Float", "value")):
        source = f"{kind}MetricFeedback"
        yield View(
            f"{source}ByVariantView", source, f"{source}ByVariant", _by_variant_query(source)
        )
        minute = "toStartOfMinute(UUIDv7ToDateTime(uint_to_uuid(id_uint)))"
        yield View(
            f"{source}ByVariantStatisticsView",
            f"{source}ByVariant",
            "FeedbackByVariantStatistics",
            f"SELECT function_name, variant_name, metric_name, {minute} AS minute, "
            f"avgState({value}) AS feedback_mean, "
            f"varSampStableState({value}) AS feedback_variance, count() AS count "
            f"FROM {source}ByVariant GROUP BY function_name, metric_name, variant_name, minute",
        )


def _by_variant_query(source: str) -> str:
    """Feedback joined with its target: an inference, or an episode with one variant so far."""
    return (
        "SELECT target.target_function AS function_name, "
        "target.target_variant AS variant_name, "
        "feedback.metric_name AS metric_name, toUInt128(feedback.id) AS id_uint, "
        "toUInt128(feedback.target_id) AS target_id_uint, feedback.value AS value, "
        "feedback.tags AS feedback_tags, feedback.snapshot_hash AS snapshot_hash "
        f"FROM {source} AS feedback INNER JOIN ("
        "SELECT id_uint AS target_uint, any(function_name) AS target_function, "
        "any(variant_name) AS target_variant FROM InferenceById "
        f"WHERE id_uint IN (SELECT toUInt128(target_id) FROM {source}) GROUP BY id_uint "
        "UNION ALL "
        "SELECT episode_id_uint AS target_uint, function_name AS target_function, "
        "any(variant_name) AS target_variant FROM InferenceByEpisodeId "
        f"WHERE episode_id_uint IN (SELECT toUInt128(target_id) FROM {source}) "
        "GROUP BY episode_id_uint, function_name HAVING uniqExact(variant_name) = 1"
        ") AS target ON target.target_uint = toUInt128(feedback.target_id)"
    )


STATISTICS_COLUMNS: Final[Mapping[str, str]] = {
    "total_input_tokens": "sumState({input_tokens})",
    "total_output_tokens": "sumState({output_tokens})",
    "total_cost": "sumState({cost})",
    "total_provider_cache_read_input_tokens": "sumState({provider_cache_read_input_tokens})",
    "total_provider_cache_write_input_tokens": "sumState({provider_cache_write_input_tokens})",
    "count_with_cost": "countState({cost})",
}
"""Statistics over ``ModelInference``: target column → state of one source column."""


def provider_statistics_query(
    columns: Iterable[str], masked: str | None = None, since: str | None = None
) -> str:
    """Query of ``ModelProviderStatisticsView`` for those of STATISTICS_COLUMNS that exist.

    Column ``masked`` leaves out rows before ``since`` (an SQL date-time expression): an upgrade
    step fills it for the time before.
    """
    parts = []
    for target in columns:
        template = STATISTICS_COLUMNS[target]
        source = template[template.index("{") + 1 : template.index("}")]
        value = f"if(timestamp >= {since}, {source}, NULL)" if target == masked else source
        parts.append(template.format_map({source: value}) + f" AS {target}")
    return (
        "SELECT model_name, model_provider_name, toStartOfMinute(timestamp) AS minute, "
        f"quantilesTDigestState({QUANTILES})(response_time_ms) AS response_time_ms_quantiles, "
        f"quantilesTDigestState({QUANTILES})(ttft_ms) AS ttft_ms_quantiles, "
        + ", ".join(parts)
        + ", countState() AS count FROM ModelInference "
        "GROUP BY model_name, model_provider_name, minute"
    )


def _statistics_views() -> Iterable[View]:
    yield View(
        "ModelProviderStatisticsView",
        "ModelInference",
        "ModelProviderStatistics",
        provider_statistics_query(STATISTICS_COLUMNS),
    )
    sums = ", ".join(
        template.replace("{", "").replace("}", "") + f" AS {target}"
        for target, template in STATISTICS_COLUMNS.items()
    )
    yield View(
        "VariantStatisticsModelView",
        "ModelInference",
        "VariantStatistics",
        "SELECT function_name, variant_name, toStartOfMinute(timestamp) AS minute, "
        f"{sums} FROM ModelInference WHERE function_name != '' "
        "GROUP BY function_name, variant_name, minute",
    )
    for kind, _ in _KINDS:
        yield View(
            f"VariantStatistics{kind}View",
            f"{kind}Inference",
            "VariantStatistics",
            "SELECT function_name, variant_name, toStartOfMinute(timestamp) AS minute, "
            f"quantilesTDigestState({QUANTILES})(processing_time_ms) "
            "AS processing_time_ms_quantiles, "
            f"quantilesTDigestState({QUANTILES})(ttft_ms) AS ttft_ms_quantiles, "
            f"countState() AS count FROM {kind}Inference "
            "GROUP BY function_name, variant_name, minute",
        )
    yield View(
        "CumulativeUsageView",
        "ModelInference",
        "CumulativeUsage",
        "SELECT usage.1 AS type, usage.2 AS count FROM ("
        "SELECT arrayJoin([('input_tokens', toUInt64(ifNull(input_tokens, 0))), "
        "('output_tokens', toUInt64(ifNull(output_tokens, 0))), "
        "('model_inferences', toUInt64(1))]) AS usage "
        "FROM ModelInference WHERE input_tokens IS NOT NULL)",
    )


def _workflow_and_batch_views() -> Iterable[View]:
    yield View(
        "DynamicEvaluationRunByProjectNameView",
        "DynamicEvaluationRun",
        "DynamicEvaluationRunByProjectName",
        "SELECT run_id_uint, variant_pins, tags, assumeNotNull(project_name) AS project_name, "
        "run_display_name, is_deleted, updated_at, snapshot_hash FROM DynamicEvaluationRun "
        "WHERE DynamicEvaluationRun.project_name IS NOT NULL",
    )
    yield View(
        "DynamicEvaluationRunEpisodeByRunIdView",
        "DynamicEvaluationRunEpisode",
        "DynamicEvaluationRunEpisodeByRunId",
        "SELECT toUInt128(run_id) AS run_id_uint, episode_id_uint, variant_pins, tags, "
        "datapoint_name, is_deleted, updated_at, snapshot_hash FROM DynamicEvaluationRunEpisode",
    )
    yield View(
        "BatchIdByInferenceIdView",
        "BatchModelInference",
        "BatchIdByInferenceId",
        "SELECT inference_id, batch_id FROM BatchModelInference",
    )


VIEWS: Final[tuple[View, ...]] = (
    *_inference_views(),
    *_feedback_views(),
    *_statistics_views(),
    *_workflow_and_batch_views(),
)
VIEWS_BY_NAME: Final[dict[str, View]] = {view.name: view for view in VIEWS}
