"""Queries that fill columns and tables added to a database that already has rows."""

from __future__ import annotations

from typing import Final


def statistics_backfill(target: str, template: str, since: str) -> str:
    """Fill one column of ModelProviderStatistics from all rows before ``since``."""
    state = template.replace("{", "").replace("}", "")
    return (
        f"INSERT INTO ModelProviderStatistics (model_name, model_provider_name, minute, {target}) "
        f"SELECT model_name, model_provider_name, toStartOfMinute(timestamp) AS minute, "
        f"{state} AS {target} FROM ModelInference WHERE timestamp < {since} "
        "AND cost IS NOT NULL GROUP BY model_name, model_provider_name, minute"
    )


_TAGGED: Final = (
    "SELECT inference_id, any(function_name) AS function, any(variant_name) AS variant, "
    "anyIf(value, key = 'tensorzero::evaluation_run_id') AS run, "
    "anyIf(value, key = 'tensorzero::evaluation_name') AS evaluation, "
    "anyIf(value, key = 'tensorzero::dataset_name') AS dataset, "
    "any(snapshot_hash) AS hash "
    "FROM TagInference WHERE key IN ('tensorzero::evaluation_run_id', "
    "'tensorzero::evaluation_name', 'tensorzero::dataset_name') "
    "AND NOT startsWith(function_name, 'tensorzero::') "
    "GROUP BY inference_id "
    "HAVING toUUIDOrNull(run) IS NOT NULL AND evaluation != '' AND dataset != ''"
)
"""Inferences of evaluation runs, one row each, with the three tags side by side."""

_JSON_INFERENCES: Final = (
    "SELECT id FROM JsonInference WHERE id IN (SELECT inference_id FROM TagInference "
    "WHERE key = 'tensorzero::evaluation_run_id')"
)

_METRICS: Final = (
    "SELECT target_id, metric_name, 'boolean' AS value_type FROM BooleanMetricFeedback "
    "UNION ALL SELECT target_id, metric_name, 'float' AS value_type FROM FloatMetricFeedback"
)

_EVALUATOR: Final = "'::evaluator_name::'"

_METRIC_JSON: Final = (
    "concat('{\"name\":', toJSONString(m.1), ',\"evaluator_name\":', "
    f"if(position(m.1, {_EVALUATOR}) > 0, "
    f"toJSONString(substring(m.1, position(m.1, {_EVALUATOR}) + length({_EVALUATOR}))), 'null'), "
    '\',"value_type":"\', m.2, \'","optimize":null}\')'
)

FILL_EVALUATION_RUNS: Final = (
    "INSERT INTO InferenceEvaluationRuns (run_id_uint, evaluation_name, function_name, "
    "function_type, dataset_name, variant_names, metrics, source, snapshot_hash, "
    "created_at, updated_at) "
    "SELECT toUInt128(toUUID(runs.run)) AS run_id_uint, runs.evaluation_name, "
    "runs.function_name, if(runs.is_json, 'json', 'chat'), runs.dataset_name, "
    "runs.variant_names, "
    f"concat('[', arrayStringConcat(arrayMap(m -> {_METRIC_JSON}, metrics.names), ','), ']'), "
    "'dataset_name', runs.hash, runs.created_at, now64(3) "
    "FROM (SELECT run, any(evaluation) AS evaluation_name, any(function) AS function_name, "
    f"max(inference_id IN ({_JSON_INFERENCES})) AS is_json, any(dataset) AS dataset_name, "
    "arraySort(groupUniqArray(toString(variant))) AS variant_names, "
    "lower(hex(any(hash))) AS hash, "
    "UUIDv7ToDateTime(uint_to_uuid(min(toUInt128(inference_id)))) AS created_at "
    f"FROM ({_TAGGED}) GROUP BY run) AS runs "
    "LEFT JOIN (SELECT tagged.run AS run, "
    "arraySort(groupUniqArray((toString(feedback.metric_name), feedback.value_type))) AS names "
    f"FROM ({_METRICS}) AS feedback INNER JOIN ({_TAGGED}) AS tagged "
    "ON feedback.target_id = tagged.inference_id GROUP BY tagged.run) AS metrics "
    "ON metrics.run = runs.run "
    "WHERE toUInt128(toUUID(runs.run)) NOT IN (SELECT run_id_uint FROM InferenceEvaluationRuns) "
    "SETTINGS output_format_json_escape_forward_slashes = 0"
)
"""One row per evaluation run found in the tags (steps 49 and 50 in one go)."""

CORRECT_FUNCTION_TYPES: Final = (
    "INSERT INTO InferenceEvaluationRuns "
    "SELECT * REPLACE('json' AS function_type, now64(3) AS updated_at) FROM ("
    "SELECT * FROM InferenceEvaluationRuns FINAL WHERE function_type = 'chat' AND run_id_uint IN ("
    "SELECT toUInt128(toUUID(value)) FROM TagInference "
    "WHERE key = 'tensorzero::evaluation_run_id' AND toUUIDOrNull(value) IS NOT NULL "
    f"AND inference_id IN ({_JSON_INFERENCES}) "
    "AND NOT startsWith(function_name, 'tensorzero::')))"
)
"""Step 50: runs of json functions that step 49 called ``chat`` get a newer row."""
