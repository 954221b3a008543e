"""One bad row costs nothing but itself; what is no row is kept too."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from harness import FakeClickHouse, append, cut_after, exactly, held, inference, memory

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.shipper import batch
from tensorzero.storage.shipper.quarantine import Quarantine
from tensorzero.storage.shipper.shipper import Shipper
from tensorzero.storage.spool.segment import Damage
from tzcore.spool import Writer

Make = Callable[..., Shipper]


def quarantined(tmp_path: Path) -> list[dict[str, Any]]:
    lines = (tmp_path / "quarantine" / "rows.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]


@pytest.mark.parametrize("places", [[0], [29], [7, 8, 20]])
def test_bad_rows_are_quarantined_alone(
    places: list[int],
    db: EmbeddedDatabase,
    make: Make,
    root: Path,
    tmp_path: Path,
    function: str,
) -> None:
    writer = Writer(str(root / "w"))
    frames = [inference(function) for _ in range(30)]
    for place in places:
        row = orjson.loads(frames[place][0][1]) | {"processing_time_ms": "soon"}
        frames[place][0] = (b"ChatInference", orjson.dumps(row))
    append(writer, frames)
    shipper = make(db)
    assert asyncio.run(shipper.drain(30)) == 0
    found = held(db, function)
    good = 30 - len(places)
    assert found == exactly(good) | {"ModelInference": 30, "tokens": 30} | {
        "ModelProviderStatistics": 30
    }
    assert shipper.quarantine.count == len(places)
    entries = quarantined(tmp_path)
    assert [entry["table"] for entry in entries] == ["ChatInference"] * len(places)
    for entry, place in zip(entries, places, strict=True):
        assert entry["row"].encode() == frames[place][0][1]
        assert "Code:" in entry["error"]


def test_a_split_is_repeated_with_the_same_tokens(
    fake: FakeClickHouse, make: Make, root: Path, tmp_path: Path, function: str
) -> None:
    """In doubt in the middle of a split: the halves are known, and the bad row is kept once."""
    writer = Writer(str(root / "w"))
    frames = [inference(function) for _ in range(8)]
    frames[6][0] = (b"ChatInference", b'{"id": 7}')
    append(writer, frames)
    # Rejected (8), good (4), good (2), lost answer for the good row beside the bad one.
    fake.faults = deque([None, None, None, None, None, cut_after])
    assert asyncio.run(make(fake.client()).drain(30)) == 0
    assert held(fake.engine, function)["InferenceById"] == 7
    assert held(fake.engine, function)["VariantStatistics"] == 7
    assert len(quarantined(tmp_path)) == 1
    sent: dict[str, set[bytes]] = {}
    for insert in fake.inserts:
        sent.setdefault(insert.token, set()).add(b"\n".join(insert.rows))
    assert all(len(bodies) == 1 for bodies in sent.values())


def test_no_error_but_a_definite_one_splits_a_batch(
    fake: FakeClickHouse, make: Make, root: Path, function: str
) -> None:
    writer = Writer(str(root / "w"))
    append(writer, [inference(function) for _ in range(10)])
    fake.faults = deque([memory] * 4)
    assert asyncio.run(make(fake.client()).drain(30)) == 0
    assert [len(insert.rows) for insert in fake.inserts] == [10] * 6
    assert held(fake.engine, function) == exactly(10)


def test_a_column_that_the_table_lacks_is_no_rows_fault(
    db: EmbeddedDatabase, make: Make, root: Path, tmp_path: Path, function: str
) -> None:
    """A gateway newer than its database: rows wait for the migration, none is quarantined."""
    writer = Writer(str(root / "w"))
    append(writer, [inference(function, brand_new_column=1) for _ in range(5)])
    shipper = make(db)
    assert asyncio.run(shipper.drain(0.5)) == 10
    assert "Unknown field" in (shipper.last_error or "")
    db.command("ALTER TABLE ChatInference ADD COLUMN brand_new_column UInt8")
    try:
        assert asyncio.run(make(db).drain(20)) == 0
    finally:
        db.command("ALTER TABLE ChatInference DROP COLUMN brand_new_column")
    assert held(db, function) == exactly(5)
    assert not (tmp_path / "quarantine").exists()


def test_a_row_too_large_for_the_database_holds_nothing_up(
    fake: FakeClickHouse,
    make: Make,
    root: Path,
    tmp_path: Path,
    function: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "LARGE_ROW_BYTES", 50_000)
    monkeypatch.setattr("tensorzero.storage.shipper.delivery.LARGE_ROW_BYTES", 50_000)
    writer = Writer(str(root / "w"))
    frames = [inference(function) for _ in range(4)]
    frames.insert(2, inference(function, input="x" * 60_000))
    append(writer, frames)

    def no_memory_for_large(fake: Any, handler: Any, run: Callable[[], None]) -> bool:
        return len(fake.inserts[-1].rows[0]) > 50_000 and memory(fake, handler, run)

    fake.faults = deque([no_memory_for_large] * 100)
    assert asyncio.run(make(fake.client()).drain(30)) == 0
    (entry,) = quarantined(tmp_path)
    assert len(entry["row"]) > 60_000
    assert held(fake.engine, function)["ChatInference"] == 4
    assert held(fake.engine, function)["VariantStatistics"] == 4
    # It goes alone, and is tried more than once.
    assert [len(i.rows) for i in fake.inserts if len(i.rows[0]) > 50_000] == [1] * 8


def test_tables_that_are_none(
    db: EmbeddedDatabase, make: Make, root: Path, tmp_path: Path, function: str
) -> None:
    writer = Writer(str(root / "w"))
    append(writer, [inference(function)])
    writer.append([(b"no table; DROP", b"{}"), (b"\xff", b"{}")])
    assert asyncio.run(make(db).drain(20)) == 0
    assert len(quarantined(tmp_path)) == 2
    assert held(db, function) == exactly(1)


def test_damaged_bytes_are_kept(
    db: EmbeddedDatabase, make: Make, root: Path, tmp_path: Path, function: str
) -> None:
    writer = Writer(str(root / "w"))
    append(writer, [inference(function) for _ in range(3)])
    path = root / "w" / "0000000001.seg"
    with open(path, "r+b") as file:
        file.seek(16 + 40)
        file.write(b"\0DAMAGE\0")
    shipper = make(db)
    assert asyncio.run(shipper.drain(20)) == 0
    assert held(db, function) == exactly(2)
    (kept,) = (tmp_path / "quarantine").glob("*.bin")
    assert b"DAMAGE" in kept.read_bytes()
    assert shipper.quarantine.count == 1


def test_the_quarantine_survives_a_cut_line(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q")
    quarantine.add_row("t", b"one", "no", "token-1")
    with open(tmp_path / "q" / "rows.jsonl", "ab") as file:
        file.write(b'{"time":1,"tab')
    again = Quarantine(tmp_path / "q")
    again.add_row("t", b"one", "no", "token-1")
    again.add_row("t", "zwé \ud800".encode("utf-8", "surrogatepass"), "no", "token-2")
    lines = (tmp_path / "q" / "rows.jsonl").read_bytes().splitlines()
    assert [orjson.loads(lines[n])["token"] for n in (0, 2)] == ["token-1", "token-2"]
    assert (len(lines), again.count) == (3, 1)
    damage = Damage(16, 20, b"1234")
    for _ in range(2):
        again.add_damage(tmp_path / "w" / "0000000001.seg", damage)
    assert os.listdir(tmp_path / "q").count("w-0000000001-16.bin") == 1
    assert again.count == 2


def test_blocks() -> None:
    """Cut by rows, by bytes, and around large rows; nothing is lost or moved."""
    large = b"L" * batch.LARGE_ROW_BYTES
    for rows in ([], [b"a"], [large], [b"a", large, b"b"], [large, large], [b"a"] * 250_000):
        cut = [list(block) for block in batch.blocks(rows)]
        assert [row for block in cut for row in block] == rows
        assert all(len(block) <= batch.BLOCK_ROWS for block in cut)
        assert all(len(block) == 1 for block in cut if large in block)
    half = b"h" * (batch.LARGE_ROW_BYTES // 2)
    assert [len(block) for block in batch.blocks([half] * 20)] == [7, 7, 6]
