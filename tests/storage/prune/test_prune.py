"""A prune on the real engine: what goes, what stays, and that it can be repeated."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
import pytest

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseUnavailable
from tensorzero.storage.database.protocol import Database
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.prune import execution
from tensorzero.storage.prune.execution import Prune
from tensorzero.storage.prune.plan import Scope, plan
from tensorzero.storage.schema.migrations import migrate
from tensorzero.storage.schema.replication import Replication

OLD, CUT, NEW = 1_735_000_000_000, 1_740_000_000_000, 1_745_000_000_000
FUTURE = 10**13
ODD = "it's `a` \\ {x:String} -- /* "
ALL = Scope(CUT)
OF_ODD = Scope(CUT, ODD)

_numbers = itertools.count(1)

ABOUT = {
    "ChatInference": "id",
    "JsonInference": "id",
    "ModelInference": "inference_id",
    "InferenceById": "uint_to_uuid(id_uint)",
    "InferenceByEpisodeId": "uint_to_uuid(id_uint)",
    "EpisodeById": "uint_to_uuid(episode_id_uint)",
    "InferenceTag": "inference_id",
    "TagInference": "inference_id",
    "BooleanMetricFeedback": "target_id",
    "BooleanMetricFeedbackByTargetId": "target_id",
    "BooleanMetricFeedbackByVariant": "uint_to_uuid(target_id_uint)",
    "FloatMetricFeedback": "target_id",
    "FloatMetricFeedbackByTargetId": "target_id",
    "FloatMetricFeedbackByVariant": "uint_to_uuid(target_id_uint)",
    "CommentFeedback": "target_id",
    "CommentFeedbackByTargetId": "target_id",
    "DemonstrationFeedback": "inference_id",
    "DemonstrationFeedbackByInferenceId": "inference_id",
    "BatchModelInference": "inference_id",
    "BatchIdByInferenceId": "inference_id",
    "BatchRequest": "batch_id",
    "StaticEvaluationHumanFeedback": "datapoint_id",
    "FeedbackTag": "value",
}
"""What a row of each table is about."""


def uuid7(at_ms: int) -> str:
    number = next(_numbers)
    return str(UUID(int=at_ms << 80 | 7 << 76 | 2 << 62 | (number * 2654435761 % 2**32) << 20))


class Filled:
    """Inferences of two functions, old and new, with everything that hangs on them."""

    def __init__(self, db: EmbeddedDatabase) -> None:
        self.db = db
        self.names: dict[str, str] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        for row in db.query_json(
            "SELECT name FROM system.tables WHERE database = currentDatabase() "
            "AND engine LIKE '%MergeTree' AND name != 'TensorZeroMigration'"
        ):
            db.command(f"TRUNCATE TABLE {row['name']}")
        spanning = self.episode("e-spanning", OLD)
        self.inference("odd-spanning-old", OLD, ODD, spanning)
        self.inference("odd-spanning-new", NEW, ODD, spanning)
        alone = self.episode("e-odd", OLD)
        self.inference("odd-alone", OLD, ODD, alone, of_model="")
        shared = self.episode("e-shared", OLD)
        self.inference("odd-shared", OLD, ODD, shared)
        self.inference("b-shared", OLD, "b", shared)
        workflow = self.episode("e-workflow", FUTURE + OLD)
        self.inference("json-workflow", OLD, "json", workflow)
        later = self.episode("e-later", FUTURE + NEW)
        self.inference("json-later", NEW, "json", later)
        self.feedback_on("e-spanning", "e-odd", "e-shared", "e-workflow", "e-later")
        self.batch("finished", "odd-batch", ODD, ("pending", "completed"))
        self.batch("pending", "odd-waiting", ODD, ("pending",))
        self.insert(
            "ModelInferenceCache",
            *(
                {
                    "short_cache_key": key,
                    "long_cache_key": f"{key}" * 64,
                    "timestamp": at_ms // 1000,
                    "output": "[]",
                    "raw_request": "q",
                    "raw_response": "r",
                }
                for key, at_ms in ((1, OLD), (2, NEW))
            ),
        )
        self.write()

    def id_of(self, name: str) -> str:
        return next(id_ for id_, known in self.names.items() if known == name)

    def new_id(self, name: str, at_ms: int) -> str:
        id_ = uuid7(at_ms)
        self.names[id_] = name
        return id_

    def episode(self, name: str, at_ms: int) -> str:
        return self.new_id(name, at_ms)

    def inference(
        self, name: str, at_ms: int, function: str, episode: str, of_model: str | None = None
    ) -> None:
        id_ = self.new_id(name, at_ms)
        row: dict[str, Any] = {
            "id": id_,
            "function_name": function,
            "variant_name": "v",
            "episode_id": episode,
            "input": "{}",
            "output": "[]",
            "inference_params": "{}",
            "tags": {"k": "v"},
        }
        if function == "json":
            self.insert("JsonInference", {**row, "output_schema": "{}", "auxiliary_content": "[]"})
        else:
            self.insert("ChatInference", {**row, "tool_params": ""})
        self.insert(
            "ModelInference",
            {
                "id": uuid7(at_ms),
                "inference_id": id_,
                "raw_request": "q" * 100,
                "raw_response": "r" * 100,
                "model_name": "m",
                "model_provider_name": "p",
                "input_messages": "[]",
                "output": "[]",
                "function_name": function if of_model is None else of_model,
                "variant_name": "v",
            },
        )
        self.feedback_on(name)

    def feedback_on(self, *targets: str) -> None:
        """Given now; its tags and human feedback name what it is about."""
        for name in targets:
            target = self.id_of(name)
            tags = {"about": target}
            metric = {"target_id": target, "metric_name": "m", "tags": tags}
            feedback = uuid7(NEW)
            self.insert("BooleanMetricFeedback", {"id": feedback, "value": True, **metric})
            self.insert("FloatMetricFeedback", {"id": uuid7(NEW), "value": 0.5, **metric})
            kind = "episode" if name.startswith("e-") else "inference"
            comment = {"target_id": target, "target_type": kind, "value": "c", "tags": tags}
            self.insert("CommentFeedback", {"id": uuid7(NEW), **comment})
            self.insert(
                "StaticEvaluationHumanFeedback",
                {
                    "metric_name": "m",
                    "datapoint_id": target,
                    "output": "[]",
                    "value": "true",
                    "feedback_id": feedback,
                    "evaluator_inference_id": str(UUID(int=0)),
                },
            )
            if kind == "inference":
                demonstration = {"inference_id": target, "value": "[]", "tags": tags}
                self.insert("DemonstrationFeedback", {"id": uuid7(NEW), **demonstration})

    def batch(self, name: str, input_name: str, function: str, states: tuple[str, ...]) -> None:
        batch = self.new_id(name, OLD)
        both = {
            "batch_id": batch,
            "function_name": function,
            "variant_name": "v",
            "model_name": "m",
            "model_provider_name": "p",
            "raw_request": "q",
        }
        self.insert(
            "BatchModelInference",
            {
                **both,
                "inference_id": self.new_id(input_name, OLD),
                "episode_id": uuid7(OLD),
                "input": "{}",
                "input_messages": "[]",
                "inference_params": "{}",
            },
        )
        for state in states:
            row = {**both, "id": uuid7(OLD), "batch_params": "{}", "raw_response": "r"}
            self.insert("BatchRequest", {**row, "status": state})

    def insert(self, table: str, *rows: dict[str, Any]) -> None:
        self.rows.setdefault(table, []).extend(rows)

    def write(self) -> None:
        """Inferences first: the views on feedback look for them."""
        for table in sorted(self.rows, key=lambda name: "Feedback" in name):
            lines = b"\n".join(orjson.dumps(row) for row in self.rows[table])
            self.db.insert(table, lines, len(self.rows[table]), token=uuid7(NEW))

    def about(self) -> dict[str, set[str]]:
        """What is left in each table."""
        return {
            table: {
                self.names[row["about"]]
                for row in self.db.query_json(f"SELECT toString({about}) AS about FROM {table}")
            }
            for table, about in ABOUT.items()
        }

    def count(self, table: str, where: str = "1") -> int:
        return int(self.db.command(f"SELECT count() FROM {table} WHERE {where}"))


@pytest.fixture(scope="module")
def complete(engine: EmbeddedDatabase) -> Iterator[EmbeddedDatabase]:
    migrate(engine, version="1", embedded=True)
    yield engine


@pytest.fixture
def filled(complete: EmbeddedDatabase) -> Filled:
    return Filled(complete)


def prune(db: Database, scope: Scope, *, raw_only: bool = False, window_rows: int = 100) -> int:
    work = Prune(db, scope, raw_only=raw_only, window_rows=window_rows)
    return asyncio.run(work.run(lambda table, rows: None))


def forecast(db: Database, scope: Scope, *, raw_only: bool = False, window_rows: int = 100) -> Any:
    work = Prune(db, scope, raw_only=raw_only, window_rows=window_rows)
    return {share.table: share for share in asyncio.run(work.forecast())}


def expected(before: dict[str, set[str]], gone: set[str]) -> dict[str, set[str]]:
    return {table: names - gone for table, names in before.items()}


GONE = {
    ALL: {
        *("odd-spanning-old", "odd-alone", "odd-shared", "b-shared", "json-workflow"),
        *("e-odd", "e-shared", "e-workflow", "odd-batch", "finished"),
    },
    OF_ODD: {
        *("odd-spanning-old", "odd-alone", "odd-shared", "e-odd", "odd-batch", "finished"),
    },
}


@pytest.mark.parametrize(("scope", "window_rows"), [(ALL, 100), (OF_ODD, 1)])
def test_inferences_go_with_all_that_hangs_on_them(
    filled: Filled, scope: Scope, window_rows: int
) -> None:
    before = filled.about()
    kept = "SELECT * FROM ModelInference WHERE inference_id = {id:UUID}"
    of_kept = {"id": filled.id_of("odd-spanning-new")}
    row = filled.db.query_json(kept, of_kept)
    said = forecast(filled.db, scope, window_rows=window_rows)
    totals = {table: filled.count(table) for table in said}
    assert filled.about() == before  # a forecast changes nothing
    changed = prune(filled.db, scope, window_rows=window_rows)
    assert filled.about() == expected(before, GONE[scope])
    assert filled.count("ModelInferenceCache") == (1 if scope == ALL else 2)
    left = {table: filled.count(table) for table in said}
    assert {t: totals[t] - left[t] for t in said} == {t: share.rows for t, share in said.items()}
    assert changed == sum(share.rows for share in said.values())
    assert said["ChatInference"].bytes > 0
    assert filled.db.query_json(kept, of_kept) == row
    assert int(filled.db.command("SELECT countMerge(count) FROM VariantStatistics")) == 7
    assert prune(filled.db, scope, window_rows=window_rows) == 0


@pytest.mark.parametrize("scope", [ALL, OF_ODD], ids=["all", "function"])
def test_raw_bodies_go_and_rows_stay(filled: Filled, scope: Scope) -> None:
    before = filled.about()
    said = forecast(filled.db, scope, raw_only=True)
    assert said["ModelInference"].rows == (5 if scope == ALL else 3)
    assert said["ModelInference"].bytes > 0
    assert prune(filled.db, scope, raw_only=True) == sum(share.rows for share in said.values())
    assert filled.about() == before
    emptied = {
        filled.names[row["id"]]
        for row in filled.db.query_json(
            "SELECT toString(inference_id) AS id FROM ModelInference "
            "WHERE raw_request = '' AND raw_response = ''"
        )
    }
    gone = {name for name in GONE[scope] if not name.startswith("e-")}
    assert emptied == gone - {"odd-batch", "finished"}
    assert filled.count("ModelInference", "length(raw_request) = 100") == 7 - len(emptied)
    # A batch that is still under way needs its requests.
    assert filled.count("BatchModelInference", "raw_request = ''") == 1
    assert filled.count("ModelInferenceCache", "raw_response = ''") == (scope == ALL)
    assert filled.count("ModelInferenceCache", "output = '[]'") == 2
    assert prune(filled.db, scope, raw_only=True) == 0


class Interrupted:
    """A database whose connection breaks after some mutations."""

    def __init__(self, db: EmbeddedDatabase, mutations: int) -> None:
        self._db = db
        self._left = mutations

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def command(self, sql: str, *arguments: Any, **options: Any) -> str:
        if sql.startswith("ALTER TABLE"):
            self._left -= 1
            if self._left < 0:
                raise DatabaseUnavailable("gone")
        return self._db.command(sql, *arguments, **options)


def test_an_interrupted_prune_is_completed_by_the_next(filled: Filled) -> None:
    """After any few of its steps: what is left is what a prune in one go leaves."""
    scope = OF_ODD
    before = filled.about()
    steps = 0
    while True:
        try:
            prune(Interrupted(filled.db, 3), scope)
        except DatabaseUnavailable:
            steps += 1
            continue
        break
    assert steps > 5
    assert filled.about() == expected(before, GONE[scope])


@pytest.mark.parametrize("raw_only", [True, False])
def test_on_a_cluster(recording_server: Any, raw_only: bool) -> None:
    """Every statement names the cluster, is sent off to be watched, and takes names as parameters;
    watching asks every replica."""
    watched = []

    def script(request: Any) -> tuple[int, dict[str, str], bytes]:
        sql = request.sql
        if "system.mutations" in sql:
            watched.append(sql)
            return 200, {}, b'{"left":"0","parts":"0","reason":"","mutation":""}'
        if "LIMIT {rows:UInt32}" in sql:
            return 200, {}, b'{"found":"0","last":"0"}'
        if sql.startswith("SELECT"):
            return 200, {}, b'{"found":"3"}'
        return 200, {}, b""

    recording_server.script = script
    url = DatabaseURL.parse(f"http://127.0.0.1:{recording_server.port}/db")
    with RemoteDatabase(url) as database:
        work = Prune(database, OF_ODD, raw_only=raw_only, cluster="my-cluster")
        asyncio.run(work.run(lambda table, rows: None))
    altered = [r for r in recording_server.requests if r.sql.startswith("ALTER")]
    assert {r.sql.split()[2] for r in altered} == {
        step.table for step in plan(OF_ODD, raw_only=raw_only)
    }
    for request in altered:
        assert " ON CLUSTER `my-cluster` " in request.sql
        assert request.settings["allow_nondeterministic_mutations"] == "1"
        assert request.settings["mutations_sync"] == "0"
        assert ODD not in request.sql
    for request in recording_server.requests:
        assert ODD not in request.sql
    assert len(watched) == len(altered)
    assert all("clusterAllReplicas('my-cluster', system.mutations)" in sql for sql in watched)


@pytest.mark.parametrize(
    ("reason", "limit", "text"),
    [
        ("Memory limit exceeded", "_FAILING_S", "can't be pruned: Memory limit exceeded"),
        ("", "_IDLE_S", "its disk is almost full"),
    ],
)
def test_a_mutation_that_does_not_come_to_an_end_is_given_up(
    recording_server: Any, monkeypatch: pytest.MonkeyPatch, reason: str, limit: str, text: str
) -> None:
    """Else the engine would try for ever, and what comes later would wait for it."""
    monkeypatch.setattr(execution, limit, 0.1)
    left = {"left": "1", "parts": "2", "reason": reason, "mutation": "mutation_1.txt"}

    def script(request: Any) -> tuple[int, dict[str, str], bytes]:
        if "system.mutations" in request.sql:
            return 200, {}, orjson.dumps(left)
        if "system.merges" in request.sql:
            return 200, {}, b'{"running":"0"}'
        return 200, {}, b'{"found":"3","last":"0"}' if request.sql.startswith("SELECT") else b""

    recording_server.script = script
    url = DatabaseURL.parse(f"http://127.0.0.1:{recording_server.port}/db")
    with RemoteDatabase(url) as database:
        work = Prune(database, ALL, raw_only=True)
        with pytest.raises(execution.PruneError, match=text):
            asyncio.run(work.run(lambda table, rows: None))
    assert [sql.split()[0] for sql in recording_server.statements()][-1] == "KILL"
    killed = recording_server.requests[-1].settings
    assert (killed["param_db"], killed["param_table"]) == ("db", "ModelInference")


def test_plain_statements_name_no_cluster() -> None:
    for step in (*plan(ALL, raw_only=False), *plan(ALL, raw_only=True)):
        assert "CLUSTER" not in step.statement(Replication("db"))
