"""The start algorithm (data-model 2.2, 11.4 to 11.12) and the steps 45 to 53 (10.2)."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import orjson
import pytest
from databases import insert, reverse_to, uuid7

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseError, QueryError
from tensorzero.storage.database.http_interface import Server, serve
from tensorzero.storage.database.http_request import Credentials
from tensorzero.storage.database.protocol import Database
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.schema.migrations import (
    MIGRATION_IDS,
    MigrationError,
    MigrationReport,
    migrate,
)
from tensorzero.storage.schema.replication import ReplicationError
from tensorzero.storage.schema.snapshot import write_config_snapshot
from tensorzero.storage.schema.tables import TABLES


class Spy:
    """Passes everything on and keeps the statements."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.statements: list[str] = []

    @property
    def database(self) -> str:
        return self._db.database

    def command(self, sql: str, *args: Any, **kwargs: Any) -> str:
        self.statements.append(sql)
        return self._db.command(sql, *args, **kwargs)

    def query_json(self, sql: str, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        self.statements.append(sql)
        return self._db.query_json(sql, *args, **kwargs)

    def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
        self._db.insert(table, rows, row_count, token=token)

    def ping(self) -> None:
        self._db.ping()

    def close(self) -> None:
        """The engine belongs to the fixture."""

    @property
    def ddl(self) -> list[str]:
        return [sql for sql in self.statements if sql.split()[0] not in ("SELECT", "SHOW")]


def _migrate(db: Database, **more: Any) -> MigrationReport:
    return migrate(db, version="1.0.0", embedded=True, sleep=lambda _: None, **more)


def _described(db: Database) -> dict[str, list[tuple[str, str, str, str]]]:
    return {
        table.name: [
            (r["name"], r["type"], r["default_type"], r["default_expression"])
            for r in db.query_json(f"DESCRIBE TABLE {table.name}")
        ]
        for table in TABLES
    }


def _bookkeeping(db: Database) -> list[dict[str, Any]]:
    return db.query_json(
        "SELECT migration_id AS id, extra_data AS extra FROM TensorZeroMigration ORDER BY id"
    )


def test_a_second_start_does_nothing(db: EmbeddedDatabase) -> None:
    first = _migrate(db)
    assert first.created
    assert first.applied == MIGRATION_IDS
    deployment = db.command("SELECT deployment_id FROM DeploymentID")
    assert len(deployment.strip()) == 64
    assert set(deployment.strip()) <= set("0123456789abcdef")
    spy = Spy(db)
    second = _migrate(spy)
    assert spy.ddl == []
    assert len(spy.statements) == 2
    assert (second.created, second.applied, second.already_present) == (False, (), ())
    assert second.tables_without_tokens == ()
    assert len(_bookkeeping(db)) == 47
    assert db.command("SELECT deployment_id FROM DeploymentID") == deployment


def test_a_database_of_the_reference_only_learns_to_remember_tokens(
    db: EmbeddedDatabase,
) -> None:
    _migrate(db)
    for table in TABLES:
        db.command(
            f"ALTER TABLE {table.name} RESET SETTING non_replicated_deduplication_window, "
            "fsync_after_insert, fsync_part_directory"
        )
    before = _described(db)
    spy = Spy(db)
    refused = _migrate(spy, disabled=True)
    assert spy.ddl == []
    assert sorted(refused.tables_without_tokens) == sorted(table.name for table in TABLES)
    spy = Spy(db)
    report = migrate(spy, version="1.0.0")
    assert report.tables_without_tokens == ()
    assert len(spy.ddl) == 39
    for sql in spy.ddl:
        assert sql.endswith("MODIFY SETTING non_replicated_deduplication_window = 10000")
    assert _described(db) == before
    spy = Spy(db)
    migrate(spy, version="1.0.0")
    assert spy.ddl == []


def test_a_user_who_may_not_set_it_can_still_start(
    db: EmbeddedDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    _migrate(db)
    db.command("ALTER TABLE FeedbackTag RESET SETTING non_replicated_deduplication_window")

    class Forbidden(Spy):
        def command(self, sql: str, *args: Any, **kwargs: Any) -> str:
            if "MODIFY SETTING" in sql:
                raise QueryError(497, "Code: 497. DB::Exception: Not enough privileges")
            return super().command(sql, *args, **kwargs)

    with caplog.at_level(logging.WARNING):
        report = _migrate(Forbidden(db))
    assert report.tables_without_tokens == ("FeedbackTag",)
    assert "FeedbackTag" in caplog.text


def test_a_newer_database_is_a_warning(
    db: EmbeddedDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    _migrate(db)
    db.command(
        "INSERT INTO TensorZeroMigration (migration_id, migration_name) VALUES (99, 'x'), (54, 'y')"
    )
    spy = Spy(db)
    with caplog.at_level(logging.WARNING):
        report = _migrate(spy)
    assert report.unknown == (54, 99)
    assert spy.ddl == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "54, 99" in caplog.text


def test_a_lost_row_is_written_again_and_nothing_else(db: EmbeddedDatabase) -> None:
    _migrate(db)
    insert(db, "ModelInference", {"id": str(uuid7()), "model_name": "m"})
    db.command(
        "ALTER TABLE TensorZeroMigration DELETE WHERE migration_id IN (5, 44, 50, 53)",
        settings={"mutations_sync": "2"},
    )
    before = _described(db)
    spy = Spy(db)
    report = _migrate(spy)
    assert report.applied == ()
    assert report.already_present == (5, 44, 50, 53)
    assert len(spy.ddl) == 1
    assert spy.ddl[0].startswith("INSERT INTO TensorZeroMigration")
    assert _described(db) == before
    assert db.command("SELECT count() FROM ModelInference").strip() == "1"
    rows = _bookkeeping(db)
    assert len(rows) == 47
    assert {row["id"] for row in rows if row["extra"] == "already present"} == {5, 44, 50, 53}


def test_disabled_migrations(db: EmbeddedDatabase) -> None:
    spy = Spy(db)
    with pytest.raises(MigrationError, match="Automatic ClickHouse migrations were disabled") as e:
        _migrate(spy, disabled=True)
    assert "--run-clickhouse-migrations" in str(e.value)
    assert spy.ddl == []
    assert _migrate(db, disabled=True, manual=True).created
    assert not _migrate(db, disabled=True).created
    assert not _migrate(db, manual=True).created


@pytest.mark.parametrize("after", [1, 5, 20, 40, 55])
def test_an_interrupted_creation_is_completed(db: EmbeddedDatabase, after: int) -> None:
    class Dying(Spy):
        def command(self, sql: str, *args: Any, **kwargs: Any) -> str:
            if len(self.ddl) >= after:
                raise QueryError(0, "killed")
            return super().command(sql, *args, **kwargs)

    with pytest.raises(QueryError):
        _migrate(Dying(db))
    report = _migrate(db)
    assert report.created
    rows = db.query_json(
        "SELECT countIf(engine != 'MaterializedView') AS t, countIf(engine LIKE '%View') AS v "
        "FROM system.tables WHERE database = currentDatabase()"
    )
    assert rows == [{"t": "39", "v": "30"}]
    assert [row["id"] for row in _bookkeeping(db)] == list(MIGRATION_IDS)


def test_gateways_starting_at_once(db: EmbeddedDatabase) -> None:
    """Three over HTTP, as on a server: all come up, and the ids are complete."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server: Server = asyncio.run_coroutine_threadsafe(
        serve(db, "127.0.0.1", 0, Credentials("u", "p")), loop
    ).result(10)
    url = DatabaseURL.parse(f"http://u:p@127.0.0.1:{server.port}")

    def start(_: int) -> MigrationReport:
        with RemoteDatabase(url) as remote:
            return migrate(remote, version="1.0.0")

    try:
        with ThreadPoolExecutor(3) as pool:
            reports = list(pool.map(start, range(3)))
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert any(report.created for report in reports)
    assert db.command("SELECT uniqExact(migration_id) FROM TensorZeroMigration").strip() == "47"
    assert not _migrate(db).created
    assert db.command("SELECT count() FROM system.tables WHERE database = 'default'") == "69\n"


def _level_44_rows(db: Database) -> dict[str, Any]:
    """Rows of an old gateway: inferences, evaluation tags, metric feedback."""
    runs = {"chat": uuid7(), "json": uuid7()}
    inferences: dict[str, list[UUID]] = {"chat": [], "json": []}

    def tags(run: UUID, evaluation: str) -> dict[str, str]:
        return {
            "tensorzero::evaluation_run_id": str(run),
            "tensorzero::evaluation_name": evaluation,
            "tensorzero::dataset_name": "set/1",
        }

    for kind, table in (("chat", "ChatInference"), ("json", "JsonInference")):
        for variant in ("b", "a"):
            id_ = uuid7()
            inferences[kind].append(id_)
            insert(
                db,
                table,
                {
                    "id": str(id_),
                    "function_name": f"{kind}_function",
                    "variant_name": variant,
                    "episode_id": str(uuid7()),
                    "tags": tags(runs[kind], f"{kind}_evaluation"),
                    "snapshot_hash": "255",
                },
            )
    judge = {"function_name": "tensorzero::llm_judge::x", "variant_name": "j"}
    insert(
        db,
        "ChatInference",
        {"id": str(uuid7()), "episode_id": str(uuid7()), "tags": tags(uuid7(), "no"), **judge},
        {
            "id": str(uuid7()),
            "function_name": "f",
            "tags": {"tensorzero::evaluation_run_id": str(uuid7())},
        },
        {
            "id": str(uuid7()),
            "function_name": "f",
            "tags": {**tags(uuid7(), "x"), "tensorzero::evaluation_run_id": "no uuid"},
        },
    )
    for inference in inferences["chat"]:
        insert(
            db,
            "BooleanMetricFeedback",
            {
                "id": str(uuid7()),
                "target_id": str(inference),
                "metric_name": "tensorzero::evaluation_name::e::evaluator_name::exact/match",
                "value": True,
            },
        )
        insert(
            db,
            "FloatMetricFeedback",
            {"id": str(uuid7()), "target_id": str(inference), "metric_name": "stars", "value": 1},
        )
    insert(
        db,
        "ModelInference",
        {"id": str(uuid7()), "model_name": "m", "model_provider_name": "p", "input_tokens": 7},
    )
    return {"runs": runs, "inferences": inferences}


def test_an_upgrade_from_level_44(db: EmbeddedDatabase) -> None:
    _migrate(db)
    final = _described(db)
    reverse_to(db, 44)
    made = _level_44_rows(db)
    report = _migrate(db)
    assert report.applied == (45, 46, 47, 48, 49, 50, 51, 52, 53)
    assert report.already_present == ()
    assert _described(db) == final
    assert [row["id"] for row in _bookkeeping(db)] == list(MIGRATION_IDS)
    assert db.command("SELECT count() FROM system.data_skipping_indices") == "11\n"
    runs = {
        row["evaluation_name"]: row
        for row in db.query_json("SELECT * EXCEPT updated_at FROM InferenceEvaluationRuns")
    }
    first = made["inferences"]["chat"][0]
    created = db.command("SELECT UUIDv7ToDateTime({id:UUID}, 'UTC')", {"id": first}).strip()
    assert runs == {
        "chat_evaluation": {
            "run_id_uint": str(made["runs"]["chat"].int),
            "evaluation_name": "chat_evaluation",
            "function_name": "chat_function",
            "function_type": "chat",
            "dataset_name": "set/1",
            "variant_names": ["a", "b"],
            "metrics": '[{"name":"stars","evaluator_name":null,"value_type":"float",'
            '"optimize":null},'
            '{"name":"tensorzero::evaluation_name::e::evaluator_name::exact/match",'
            '"evaluator_name":"exact/match","value_type":"boolean","optimize":null}]',
            "source": "dataset_name",
            "snapshot_hash": "ff",
            "created_at": created,
        },
        "json_evaluation": {
            **runs["json_evaluation"],
            "run_id_uint": str(made["runs"]["json"].int),
            "function_type": "json",
            "metrics": "[]",
        },
    }
    orjson.loads(runs["chat_evaluation"]["metrics"])
    # The extended view counts on, old and new columns alike.
    insert(
        db,
        "ModelInference",
        {
            "id": str(uuid7()),
            "model_name": "m",
            "model_provider_name": "p",
            "input_tokens": 5,
            "cost": 0.5,
            "provider_cache_read_input_tokens": 3,
            "function_name": "f",
            "variant_name": "v",
        },
    )
    assert db.query_json(
        "SELECT sumMerge(total_input_tokens) AS tokens, sumMerge(total_cost) AS cost, "
        "countMerge(count_with_cost) AS with_cost, countMerge(count) AS count, "
        "sumMerge(total_provider_cache_read_input_tokens) AS cached FROM ModelProviderStatistics"
    ) == [{"tokens": "12", "cost": 0.5, "with_cost": "1", "count": "2", "cached": "3"}]
    assert db.command("SELECT countMerge(count_with_cost) FROM VariantStatistics").strip() == "1"
    spy = Spy(db)
    _migrate(spy)
    assert spy.ddl == []


def test_an_upgrade_from_level_47_counts_each_cost_once(db: EmbeddedDatabase) -> None:
    _migrate(db)
    reverse_to(db, 47)

    def cost(value: float | None) -> dict[str, Any]:
        return {
            "id": str(uuid7()),
            "model_name": "m",
            "model_provider_name": "p",
            "input_tokens": 1,
            "cost": value,
        }

    insert(db, "ModelInference", cost(1.5), cost(2.5), cost(None))
    waits: list[float] = []

    def while_waiting(seconds: float) -> None:
        # A row that arrives before the moment from which on the view counts.
        waits.append(seconds)
        insert(db, "ModelInference", cost(4))

    report = migrate(db, version="1", embedded=True, sleep=while_waiting)
    assert report.applied == (48, 49, 50, 51, 52, 53)
    assert len(waits) == 2
    insert(db, "ModelInference", cost(8))
    assert db.query_json(
        "SELECT sumMerge(total_cost) AS cost, countMerge(count_with_cost) AS with_cost, "
        "countMerge(count) AS count, sumMerge(total_input_tokens) AS tokens "
        "FROM ModelProviderStatistics"
    ) == [{"cost": 1.5 + 2.5 + 4 + 4 + 8, "with_cost": "5", "count": "6", "tokens": "6"}]


def test_step_50_corrects_runs_that_step_49_called_chat(db: EmbeddedDatabase) -> None:
    _migrate(db)
    run = uuid7()
    tags = {"tensorzero::evaluation_run_id": str(run)}
    insert(db, "JsonInference", {"id": str(uuid7()), "function_name": "j", "tags": tags})
    row = {
        "evaluation_name": "e",
        "metrics": '[{"name":"kept"}]',
        "source": "datapoint_ids",
        "function_type": "chat",
        "created_at": "2026-01-01 00:00:00.000",
        "updated_at": "2026-01-01 00:00:00.000",
    }
    insert(
        db,
        "InferenceEvaluationRuns",
        {**row, "run_id_uint": str(run.int)},
        {**row, "run_id_uint": str(uuid7().int)},
    )
    db.command(
        "ALTER TABLE TensorZeroMigration DELETE WHERE migration_id = 50",
        settings={"mutations_sync": "2"},
    )
    # Only a database with an older shape runs steps; on a complete one 50 has run for sure.
    reverse_to_before_53(db)
    assert 50 in _migrate(db).applied
    rows = db.query_json(
        "SELECT run_id_uint = {run:UInt128} AS is_json, function_type, metrics, source, "
        "toString(created_at) AS created FROM InferenceEvaluationRuns FINAL ORDER BY is_json",
        {"run": str(run.int)},
    )
    kept = {"metrics": row["metrics"], "source": "datapoint_ids", "created": row["created_at"]}
    assert rows == [
        {"is_json": 0, "function_type": "chat", **kept},
        {"is_json": 1, "function_type": "json", **kept},
    ]


def reverse_to_before_53(db: Database) -> None:
    for name in ("Model", "Chat", "Json"):
        db.command(f"DROP TABLE VariantStatistics{name}View")
    db.command("DROP TABLE VariantStatistics")
    for name in ("function_name", "variant_name"):
        db.command(f"ALTER TABLE ModelInference DROP COLUMN {name}")
    db.command(
        "ALTER TABLE TensorZeroMigration DELETE WHERE migration_id = 53",
        settings={"mutations_sync": "2"},
    )


def test_another_gateway_that_upgrades_at_once_fills_the_column(db: EmbeddedDatabase) -> None:
    _migrate(db)
    reverse_to(db, 47)
    insert(
        db,
        "ModelInference",
        {"id": str(uuid7()), "model_name": "m", "model_provider_name": "p", "cost": 2},
    )
    inner: list[MigrationReport] = []

    def meanwhile(_: float) -> None:
        if not inner:
            inner.append(MigrationReport())
            inner.append(_migrate(db))

    migrate(db, version="1", embedded=True, sleep=meanwhile)
    total = db.command("SELECT sumMerge(total_cost) FROM ModelProviderStatistics").strip()
    assert total == "2"
    assert db.command("SELECT uniqExact(migration_id) FROM TensorZeroMigration").strip() == "47"


@pytest.mark.parametrize("died_at", ["MODIFY QUERY", "INSERT INTO ModelProviderStatistics"])
def test_a_gateway_that_died_in_a_step_is_made_good(db: EmbeddedDatabase, died_at: str) -> None:
    _migrate(db)
    reverse_to(db, 47)
    row = {"model_name": "m", "model_provider_name": "p", "cost": 2}
    insert(db, "ModelInference", {"id": str(uuid7()), **row})

    class Dying(Spy):
        def command(self, sql: str, *args: Any, **kwargs: Any) -> str:
            if died_at in sql:
                raise SystemExit
            return super().command(sql, *args, **kwargs)

    with pytest.raises(SystemExit):
        _migrate(Dying(db))
    # Counted by the view only from the moment that the dead gateway wrote into it.
    insert(db, "ModelInference", {"id": str(uuid7()), **row})
    assert 48 in _migrate(db).applied
    insert(db, "ModelInference", {"id": str(uuid7()), **row})
    total = db.query_json(
        "SELECT sumMerge(total_cost) AS cost, countMerge(count_with_cost) AS n "
        "FROM ModelProviderStatistics"
    )
    assert total == [{"cost": 6, "n": "3"}]


def test_a_database_that_is_too_old_is_refused_unharmed(db: EmbeddedDatabase) -> None:
    _migrate(db)
    reverse_to(db, 44)
    db.command("ALTER TABLE ChatInference DROP COLUMN dynamic_tools")
    db.command(
        "ALTER TABLE TensorZeroMigration DELETE WHERE migration_id > 40",
        settings={"mutations_sync": "2"},
    )
    spy = Spy(db)
    with pytest.raises(MigrationError, match=r"ChatInference\.dynamic_tools") as caught:
        _migrate(spy)
    assert "--run-clickhouse-migrations" in str(caught.value)
    assert spy.ddl == []


def test_a_step_that_fails_names_itself_and_is_repeatable(db: EmbeddedDatabase) -> None:
    _migrate(db)
    final = _described(db)
    reverse_to(db, 44)

    class Failing(Spy):
        def command(self, sql: str, *args: Any, **kwargs: Any) -> str:
            if "ADD COLUMN IF NOT EXISTS `total_cost`" in sql:
                raise QueryError(243, "Code: 243. DB::Exception: no space")
            return super().command(sql, *args, **kwargs)

    with pytest.raises(MigrationError, match=r"migration 48 failed: .*no space"):
        _migrate(Failing(db))
    assert _migrate(db).applied == (48, 49, 50, 51, 52, 53)
    assert _described(db) == final


def test_config_snapshots(db: EmbeddedDatabase) -> None:
    _migrate(db)
    hash_ = str(2**255 + 1)

    def write(tags: dict[str, str], config: str = "a = 'ü'\n\t\\") -> dict[str, Any]:
        write_config_snapshot(
            db,
            config_toml=config,
            extra_templates={"it's": "{{ x }}\n"},
            hash_decimal=hash_,
            version="1.0",
            tags=tags,
        )
        (row,) = db.query_json("SELECT * FROM ConfigSnapshot FINAL")
        return row

    first = write({"a": "1", "b": "1"})
    assert first["config"] == "a = 'ü'\n\t\\"
    assert first["extra_templates"] == {"it's": "{{ x }}\n"}
    assert first["hash"] == hash_
    assert first["created_at"] == first["last_used"]
    second = write({"b": "2", "c": "2"})
    assert second["created_at"] == first["created_at"]
    assert second["last_used"] > first["last_used"]
    assert second["tags"] == {"a": "1", "b": "2", "c": "2"}
    assert len(write({}, "x" * 3_000_000)["config"]) == 3_000_000
    with pytest.raises(ValueError, match="decimal"):
        write_config_snapshot(
            db, config_toml="", extra_templates={}, hash_decimal="0xff", version="", tags={}
        )


# --- clusters: chDB has none, so the statements are looked at ------------------------------


class _FakeServer:
    """Answers like an empty server with (or without) a cluster."""

    def __init__(self, recording_server: Any, nodes: int, cloud: bool = False) -> None:
        self.record = recording_server
        self.nodes = nodes
        self.cloud = cloud
        recording_server.script = self.answer

    def answer(self, request: Any) -> tuple[int, dict[str, str], bytes]:
        sql = request.sql
        if "FROM TensorZeroMigration" in sql:
            return 404, {"X-ClickHouse-Exception-Code": "81"}, b"Code: 81. DB::Exception: none"
        if "cloud_mode" in sql:
            return 200, {}, b"true\n" if self.cloud else b"false\n"
        if "system.clusters" in sql:
            return 200, {}, b'{"nodes":"%d"}\n' % self.nodes
        if sql.startswith("SELECT count()"):
            return 200, {}, b"0\n"
        return 200, {}, b""

    def migrate(self, **more: Any) -> list[str]:
        url = DatabaseURL.parse(f"http://127.0.0.1:{self.record.port}/tz")
        with RemoteDatabase(url) as db:
            migrate(db, version="1", **more)
        return self.ddl()

    def ddl(self) -> list[str]:
        return [sql for sql in self.record.statements() if not sql.startswith("SELECT")]


def test_a_manual_run_on_a_cluster(recording_server: Any) -> None:
    ddl = _FakeServer(recording_server, nodes=2).migrate(cluster="main", manual=True)
    assert ddl[0] == "CREATE DATABASE IF NOT EXISTS `tz` ON CLUSTER main "
    first = recording_server.requests[[r.sql for r in recording_server.requests].index(ddl[0])]
    assert "database" not in first.settings
    tables = [sql for sql in ddl if sql.startswith("CREATE TABLE")]
    views = [sql for sql in ddl if sql.startswith("CREATE MATERIALIZED VIEW")]
    assert (len(set(tables)), len(views)) == (39, 30)
    for sql in tables:
        name = sql.split()[5]
        assert f" {name} ON CLUSTER main \n" in sql
        assert f"MergeTree('/clickhouse/tables/{{shard}}/tz/{name}', '{{replica}}'" in sql
        assert "ENGINE = Replicated" in sql
    for sql in views:
        assert " ON CLUSTER main \nTO " in sql
    assert any(
        sql.startswith("CREATE FUNCTION IF NOT EXISTS uint_to_uuid ON CLUSTER main  AS (x) ->")
        for sql in ddl
    )
    assert not any("MODIFY SETTING" in sql for sql in ddl)


def test_a_normal_start_on_an_empty_cluster_fails(recording_server: Any) -> None:
    server = _FakeServer(recording_server, nodes=2)
    with pytest.raises(MigrationError) as caught:
        server.migrate(cluster="main")
    assert str(caught.value).startswith(
        "Database tz does not exist. We do not automatically run migrations to create and set it "
        "up when replication is configured."
    )
    assert server.ddl() == []


@pytest.mark.parametrize(
    ("nodes", "cloud", "arguments", "message"),
    [
        (1, False, {"cluster": "main", "manual": True}, "more than one node"),
        (2, True, {"cluster": "main", "manual": True}, "ClickHouse Cloud"),
        (2, False, {}, "TENSORZERO_OVERRIDE_NON_REPLICATED_CLICKHOUSE=1"),
        (2, False, {"cluster": "a'b"}, "may have letters"),
    ],
)
def test_replication_that_does_not_fit(
    recording_server: Any, nodes: int, cloud: bool, arguments: dict[str, Any], message: str
) -> None:
    server = _FakeServer(recording_server, nodes, cloud)
    with pytest.raises(ReplicationError, match=message):
        server.migrate(**arguments)
    assert not any("ChatInference" in sql for sql in server.ddl())


@pytest.mark.parametrize(
    ("nodes", "cloud", "arguments"),
    [(0, False, {}), (1, False, {}), (2, False, {"override_replication": True}), (3, True, {})],
)
def test_single_servers_and_cloud(
    recording_server: Any, nodes: int, cloud: bool, arguments: dict[str, Any]
) -> None:
    ddl = _FakeServer(recording_server, nodes, cloud).migrate(**arguments)
    assert not any("ON CLUSTER" in sql or "Replicated" in sql for sql in ddl)
    chat = next(sql for sql in ddl if sql.startswith("CREATE TABLE IF NOT EXISTS ChatInference\n"))
    assert ("non_replicated_deduplication_window = 10000" in chat) is (not cloud)
    assert "fsync" not in chat


def test_a_step_on_a_cluster_needs_the_manual_run(db: EmbeddedDatabase) -> None:
    _migrate(db)
    reverse_to(db, 44)

    class Cluster(Spy):
        def query_json(self, sql: str, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
            if "system.clusters" in sql:
                return [{"nodes": "2"}]
            return super().query_json(sql, *args, **kwargs)

    spy = Cluster(db)
    with pytest.raises(MigrationError, match="must be run manually"):
        _migrate(spy, cluster="main")
    assert spy.ddl == []
    assert issubclass(MigrationError, DatabaseError)
