"""Every row is in the database exactly once, wherever an insert or the shipper fails."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import FAULTS, SILENCE_S, FakeClickHouse, append, exactly, held, ids_of, inference

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings
from tensorzero.storage.shipper.spool import SpoolReader
from tensorzero.storage.shipper.state import StateFile
from tensorzero.storage.spool.directory import Position
from tzcore.spool import Writer

Make = Callable[..., Shipper]


def test_what_is_sent(fake: FakeClickHouse, make: Make, root: Path, function: str) -> None:
    """The statement and settings of design and contract; one insert per table and batch."""
    writer = Writer(str(root / "w"))
    frames = [inference(function) for _ in range(20)]
    append(writer, frames)
    shipper = make(fake.client())
    assert asyncio.run(shipper.drain(20)) == 0
    assert [insert.table for insert in fake.inserts] == ["ChatInference", "ModelInference"]
    for insert in fake.inserts:
        assert len(insert.rows) == 20
        assert insert.settings["query"] == f"INSERT INTO {insert.table} FORMAT JSONEachRow"
        for name, value in {
            "async_insert": "0",
            "deduplicate_blocks_in_dependent_materialized_views": "1",
            "input_format_skip_unknown_fields": "0",
            "input_format_null_as_default": "0",
            "wait_end_of_query": "1",
        }.items():
            assert insert.settings[name] == value
        assert len(insert.token) == 64
    assert held(fake.engine, function) == exactly(20)
    assert shipper.delivery.inserted == {"ChatInference": 20, "ModelInference": 20}


CASES = [(fault, table) for fault in FAULTS for table in (0, 1)]
CASES.remove(("views missing", 1))  # those views are the first table's


@pytest.mark.parametrize(("fault", "table"), CASES)
def test_in_doubt_the_same_bytes_are_sent_again(
    fault: str,
    table: int,
    fake: FakeClickHouse,
    make: Make,
    root: Path,
    function: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault == "silent":
        monkeypatch.setattr("tensorzero.storage.database.remote.INSERT_TIMEOUT_S", SILENCE_S - 1)
    writer = Writer(str(root / "w"))
    append(writer, [inference(function) for _ in range(30)])
    times = 1 if fault == "silent" else 2
    fake.faults = deque([*[None] * table, *[FAULTS[fault]] * times])
    assert asyncio.run(make(fake.client()).drain(60)) == 0
    assert held(fake.engine, function) == exactly(30)
    of_table = [insert for insert in fake.inserts if insert.table.startswith("CM"[table])]
    assert len(of_table) == 1 + times
    assert {(insert.token, tuple(insert.rows)) for insert in of_table} == {
        (of_table[0].token, tuple(of_table[0].rows))
    }
    # What was acknowledged is not sent twice.
    assert len(fake.inserts) == 2 + times


class Crash(Exception):
    """The shipper's process dies here."""


POINTS = [
    "before the state",
    "after the state",
    "after the first table",
    "after the second table",
    "after the checkpoint",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_shipper_that_dies_in_a_batch(
    point: str,
    db: EmbeddedDatabase,
    make: Make,
    root: Path,
    function: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next one sends the same batch, though more rows have come in."""
    writer = Writer(str(root / "w"), segment_bytes=16 * 1024)
    first = [inference(function) for _ in range(25)]
    append(writer, first)
    shipper = make(db)
    crash_at(point, shipper, monkeypatch)
    asyncio.run(until_crash(shipper))
    monkeypatch.undo()
    append(writer, [inference(function) for _ in range(17)])
    assert asyncio.run(make(db).drain(20)) == 0
    assert held(db, function) == exactly(42)


def crash_at(point: str, shipper: Shipper, monkeypatch: pytest.MonkeyPatch) -> None:
    write = StateFile.write
    insert = shipper.delivery.sink.insert
    inserts = 0

    def crashing_write(self: StateFile, state: object) -> None:
        in_flight = bool(state.in_flight)  # type: ignore[attr-defined]  # a State
        if point == "before the state":
            raise Crash
        if in_flight or point == "after the checkpoint":
            write(self, state)  # type: ignore[arg-type]  # a State
        if point == "after the state" or not in_flight:
            raise Crash

    class Sink:
        def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
            nonlocal inserts
            insert(table, rows, row_count, token=token)
            inserts += 1
            if inserts == ["after the first table", "after the second table"].index(point) + 1:
                raise Crash

    if point in ("after the first table", "after the second table"):
        shipper.delivery.sink = Sink()  # type: ignore[assignment]  # only inserts are made
    else:
        monkeypatch.setattr(StateFile, "write", crashing_write)


async def until_crash(shipper: Shipper) -> None:
    """Run until the crash; nothing is done after it, as in a process that is gone."""
    stop = asyncio.Event()
    failed = shipper._failed

    def died(flight: object, error: BaseException) -> None:
        failed(flight, error)  # type: ignore[arg-type]  # a flight
        assert isinstance(error, Crash), error
        stop.set()

    shipper._failed = died  # type: ignore[method-assign]  # only the moment is of interest
    async with asyncio.timeout(20):
        await shipper.run(stop)
    assert stop.is_set()


@pytest.mark.parametrize(
    "seed", [7, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(30))]
)
def test_random_faults_and_restarts(
    seed: int, fake: FakeClickHouse, make: Make, root: Path, function: str
) -> None:
    """Two writers, small segments, batches of all sizes, every fault, ten shipper lives."""
    rng = random.Random(seed)
    writers = [Writer(str(root / name), segment_bytes=8 * 1024) for name in ("a", "b")]
    total = 0
    for life in range(10):
        names = [name for name in FAULTS if name not in ("silent", "views missing")]
        fake.faults = deque(
            FAULTS[rng.choice(names)] if rng.random() < 0.4 else None for _ in range(8)
        )
        for _ in range(rng.randrange(1, 60)):
            rng.choice(writers).append(inference(function))
            total += 1
        if life == 5:
            writers[0].close()
            writers[0] = Writer(str(root / "c"), segment_bytes=8 * 1024)
        shipper = make(fake.client())
        asyncio.run(shipper.drain(rng.choice([0.02, 0.1, 5.0])))
    fake.faults.clear()
    for writer in writers:
        writer.close()
    assert asyncio.run(make(fake.client()).drain(30)) == 0
    assert held(fake.engine, function) == exactly(total)
    assert sorted(path.name for path in root.iterdir()) == ["shipper.state"]


def test_an_outage(fake: FakeClickHouse, make: Make, root: Path, function: str) -> None:
    """Refused for a while: rows wait, nobody is asked to come back later, all arrive once."""
    writer = Writer(str(root / "w"))
    fake.stop()
    shipper = make(fake.client())

    async def main() -> None:
        stop = asyncio.Event()
        run = asyncio.create_task(shipper.run(stop))
        for _ in range(5):
            append(writer, [inference(function) for _ in range(10)])
            shipper.wake()
            await asyncio.sleep(0.1)
        assert shipper.last_error is not None
        assert "secret" not in shipper.last_error
        assert (await shipper.waiting_rows()) == (100, True)
        fake.start()
        place = append(writer, [inference(function)])
        assert await shipper.wait_for("w", Position(*place), 20)
        assert shipper.last_error is None
        stop.set()
        await run

    asyncio.run(main())
    assert held(fake.engine, function) == exactly(51)


def test_rows_of_several_writers_make_one_batch(
    fake: FakeClickHouse, make: Make, root: Path, function: str
) -> None:
    writers = [Writer(str(root / str(number))) for number in range(4)]
    for writer in writers:
        append(writer, [inference(function) for _ in range(5)])
    assert asyncio.run(make(fake.client()).drain(20)) == 0
    assert [len(insert.rows) for insert in fake.inserts] == [20, 20]
    assert held(fake.engine, function) == exactly(20)


def test_a_batch_is_never_larger_than_its_limits(
    fake: FakeClickHouse, make: Make, root: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(str(root / "w"))
    append(writer, [inference(function) for _ in range(25)])
    shipper = make(fake.client(), settings=ShipperSettings(max_frames=10))
    assert asyncio.run(shipper.drain(20)) == 0
    assert [len(insert.rows) for insert in fake.inserts] == [10, 10, 10, 10, 5, 5]
    append(writer, [inference(function, input="x" * 4000) for _ in range(9)])
    monkeypatch.setattr("tensorzero.storage.shipper.batch.BLOCK_BYTES", 10_000)
    fake.inserts.clear()
    assert asyncio.run(make(fake.client()).drain(20)) == 0
    sizes = [len(insert.rows) for insert in fake.inserts if insert.table == "ChatInference"]
    assert sizes == [2, 2, 2, 2, 1]
    assert held(fake.engine, function) == exactly(34)


def test_a_segment_is_deleted_only_after_the_checkpoint_is_durable(
    db: EmbeddedDatabase, make: Make, root: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order that power loss asks for: sync, write down, insert, write down, delete."""
    writer = Writer(str(root / "w"), segment_bytes=8 * 1024)
    append(writer, [inference(function) for _ in range(30)])
    steps: list[str] = []
    watched: list[tuple[type, str, str]] = [
        (SpoolReader, "sync", "sync"),
        (StateFile, "write", "write"),
        (SpoolReader, "remove_shipped", "delete"),
        (EmbeddedDatabase, "insert", "insert"),
    ]
    for owner, name, step in watched:
        original = getattr(owner, name)

        def call(*args: object, original: object = original, step: str = step, **more: object):  # type: ignore[no-untyped-def]  # passes on
            steps.append(step)
            return original(*args, **more)  # type: ignore[operator]  # the original method

        monkeypatch.setattr(owner, name, call)
    assert asyncio.run(make(db).drain(20)) == 0
    assert steps == ["sync", "write", "insert", "insert", "write", "delete"]
    assert len(list((root / "w").glob("*.seg"))) == 1


def test_ids_arrive_as_they_were(db: EmbeddedDatabase, make: Make, root: Path) -> None:
    function = "ids"
    frames = [inference(function) for _ in range(50)]
    append(Writer(str(root / "w")), frames)
    assert asyncio.run(make(db).drain(20)) == 0
    rows = db.query_json(
        "SELECT toString(uint_to_uuid(id_uint)) AS id FROM InferenceById "
        "WHERE function_name = {f:String}",
        {"f": function},
    )
    assert {row["id"] for row in rows} == set(ids_of(frames))
