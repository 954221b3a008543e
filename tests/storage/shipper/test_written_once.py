"""Rows that two gateways write to spools of their own are in every table and target once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from harness import FakeClickHouse, append, exactly, held, inference

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings
from tensorzero.storage.shipper.sink import SinkUnavailable
from tensorzero.storage.shipper.waiting_inferences import find_inferences
from tensorzero.storage.spool.once import once_of, table_of, written_once
from tzcore.spool import Writer

Make = Callable[..., Shipper]
Rows = list[tuple[bytes, bytes]]


def results(function: str, count: int) -> Rows:
    return [row for _ in range(count) for row in inference(function)]


def otherwise(rows: Rows) -> Rows:
    """The same rows with other bytes, as another gateway's config would make them."""

    def changed(row: bytes) -> bytes:
        columns = orjson.loads(row)
        columns["snapshot_hash"] = "7"
        return orjson.dumps(columns)

    return [(table, changed(row)) for table, row in rows]


def shipper_of(folder: Path, name: str, sink: Any, rows: list[Rows]) -> Shipper:
    """A gateway's shipper, with a spool in which these frames wait."""
    root = folder / name / "spool"
    append(Writer(str(root / "w")), rows)
    settings = ShipperSettings(flush_interval_s=0.2)
    return Shipper(
        spool_root=root, quarantine=folder / name / "quarantine", sink=sink, settings=settings
    )


def test_names() -> None:
    rows = written_once([(b"A", b"1"), (b"B", b"2"), (b"A", b"3")], "k:1")
    assert rows == [(b"A 2 k:1", b"1"), (b"B 1 k:1", b"2"), (b"A 2 k:1", b"3")]
    assert (table_of(b"A 2 k:1"), once_of(b"A 2 k:1")) == (b"A", (2, "k:1"))
    for other in (b"A", b"no table; DROP", b"A x k", b"A 1 ", b"A 0 k", b"A 1 \xff", b"A 1 k k"):
        assert (table_of(other), once_of(other)) == (other, None)


def test_at_the_same_moment(fake: FakeClickHouse, tmp_path: Path, function: str) -> None:
    """Both have looked and found nothing when the first insert begins."""
    rows = results(function, 30)
    both = threading.Barrier(2)

    class Sink:
        def __init__(self) -> None:
            self.client = fake.client()
            self.command, self.query_json = self.client.command, self.client.query_json

        def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
            both.wait(30)
            self.client.insert(table, rows, row_count, token=token)

    plain = inference(function)
    shippers = [
        shipper_of(tmp_path, "a", Sink(), [written_once(rows, "key")]),
        shipper_of(tmp_path, "b", Sink(), [written_once(otherwise(rows), "key")]),
    ]

    async def ship() -> list[int]:
        return await asyncio.gather(*(shipper.drain(40) for shipper in shippers))

    assert asyncio.run(ship()) == [0, 0]
    assert [insert.table for insert in fake.inserts] == ["ChatInference"] * 2 + [
        "ModelInference"
    ] * 2
    assert len({insert.token for insert in fake.inserts}) == 2
    assert held(fake.engine, function) == exactly(30)
    # The same under another key, or none, is something else.
    last = shipper_of(
        tmp_path, "c", fake.client(), [plain, written_once(results(function, 3), "x")]
    )
    assert asyncio.run(last.drain(20)) == 0
    assert held(fake.engine, function) == exactly(34)


def test_long_after(fake: FakeClickHouse, tmp_path: Path, function: str) -> None:
    """The database has forgotten the token; it still has the rows."""
    rows = results(function, 8)
    for name, frame in (("a", rows), ("b", otherwise(rows))):
        shipper = shipper_of(tmp_path, name, fake.client(), [written_once(frame, function)])
        assert asyncio.run(shipper.drain(20)) == 0
        assert held(fake.engine, function) == exactly(8)
        window = "MODIFY SETTING non_replicated_deduplication_window ="
        for table in ("ChatInference", "ModelInference"):
            fake.engine.command(f"ALTER TABLE {table} {window} 0")
            fake.engine.command(f"ALTER TABLE {table} {window} 1000")
    assert len(fake.inserts) == 2


def test_some_are_there(fake: FakeClickHouse, tmp_path: Path, function: str) -> None:
    rows = results(function, 8)
    first = shipper_of(tmp_path, "a", fake.client(), [written_once(rows[:6], f"{function}:3")])
    assert asyncio.run(first.drain(20)) == 0
    whole = shipper_of(tmp_path, "b", fake.client(), [written_once(rows, f"{function}:8")])
    assert asyncio.run(whole.drain(20)) == 0
    assert held(fake.engine, function) == exactly(8)


def test_a_frame_that_was_written_again(
    db: EmbeddedDatabase, tmp_path: Path, function: str
) -> None:
    """By the poll after one that died: both wait in one spool, in one batch."""
    rows = results(function, 5)
    frames = [written_once(rows, function), written_once(otherwise(rows), function)]
    shipper = shipper_of(tmp_path, "a", db, frames)
    wanted = orjson.loads(rows[0][1])["id"]
    found = find_inferences(shipper.root, {}, [wanted], [])
    assert found.rows[wanted][0] == "ChatInference"
    assert asyncio.run(shipper.drain(20)) == 0
    assert held(db, function) == exactly(5)


def test_a_bad_row_among_them(db: EmbeddedDatabase, tmp_path: Path, function: str) -> None:
    """The others are sent in the same parts by everybody, also where nothing is looked up."""
    rows = results(function, 7)
    bad = orjson.dumps({**orjson.loads(rows[4][1]), "processing_time_ms": "soon"})
    rows[4] = (rows[4][0], bad)

    class Away:
        """Not there at the first insert."""

        command, query_json = db.command, db.query_json
        away = True

        def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
            if self.away:
                self.away = False
                raise SinkUnavailable("away")
            db.insert(table, rows, row_count, token=token)

    for name, frame in (("a", rows), ("b", otherwise(rows))):
        shipper = shipper_of(tmp_path, name, Away(), [written_once(frame, function)])
        assert asyncio.run(shipper.drain(20)) == 0
        assert shipper.quarantine.count == 1
    counts = held(db, function)
    assert (counts["ChatInference"], counts["distinct"], counts["InferenceById"]) == (6, 6, 6)
    assert counts["ModelInference"] == 7
