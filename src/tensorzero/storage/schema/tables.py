"""The 39 tables (data-model 4), in the order in which they are created."""

from __future__ import annotations

from typing import Final

from tensorzero.storage.schema.model import Column, Index, Table

_LC = "LowCardinality(String)"
_N32 = "Nullable(UInt32)"
_NSTR = "Nullable(String)"
_ID64 = "DateTime64(6, 'UTC')"
_MAP = "Map(String, String)"
_COST = "Nullable(Decimal(18, 9))"
_FUNCTION_TYPE = "Enum8('chat' = 1, 'json' = 2)"
_FINISH_REASON = (
    "Nullable(Enum8('stop' = 1, 'length' = 2, 'tool_call' = 3, "
    "'content_filter' = 4, 'unknown' = 5, 'stop_sequence' = 6))"
)


def _quantiles() -> str:
    """List Q of data-model 4.4: 70 values, dense at both ends."""
    values = ["0.001", "0.005"]
    values += [f"{n / 100:g}" for n in range(1, 11)]
    values += [f"{n / 100:g}" for n in range(12, 91, 2)]
    values += [f"{n / 100:g}" for n in range(91, 100)]
    values += [f"{n / 1000:g}" for n in range(991, 1000)]
    return ", ".join(values)


QUANTILES: Final = _quantiles()
_DIGEST = f"AggregateFunction(quantilesTDigest({QUANTILES}), {_N32})"

SNAPSHOT_HASH: Final = Column("snapshot_hash", "Nullable(UInt256)")
_TAGS = Column("tags", _MAP, "DEFAULT", "map()")
_IS_DELETED = Column("is_deleted", "Bool", "DEFAULT", "false")
_UPDATED_NOW64 = Column("updated_at", _ID64, "DEFAULT", "now64()")
_UPDATED_NOW = Column("updated_at", _ID64, "DEFAULT", "now()")
_ID_INDEX = Index("id_index", "id")
_INFERENCE_ID_INDEX = Index("inference_id_index", "id")
_TOOL_COLUMNS = (
    Column("dynamic_tools", "Array(String)"),
    Column("dynamic_provider_tools", "Array(String)"),
    Column("allowed_tools", _NSTR),
    Column("tool_choice", _NSTR),
    Column("parallel_tool_calls", "Nullable(Bool)"),
)


def _c(*names_and_types: str) -> tuple[Column, ...]:
    """Columns without defaults from ``name, type, name, type, …``."""
    pairs = zip(names_and_types[::2], names_and_types[1::2], strict=True)
    return tuple(Column(name, type_) for name, type_ in pairs)


def _timestamp(of: str) -> Column:
    return Column("timestamp", "DateTime", "MATERIALIZED", f"UUIDv7ToDateTime({of})")


_MIGRATION = Table(
    "TensorZeroMigration",
    (
        *_c("migration_id", "UInt32", "migration_name", "String"),
        *_c("gateway_version", "String", "gateway_git_sha", "String"),
        Column("applied_at", _ID64, "DEFAULT", "now()"),
        *_c("execution_time_ms", "UInt64", "extra_data", _NSTR),
    ),
    order_by="",
    primary_key="(migration_id)",
)

_INFERENCE = (
    Table(
        "ChatInference",
        (
            *_c("id", "UUID", "function_name", _LC, "variant_name", _LC, "episode_id", "UUID"),
            *_c("input", "String", "output", "String", "tool_params", "String"),
            *_c("inference_params", "String", "processing_time_ms", _N32),
            _timestamp("id"),
            _TAGS,
            *_c("extra_body", _NSTR, "ttft_ms", _N32),
            *_TOOL_COLUMNS,
            SNAPSHOT_HASH,
        ),
        order_by="(function_name, variant_name, episode_id)",
        indexes=(_INFERENCE_ID_INDEX,),
    ),
    Table(
        "JsonInference",
        (
            *_c("id", "UUID", "function_name", _LC, "variant_name", _LC, "episode_id", "UUID"),
            *_c("input", "String", "output", "String", "output_schema", "String"),
            *_c("inference_params", "String", "processing_time_ms", _N32),
            _timestamp("id"),
            _TAGS,
            *_c("extra_body", _NSTR, "auxiliary_content", "String", "ttft_ms", _N32),
            SNAPSHOT_HASH,
        ),
        order_by="(function_name, variant_name, episode_id)",
        indexes=(_INFERENCE_ID_INDEX,),
    ),
    Table(
        "ModelInference",
        (
            *_c("id", "UUID", "inference_id", "UUID", "raw_request", "String"),
            *_c("raw_response", "String", "model_name", _LC, "model_provider_name", _LC),
            *_c("input_tokens", _N32, "output_tokens", _N32),
            *_c("response_time_ms", _N32, "ttft_ms", _N32),
            _timestamp("id"),
            *_c("system", _NSTR, "input_messages", "String", "output", "String"),
            Column("cached", "Bool", "DEFAULT", "false"),
            Column("finish_reason", _FINISH_REASON),
            SNAPSHOT_HASH,
            Column("cost", _COST),
            *_c("provider_cache_read_input_tokens", _N32),
            *_c("provider_cache_write_input_tokens", _N32),
            Column("function_name", _LC, "DEFAULT", "''"),
            Column("variant_name", _LC, "DEFAULT", "''"),
        ),
        order_by="inference_id",
        indexes=(_ID_INDEX,),
    ),
    Table(
        "InferenceById",
        (
            *_c("id_uint", "UInt128", "function_name", _LC, "variant_name", _LC),
            *_c("episode_id", "UUID", "function_type", _FUNCTION_TYPE),
            SNAPSHOT_HASH,
        ),
        engine="ReplacingMergeTree",
        engine_arguments="id_uint",
        order_by="id_uint",
    ),
    Table(
        "InferenceByEpisodeId",
        (
            *_c("episode_id_uint", "UInt128", "id_uint", "UInt128"),
            *_c("function_name", _LC, "variant_name", _LC, "function_type", _FUNCTION_TYPE),
            SNAPSHOT_HASH,
        ),
        engine="ReplacingMergeTree",
        engine_arguments="id_uint",
        order_by="(episode_id_uint, id_uint)",
    ),
    Table(
        "EpisodeById",
        _c(
            *("episode_id_uint", "UInt128"),
            *("count", "SimpleAggregateFunction(sum, UInt64)"),
            *("inference_ids", "AggregateFunction(groupArray, UUID)"),
            *("min_inference_id_uint", "SimpleAggregateFunction(min, UInt128)"),
            *("max_inference_id_uint", "SimpleAggregateFunction(max, UInt128)"),
        ),
        engine="AggregatingMergeTree",
        order_by="episode_id_uint",
    ),
    Table(
        "InferenceTag",
        (
            *_c("function_name", _LC, "key", "String", "value", "String", "inference_id", "UUID"),
            SNAPSHOT_HASH,
        ),
        order_by="(function_name, key, value)",
    ),
    Table(
        "TagInference",
        (
            *_c("key", "String", "value", "String", "function_name", _LC, "variant_name", _LC),
            *_c("episode_id", "UUID", "inference_id", "UUID", "function_type", _FUNCTION_TYPE),
            _IS_DELETED,
            _UPDATED_NOW64,
            SNAPSHOT_HASH,
        ),
        engine="ReplacingMergeTree",
        engine_arguments="updated_at, is_deleted",
        order_by="(key, value, inference_id)",
        indexes=(Index("inference_id_index", "inference_id"),),
    ),
    Table(
        "ModelInferenceCache",
        (
            *_c("short_cache_key", "UInt64", "long_cache_key", "FixedString(64)"),
            Column("timestamp", "DateTime", "DEFAULT", "now()"),
            *_c("output", "String", "raw_request", "String", "raw_response", "String"),
            _IS_DELETED,
            *_c("input_tokens", _N32, "output_tokens", _N32, "finish_reason", _FINISH_REASON),
        ),
        engine="ReplacingMergeTree",
        engine_arguments="timestamp, is_deleted",
        partition_by="toYYYYMM(timestamp)",
        primary_key="short_cache_key",
        order_by="(short_cache_key, long_cache_key)",
        indexes=(Index("idx_long_cache_key", "long_cache_key", granularity=100),),
        index_granularity=256,
    ),
)

_TARGET_TYPE = "Enum8('inference' = 1, 'episode' = 2)"


def _metric_feedback(kind: str, value: str) -> tuple[Table, ...]:
    """A metric's feedback, by target, and by variant; ``kind`` is Boolean or Float."""
    return (
        Table(
            f"{kind}MetricFeedback",
            (
                *_c("id", "UUID", "target_id", "UUID", "metric_name", _LC, "value", value),
                _timestamp("id"),
                _TAGS,
                SNAPSHOT_HASH,
            ),
            order_by="(metric_name, target_id)",
            indexes=(_ID_INDEX,),
        ),
        Table(
            f"{kind}MetricFeedbackByTargetId",
            (
                *_c("id", "UUID", "target_id", "UUID", "metric_name", _LC, "value", value),
                *_c("tags", _MAP),
                SNAPSHOT_HASH,
            ),
            order_by="target_id",
        ),
        Table(
            f"{kind}MetricFeedbackByVariant",
            (
                *_c("function_name", _LC, "variant_name", _LC, "metric_name", _LC),
                *_c("id_uint", "UInt128", "target_id_uint", "UInt128", "value", value),
                *_c("feedback_tags", _MAP),
                SNAPSHOT_HASH,
            ),
            order_by="(function_name, metric_name, variant_name, id_uint)",
        ),
    )


_FEEDBACK = (
    *_metric_feedback("Boolean", "Bool"),
    *_metric_feedback("Float", "Float32"),
    Table(
        "CommentFeedback",
        (
            *_c("id", "UUID", "target_id", "UUID", "target_type", _TARGET_TYPE),
            *_c("value", "String"),
            _timestamp("id"),
            _TAGS,
            SNAPSHOT_HASH,
        ),
        order_by="target_id",
        indexes=(_ID_INDEX,),
    ),
    Table(
        "CommentFeedbackByTargetId",
        (
            *_c("id", "UUID", "target_id", "UUID", "target_type", _TARGET_TYPE),
            *_c("value", "String", "tags", _MAP),
            SNAPSHOT_HASH,
        ),
        order_by="target_id",
    ),
    Table(
        "DemonstrationFeedback",
        (
            *_c("id", "UUID", "inference_id", "UUID", "value", "String"),
            _timestamp("id"),
            _TAGS,
            SNAPSHOT_HASH,
        ),
        order_by="inference_id",
        indexes=(_ID_INDEX,),
    ),
    Table(
        "DemonstrationFeedbackByInferenceId",
        (
            *_c("id", "UUID", "inference_id", "UUID", "value", "String", "tags", _MAP),
            SNAPSHOT_HASH,
        ),
        order_by="inference_id",
    ),
    Table(
        "FeedbackTag",
        (
            *_c("metric_name", _LC, "key", "String", "value", "String", "feedback_id", "UUID"),
            SNAPSHOT_HASH,
        ),
        order_by="(metric_name, key, value)",
    ),
    Table(
        "FeedbackByVariantStatistics",
        _c(
            *("function_name", _LC, "variant_name", _LC, "metric_name", _LC),
            *("minute", "DateTime"),
            *("feedback_mean", "AggregateFunction(avg, Float32)"),
            *("feedback_variance", "AggregateFunction(varSampStable, Float32)"),
            *("count", "SimpleAggregateFunction(sum, UInt64)"),
        ),
        engine="AggregatingMergeTree",
        order_by="(function_name, metric_name, variant_name, minute)",
    ),
    Table(
        "StaticEvaluationHumanFeedback",
        (
            *_c("metric_name", _LC, "datapoint_id", "UUID", "output", "String"),
            *_c("value", "String", "feedback_id", "UUID", "evaluator_inference_id", "UUID"),
            _timestamp("feedback_id"),
        ),
        order_by="(metric_name, datapoint_id, output)",
        index_granularity=256,
    ),
)


def _datapoint(name: str, shape: tuple[Column, ...], tail: tuple[Column, ...]) -> Table:
    return Table(
        name,
        (
            *_c("dataset_name", _LC, "function_name", _LC, "id", "UUID"),
            *_c("episode_id", "Nullable(UUID)", "input", "String", "output", _NSTR),
            *shape,
            *_c("tags", _MAP, "auxiliary", "String"),
            _IS_DELETED,
            _UPDATED_NOW64,
            *_c("staled_at", f"Nullable({_ID64})", "source_inference_id", "Nullable(UUID)"),
            Column("is_custom", "Bool", "DEFAULT", "false"),
            *_c("name", _NSTR),
            *tail,
            SNAPSHOT_HASH,
        ),
        engine="ReplacingMergeTree",
        engine_arguments="updated_at, is_deleted",
        order_by="(dataset_name, function_name, id)",
        indexes=(_ID_INDEX,),
    )


def _evaluation_run(name: str, project_name: str, order_by: str) -> Table:
    return Table(
        name,
        (
            *_c("run_id_uint", "UInt128", "variant_pins", _MAP, "tags", _MAP),
            *_c("project_name", project_name, "run_display_name", _NSTR),
            _IS_DELETED,
            _UPDATED_NOW,
            SNAPSHOT_HASH,
        ),
        engine="ReplacingMergeTree",
        engine_arguments="updated_at, is_deleted",
        order_by=order_by,
    )


_DATASETS = (
    _datapoint("ChatInferenceDatapoint", _c("tool_params", "String"), _TOOL_COLUMNS),
    _datapoint("JsonInferenceDatapoint", _c("output_schema", "String"), ()),
    _evaluation_run("DynamicEvaluationRun", _NSTR, "run_id_uint"),
    _evaluation_run("DynamicEvaluationRunByProjectName", "String", "(project_name, run_id_uint)"),
    Table(
        "DynamicEvaluationRunEpisode",
        (
            *_c("run_id", "UUID", "episode_id_uint", "UInt128", "variant_pins", _MAP),
            *_c("datapoint_name", _NSTR, "tags", _MAP),
            _IS_DELETED,
            _UPDATED_NOW,
            SNAPSHOT_HASH,
        ),
        engine="ReplacingMergeTree",
        engine_arguments="updated_at, is_deleted",
        order_by="episode_id_uint",
    ),
    Table(
        "DynamicEvaluationRunEpisodeByRunId",
        (
            *_c("run_id_uint", "UInt128", "episode_id_uint", "UInt128", "variant_pins", _MAP),
            *_c("tags", _MAP, "datapoint_name", _NSTR),
            _IS_DELETED,
            _UPDATED_NOW,
            SNAPSHOT_HASH,
        ),
        engine="ReplacingMergeTree",
        engine_arguments="updated_at, is_deleted",
        order_by="(run_id_uint, episode_id_uint)",
    ),
    Table(
        "InferenceEvaluationRuns",
        _c(
            *("run_id_uint", "UInt128", "evaluation_name", "String"),
            *("function_name", "String", "function_type", _LC, "dataset_name", "String"),
            *("variant_names", "Array(String)", "metrics", "String", "source", _LC),
            *("snapshot_hash", _NSTR),
            *("created_at", "DateTime64(3, 'UTC')", "updated_at", "DateTime64(3, 'UTC')"),
        ),
        engine="ReplacingMergeTree",
        engine_arguments="updated_at",
        order_by="run_id_uint",
    ),
    Table(
        "DynamicInContextLearningExample",
        (
            *_c("id", "UUID", "function_name", _LC, "variant_name", _LC),
            *_c("namespace", "String", "input", "String", "output", "String"),
            *_c("embedding", "Array(Float32)"),
            _timestamp("id"),
        ),
        order_by="(function_name, variant_name, namespace)",
    ),
)

_BATCH = (
    Table(
        "BatchRequest",
        (
            *_c("batch_id", "UUID", "id", "UUID", "batch_params", "String"),
            *_c("model_name", _LC, "model_provider_name", _LC),
            Column("status", "Enum8('pending' = 1, 'completed' = 2, 'failed' = 3)"),
            *_c("errors", "Array(String)"),
            _timestamp("id"),
            *_c("raw_request", "String", "raw_response", "String"),
            *_c("function_name", _LC, "variant_name", _LC),
            SNAPSHOT_HASH,
        ),
        order_by="(batch_id, id)",
    ),
    Table(
        "BatchModelInference",
        (
            *_c("inference_id", "UUID", "batch_id", "UUID", "function_name", _LC),
            *_c("variant_name", _LC, "episode_id", "UUID", "input", "String"),
            *_c("input_messages", "String", "system", _NSTR, "tool_params", _NSTR),
            *_c("inference_params", "String", "raw_request", "String", "model_name", _LC),
            *_c("model_provider_name", _LC, "output_schema", _NSTR),
            _TAGS,
            _timestamp("inference_id"),
            *_TOOL_COLUMNS,
            SNAPSHOT_HASH,
        ),
        order_by="(batch_id, inference_id)",
    ),
    Table(
        "BatchIdByInferenceId",
        _c("inference_id", "UUID", "batch_id", "UUID"),
        order_by="inference_id",
    ),
)

_STATE = (
    Table(
        "ConfigSnapshot",
        (
            *_c("config", "String", "extra_templates", _MAP, "hash", "UInt256"),
            *_c("tensorzero_version", "String"),
            Column("created_at", "DateTime64(6)", "DEFAULT", "now()"),
            Column("last_used", "DateTime64(6)", "DEFAULT", "now()"),
            _TAGS,
        ),
        engine="ReplacingMergeTree",
        engine_arguments="last_used",
        order_by="hash",
        index_granularity=256,
    ),
    Table(
        "DeploymentID",
        (
            *_c("deployment_id", "String"),
            Column("dummy", "UInt32", "DEFAULT", "0"),
            Column("created_at", "DateTime", "DEFAULT", "now()"),
            Column("version_number", "UInt32", "DEFAULT", "4294967295 - toUInt32(now())"),
        ),
        engine="ReplacingMergeTree",
        engine_arguments="version_number",
        order_by="dummy",
    ),
    Table(
        "CumulativeUsage",
        _c("type", _LC, "count", "UInt64"),
        engine="SummingMergeTree",
        order_by="type",
    ),
)


def _statistics(name: str, keys: tuple[str, str], latency: str) -> Table:
    return Table(
        name,
        _c(
            *(keys[0], _LC, keys[1], _LC, "minute", "DateTime"),
            *(latency, _DIGEST, "ttft_ms_quantiles", _DIGEST),
            *("total_input_tokens", f"AggregateFunction(sum, {_N32})"),
            *("total_output_tokens", f"AggregateFunction(sum, {_N32})"),
            *("count", "AggregateFunction(count, UInt32)"),
            *("total_cost", f"AggregateFunction(sum, {_COST})"),
            *("total_provider_cache_read_input_tokens", f"AggregateFunction(sum, {_N32})"),
            *("total_provider_cache_write_input_tokens", f"AggregateFunction(sum, {_N32})"),
            *("count_with_cost", f"AggregateFunction(count, {_COST})"),
        ),
        engine="AggregatingMergeTree",
        order_by=f"({keys[0]}, {keys[1]}, minute)",
    )


_STATISTICS = (
    _statistics(
        "ModelProviderStatistics",
        ("model_name", "model_provider_name"),
        "response_time_ms_quantiles",
    ),
    _statistics(
        "VariantStatistics", ("function_name", "variant_name"), "processing_time_ms_quantiles"
    ),
)

MIGRATION_TABLE: Final = _MIGRATION
TABLES: Final[tuple[Table, ...]] = (
    _MIGRATION,
    *_INFERENCE,
    *_FEEDBACK,
    *_DATASETS,
    *_BATCH,
    *_STATE,
    *_STATISTICS,
)
TABLES_BY_NAME: Final[dict[str, Table]] = {table.name: table for table in TABLES}
