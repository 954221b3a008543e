"""The schema on a real engine equals the contract (data-model 4, 5, 11.1 to 11.3)."""

from __future__ import annotations

import re

import pytest

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import RowsRejected, SinkUnavailable
from tensorzero.storage.schema.migrations import MIGRATION_IDS, migrate
from tensorzero.storage.schema.model import TableSettings
from tensorzero.storage.schema.replication import Replication
from tensorzero.storage.schema.tables import QUANTILES, TABLES, TABLES_BY_NAME
from tensorzero.storage.schema.views import VIEWS


@pytest.fixture(scope="module")
def complete(engine: EmbeddedDatabase) -> EmbeddedDatabase:
    migrate(engine, version="1.2.3", embedded=True)
    return engine


def test_the_counts_of_the_contract(complete: EmbeddedDatabase) -> None:
    rows = complete.query_json(
        "SELECT countIf(engine != 'MaterializedView') AS tables, "
        "countIf(engine = 'MaterializedView') AS views "
        "FROM system.tables WHERE database = currentDatabase()"
    )
    assert rows == [{"tables": "39", "views": "30"}]
    ids = complete.query_json(
        "SELECT migration_id AS id, migration_name AS name, gateway_version AS version, "
        "gateway_git_sha AS sha FROM TensorZeroMigration ORDER BY id"
    )
    assert [row["id"] for row in ids] == list(MIGRATION_IDS)
    assert len(MIGRATION_IDS) == 47
    assert ids[-1] == {"id": 53, "name": "Migration0053", "version": "1.2.3", "sha": ""}
    id_ = "019ab3c2-7a10-7c43-9d6e-0f8a5b2c1d3e"
    assert complete.command(f"SELECT uint_to_uuid(toUInt128(toUUID('{id_}')))").strip() == id_


@pytest.mark.parametrize("name", [table.name for table in TABLES])
def test_a_table_is_described_as_written(complete: EmbeddedDatabase, name: str) -> None:
    described = [
        (row["name"], row["type"], row["default_type"], row["default_expression"])
        for row in complete.query_json(f"DESCRIBE TABLE {name}")
    ]
    table = TABLES_BY_NAME[name]
    assert described == [(c.name, c.type, c.kind, c.expression) for c in table.columns]
    row = complete.query_json(
        "SELECT engine, sorting_key, primary_key, partition_key, create_table_query AS ddl "
        "FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
        {"name": name},
    )[0]

    def bare(key: str) -> str:
        return re.sub(r"\A\((.*)\)\Z", r"\1", key)

    assert row["engine"] == table.engine
    assert bare(row["sorting_key"]) == bare(table.order_by or table.primary_key)
    assert bare(row["primary_key"]) == bare(table.primary_key or table.order_by)
    assert row["partition_key"] == table.partition_by
    assert f"index_granularity = {table.index_granularity}" in row["ddl"]
    assert "non_replicated_deduplication_window = 1000" in row["ddl"]
    assert "fsync_after_insert = 1, fsync_part_directory = 1" in row["ddl"]


# Written out by hand from the contract, so that a slip in the definitions does not prove itself.
SPOT_CHECKS = {
    "ChatInference": "id function_name variant_name episode_id input output tool_params "
    "inference_params processing_time_ms timestamp tags extra_body ttft_ms dynamic_tools "
    "dynamic_provider_tools allowed_tools tool_choice parallel_tool_calls snapshot_hash",
    "JsonInference": "id function_name variant_name episode_id input output output_schema "
    "inference_params processing_time_ms timestamp tags extra_body auxiliary_content ttft_ms "
    "snapshot_hash",
    "ModelInference": "id inference_id raw_request raw_response model_name model_provider_name "
    "input_tokens output_tokens response_time_ms ttft_ms timestamp system input_messages output "
    "cached finish_reason snapshot_hash cost provider_cache_read_input_tokens "
    "provider_cache_write_input_tokens function_name variant_name",
    "ChatInferenceDatapoint": "dataset_name function_name id episode_id input output tool_params "
    "tags auxiliary is_deleted updated_at staled_at source_inference_id is_custom name "
    "dynamic_tools dynamic_provider_tools allowed_tools tool_choice parallel_tool_calls "
    "snapshot_hash",
    "BatchModelInference": "inference_id batch_id function_name variant_name episode_id input "
    "input_messages system tool_params inference_params raw_request model_name "
    "model_provider_name output_schema tags timestamp dynamic_tools dynamic_provider_tools "
    "allowed_tools tool_choice parallel_tool_calls snapshot_hash",
    "DynamicEvaluationRunEpisode": "run_id episode_id_uint variant_pins datapoint_name tags "
    "is_deleted updated_at snapshot_hash",
    "DynamicEvaluationRunEpisodeByRunId": "run_id_uint episode_id_uint variant_pins tags "
    "datapoint_name is_deleted updated_at snapshot_hash",
    "ModelProviderStatistics": "model_name model_provider_name minute response_time_ms_quantiles "
    "ttft_ms_quantiles total_input_tokens total_output_tokens count total_cost "
    "total_provider_cache_read_input_tokens total_provider_cache_write_input_tokens "
    "count_with_cost",
    "StaticEvaluationHumanFeedback": "metric_name datapoint_id output value feedback_id "
    "evaluator_inference_id timestamp",
    "ModelInferenceCache": "short_cache_key long_cache_key timestamp output raw_request "
    "raw_response is_deleted input_tokens output_tokens finish_reason",
}


@pytest.mark.parametrize("name", SPOT_CHECKS)
def test_columns_written_out(name: str) -> None:
    assert [column.name for column in TABLES_BY_NAME[name].columns] == SPOT_CHECKS[name].split()


def test_twenty_six_tables_carry_the_snapshot_hash() -> None:
    carriers = [
        table.name
        for table in TABLES
        if any(
            (column.name, column.type) == ("snapshot_hash", "Nullable(UInt256)")
            for column in table.columns
        )
    ]
    assert len(carriers) == 26


def test_the_quantiles() -> None:
    values = QUANTILES.split(", ")
    assert len(values) == 70
    assert values == sorted(values, key=float)
    assert values[:4] == ["0.001", "0.005", "0.01", "0.02"]
    assert values[11:14] == ["0.1", "0.12", "0.14"]
    assert values[50:53] == ["0.88", "0.9", "0.91"]
    assert values[-11:-8] == ["0.98", "0.99", "0.991"]


def test_the_skipping_indexes(complete: EmbeddedDatabase) -> None:
    rows = complete.query_json(
        "SELECT table, name, expr, type, granularity FROM system.data_skipping_indices "
        "WHERE database = currentDatabase() ORDER BY table"
    )
    assert {(r["table"], r["name"], r["expr"], r["type"], int(r["granularity"])) for r in rows} == {
        ("BooleanMetricFeedback", "id_index", "id", "bloom_filter", 1),
        ("FloatMetricFeedback", "id_index", "id", "bloom_filter", 1),
        ("CommentFeedback", "id_index", "id", "bloom_filter", 1),
        ("DemonstrationFeedback", "id_index", "id", "bloom_filter", 1),
        ("ChatInferenceDatapoint", "id_index", "id", "bloom_filter", 1),
        ("JsonInferenceDatapoint", "id_index", "id", "bloom_filter", 1),
        ("ModelInference", "id_index", "id", "bloom_filter", 1),
        ("ChatInference", "inference_id_index", "id", "bloom_filter", 1),
        ("JsonInference", "inference_id_index", "id", "bloom_filter", 1),
        ("TagInference", "inference_id_index", "inference_id", "bloom_filter", 1),
        ("ModelInferenceCache", "idx_long_cache_key", "long_cache_key", "bloom_filter", 100),
    }


def test_rows_that_do_not_fit_are_refused(complete: EmbeddedDatabase) -> None:
    # Refused, but not for the row's sake: the table is older than what wrote it.
    with pytest.raises(SinkUnavailable, match="nope"):
        complete.insert("ChatInference", b'{"nope":1}', 1, token="unknown")
    with pytest.raises(RowsRejected, match="null"):
        complete.insert("ChatInference", b'{"input":null}', 1, token="null")


def test_views_name_their_target() -> None:
    names = {table.name for table in TABLES}
    for view in VIEWS:
        assert view.source in names
        assert view.target in names


def test_replicated_ddl() -> None:
    replication = Replication("tz", "main")
    settings = TableSettings(deduplication_window=10, fsync=False)
    plain = TABLES_BY_NAME["ChatInference"].create(replication, settings)
    assert plain.startswith("CREATE TABLE IF NOT EXISTS ChatInference ON CLUSTER main \n(")
    assert (
        "ENGINE = ReplicatedMergeTree("
        "'/clickhouse/tables/{shard}/tz/ChatInference', '{replica}')" in plain
    )
    assert "deduplication" not in plain
    replacing = TABLES_BY_NAME["TagInference"].create(replication, settings)
    assert (
        "ENGINE = ReplicatedReplacingMergeTree("
        "'/clickhouse/tables/{shard}/tz/TagInference', '{replica}', updated_at, is_deleted)"
        in replacing
    )
    assert Replication("tz", "my-cluster").on_cluster == " ON CLUSTER `my-cluster` "
