"""Where tokens cannot tell what a database has, its ids do: table by table, target by target."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from harness import FakeClickHouse, Handler, append, cut_after, exactly, held, ids_of, inference

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.shipper.compare import complete_targets, missing_rows
from tensorzero.storage.shipper.shipper import Shipper
from tensorzero.storage.shipper.state import SLOT_BYTES
from tzcore.spool import Writer

Make = Callable[..., Shipper]
TABLES = ("ChatInference", "JsonInference", "ModelInference")
IDS = ("ChatInference", "ModelInference", "InferenceById", "InferenceByEpisodeId", "EpisodeById",
       "InferenceTag", "TagInference", "distinct", "unknown")  # fmt: skip


def by_ids(found: dict[str, int]) -> dict[str, int]:
    """Without the statistics, which hold no ids."""
    return {name: found[name] for name in IDS}


@pytest.mark.parametrize(
    "lost",
    [
        "ChatInference",
        "ModelInference",
        "InferenceById",
        "InferenceByEpisodeId",
        "EpisodeById",
        "InferenceTag",
        "TagInference",
    ],
)
def test_each_target_is_repaired_by_itself(
    lost: str, db: EmbeddedDatabase, make: Make, root: Path, function: str
) -> None:
    """A part of one table was set aside: what the spool still holds of it comes back, though the
    tokens of it are still known, and nothing else is doubled."""
    writer = Writer(str(root / "w"))
    append(writer, [inference(function) for _ in range(12)])
    assert asyncio.run(make(db).drain(20)) == 0
    assert held(db, function) == exactly(12)
    if lost == "EpisodeById":
        episodes = (
            "SELECT episode_id_uint FROM InferenceByEpisodeId WHERE function_name = {f:String}"
        )
        db.command(
            f"ALTER TABLE {lost} DELETE WHERE episode_id_uint IN ({episodes})", {"f": function}
        )
    else:
        db.command(f"ALTER TABLE {lost} DELETE WHERE function_name = {{f:String}}", {"f": function})
    append(writer, [inference(function) for _ in range(3)])
    shipper = make(db, distrust=True)
    assert asyncio.run(shipper.drain(30)) == 0
    assert by_ids(held(db, function)) == by_ids(exactly(15))
    # Dealt with: the next start trusts the database again.
    append(writer, [inference(function) for _ in range(2)])
    assert asyncio.run(make(db).drain(20)) == 0
    assert by_ids(held(db, function)) == by_ids(exactly(17))


def test_a_comparison_that_was_cut_off_goes_on_at_the_next_start(
    db: EmbeddedDatabase, make: Make, root: Path, function: str
) -> None:
    writer = Writer(str(root / "w"))
    append(writer, [inference(function) for _ in range(6)])
    assert asyncio.run(make(db).drain(20)) == 0
    db.command("ALTER TABLE InferenceById DELETE WHERE function_name = {f:String}", {"f": function})
    make(db, distrust=True)  # and it is killed before it has done anything
    assert asyncio.run(make(db).drain(20)) == 0
    assert by_ids(held(db, function)) == by_ids(exactly(6))


def test_a_lost_state_doubles_nothing(
    db: EmbeddedDatabase, make: Make, root: Path, function: str
) -> None:
    writer = Writer(str(root / "w"))
    append(writer, [inference(function) for _ in range(6)])
    assert asyncio.run(make(db).drain(20)) == 0
    append(writer, [inference(function) for _ in range(4)])
    state = root / "shipper.state"
    state.write_bytes(b"\xffgarbage" * (2 * SLOT_BYTES // 8))
    assert asyncio.run(make(db).drain(20)) == 0
    assert by_ids(held(db, function)) == by_ids(exactly(10))


def test_a_batch_in_flight_that_changed_on_the_disk_is_compared(
    db: EmbeddedDatabase, make: Make, root: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(str(root / "w"))
    frames = [inference(function) for _ in range(6)]
    append(writer, frames)
    shipper = make(db)
    monkeypatch.setattr(shipper.spool, "after", lambda ranges: 1 / 0)  # after both inserts
    assert asyncio.run(shipper.drain(3)) == 12
    path = root / "w" / "0000000001.seg"
    data = path.read_bytes()
    path.write_bytes(data.replace(ids_of(frames)[3].encode(), b"0" * 36, 1))
    assert asyncio.run(make(db).drain(20)) == 0
    assert by_ids(held(db, function)) == by_ids(exactly(6))


def test_tables_that_remember_no_tokens(
    fake: FakeClickHouse, make: Make, root: Path, function: str
) -> None:
    """A server's user may not set the window: in doubt, the ids are compared and only what is
    missing is sent."""
    for table in (*TABLES, "InferenceById"):
        fake.engine.command(
            f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 0"
        )
    try:
        writer = Writer(str(root / "w"))
        append(writer, [inference(function) for _ in range(8)])
        fake.faults = deque([cut_after, cut_after])
        shipper = make(fake.client(), forgetful=TABLES)
        assert asyncio.run(shipper.drain(30)) == 0
    finally:
        for table in (*TABLES, "InferenceById"):
            fake.engine.command(
                f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 1000"
            )
    assert held(fake.engine, function) == exactly(8)
    assert [insert.table for insert in fake.inserts] == ["ChatInference", "ModelInference"]


def full_disk_after(fake: FakeClickHouse, handler: Handler, run: Callable[[], None]) -> bool:
    """The engine wrote the rows, met a full disk, and remembers no token (seen in chDB 4.4)."""
    insert = fake.inserts[-1]
    fake.engine.insert(
        insert.table, b"\n".join(insert.rows), len(insert.rows), token=f"lost {insert.rows[0]!r}"
    )
    handler.exception(243, "Cannot reserve 1.00 MiB, not enough space", 500)
    return True


@pytest.mark.parametrize("restarted", [False, True])
def test_a_full_disk_makes_tokens_worthless(
    fake: FakeClickHouse, make: Make, root: Path, function: str, restarted: bool
) -> None:
    """Whether the shipper lives on or a new one finds the batch in flight."""
    writer = Writer(str(root / "w"))
    append(writer, [inference(function) for _ in range(8)])
    fake.faults = deque([full_disk_after, full_disk_after])
    shipper = make(fake.client())
    if restarted:

        async def until_the_disk_is_full() -> None:
            stop = asyncio.Event()
            running = asyncio.create_task(shipper.run(stop))
            async with asyncio.timeout(30):
                while not shipper.state.state.compare:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.001)
            fake.stop()
            stop.set()
            await running

        asyncio.run(until_the_disk_is_full())
        fake.start()
        shipper = make(fake.client())
        assert shipper.state.state.compare
    assert asyncio.run(shipper.drain(30)) == 0
    assert by_ids(held(fake.engine, function)) == by_ids(exactly(8))
    assert not shipper.state.state.compare


def test_missing_rows(db: EmbeddedDatabase, function: str) -> None:
    rows = [inference(function)[0][1] for _ in range(2500)]
    db.insert("ChatInference", b"\n".join(rows[::2]), 1250, token=function)
    assert missing_rows(db, "ChatInference", rows) == rows[1::2]
    odd = [b"no json", b"{}", b'{"id":"nope"}', b'{"id":7}', b"[]"]
    assert missing_rows(db, "ChatInference", odd) == odd
    assert missing_rows(db, "ModelInferenceCache", odd) == odd
    complete_targets(db, "ModelInferenceCache", odd)
    complete_targets(db, "ChatInference", odd)


def test_feedback_is_compared_too(db: EmbeddedDatabase, function: str) -> None:
    chat = inference(function)
    target = ids_of([chat])[0]
    db.insert("ChatInference", chat[0][1], 1, token=f"{function}-c")
    feedback = {
        "id": ids_of([inference("other")])[0],
        "target_id": target,
        "metric_name": function,
        "value": True,
        "tags": {"author": "ann"},
    }
    row = orjson.dumps(feedback)
    db.insert("BooleanMetricFeedback", row, 1, token=f"{function}-f")
    targets = ("BooleanMetricFeedbackByTargetId", "BooleanMetricFeedbackByVariant", "FeedbackTag")
    for table in targets:
        db.command(f"ALTER TABLE {table} DELETE WHERE metric_name = {{m:String}}", {"m": function})
    for _ in range(2):
        assert missing_rows(db, "BooleanMetricFeedback", [row]) == []
        complete_targets(db, "BooleanMetricFeedback", [row])
        for table in targets:
            sql = f"SELECT count() FROM {table} WHERE metric_name = {{m:String}}"
            assert db.command(sql, {"m": function}).strip() == "1", table


def datapoint(dataset: str, id_: str, microsecond: int, **columns: object) -> bytes:
    return orjson.dumps(
        {
            "dataset_name": dataset,
            "function_name": "f",
            "id": id_,
            "input": "{}",
            "tool_params": "",
            "tags": {},
            "auxiliary": "",
            "updated_at": f"2026-01-31 12:00:00.{microsecond:06}",
            **columns,
        }
    )


def test_versions_of_datapoints(db: EmbeddedDatabase, function: str) -> None:
    """A later version stands for an earlier one, which may be merged away; not the other way
    round, and not for the same id elsewhere."""
    table = "ChatInferenceDatapoint"
    ids = ids_of([inference(function) for _ in range(1200)])
    second = [datapoint(function, id_, 2) for id_ in ids]
    db.insert(table, b"\n".join(second[:1100]), 1100, token=function)
    assert missing_rows(db, table, second) == second[1100:]
    first, third = datapoint(function, ids[0], 1), datapoint(function, ids[0], 3)
    elsewhere = datapoint(f"{function}-2", ids[0], 1)
    assert missing_rows(db, table, [first, third, elsewhere]) == [third, elsewhere]
    odd = [b"no json", b"{}", b"[]", orjson.dumps({"id": ids[0], "dataset_name": [1]})]
    assert missing_rows(db, table, odd) == odd
    assert missing_rows(db, "JsonInferenceDatapoint", second[:1]) == second[:1]


def test_datapoints_in_doubt_where_no_tokens_are_remembered(
    fake: FakeClickHouse, make: Make, root: Path, function: str
) -> None:
    table = "ChatInferenceDatapoint"
    set_window = f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = "
    (id_,) = ids_of([inference(function)])
    stale = {"staled_at": "2026-01-31 12:00:00.000002"}
    rows = [datapoint(function, id_, 1), datapoint(function, id_, 2, **stale)]
    fake.engine.command(set_window + "0")
    try:
        writer = Writer(str(root / "w"))
        append(writer, [[(table.encode(), row)] for row in rows])
        fake.faults = deque([cut_after, cut_after])
        assert asyncio.run(make(fake.client(), forgetful=(table,)).drain(30)) == 0
    finally:
        fake.engine.command(set_window + "1000")
    assert [insert.table for insert in fake.inserts] == [table]
    sql = f"SELECT count(), countIf(staled_at IS NOT NULL) FROM {table} FINAL WHERE id = {{i:UUID}}"
    assert fake.engine.command(sql, {"i": id_}).split() == ["1", "1"]
