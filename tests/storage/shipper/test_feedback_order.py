"""Feedback reaches the database after what it is about, whoever wrote either, whatever fails."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from harness import (
    FAULTS,
    FakeClickHouse,
    append,
    exactly,
    feedback,
    feedback_held,
    held,
    ids_of,
    inference,
    running,
    until,
)

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.shipper import held_feedback
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings
from tzcore.spool import Writer

Make = Callable[..., Shipper]
SMALL = ShipperSettings(max_frames=13, flush_interval_s=0.05)


class Recording:
    """A sink that takes everything, and says which feedback came before its inference."""

    def __init__(self) -> None:
        self.inferences: set[str] = set()
        self.feedback: list[str] = []
        self.early: list[str] = []

    def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
        for line in rows.splitlines():
            row = orjson.loads(line)
            if table == "ChatInference":
                self.inferences |= {row["id"], row["episode_id"]}
            elif table == "BooleanMetricFeedback":
                self.feedback.append(row["id"])
                if row["target_id"] not in self.inferences:
                    self.early.append(row["id"])

    def command(self, sql: str) -> str:
        raise AssertionError(sql)

    def query_json(self, sql: str, params: Any = None) -> list[dict[str, Any]]:
        raise AssertionError(sql)


def everywhere(count: int) -> dict[str, int]:
    return {
        "BooleanMetricFeedback": count,
        "BooleanMetricFeedbackByTargetId": count,
        "BooleanMetricFeedbackByVariant": count,
        "FeedbackByVariantStatistics": count,
    }


@pytest.mark.parametrize("names", ["az", "za"])
def test_behind_a_backlog_of_another_worker(
    names: str, make: Make, root: Path, db: EmbeddedDatabase, function: str
) -> None:
    """Whatever the folders' order, and though the inferences take many batches."""
    inferences = Writer(str(root / names[0]), segment_bytes=8 * 1024)
    frames = [inference(function) for _ in range(40)]
    append(inferences, frames)
    writer = Writer(str(root / f"{names[1]}.feedback"), segment_bytes=4 * 1024)
    for id_ in reversed(ids_of(frames)):
        writer.append(feedback(id_, metric_name=function))
    assert asyncio.run(make(db, settings=SMALL).drain(60)) == 0
    assert held(db, function) == exactly(40)
    assert feedback_held(db, function) == everywhere(40)


def test_an_episode_of_several_workers(
    make: Make, root: Path, db: EmbeddedDatabase, function: str
) -> None:
    """All inferences before it are seen: two variants of an episode, so no row by variant."""
    episode = orjson.loads(inference(function)[0][1])["episode_id"]
    other = orjson.loads(inference(function)[0][1])["episode_id"]
    first, second = Writer(str(root / "b")), Writer(str(root / "z"))
    append(first, [inference(function) for _ in range(20)])
    first.append(inference(function, episode_id=episode))
    first.append(inference(function, episode_id=other))
    append(second, [inference(function) for _ in range(20)])
    second.append(inference(function, episode_id=episode, variant_name="w"))
    writer = Writer(str(root / "a.feedback"))
    writer.append(feedback(episode, metric_name=function))
    writer.append(feedback(other, metric_name=function))
    assert asyncio.run(make(db, settings=SMALL).drain(60)) == 0
    assert feedback_held(db, function) == {
        **everywhere(2),
        "BooleanMetricFeedbackByVariant": 1,
        "FeedbackByVariantStatistics": 1,
    }


@pytest.mark.parametrize("max_frames", [4, 10, 60])
def test_several_workers_at_once(max_frames: int, make: Make, root: Path) -> None:
    """Threads record and, as soon as an inference is recorded by any, give feedback on it, while
    batches are small and the shipper is replaced now and then."""
    sink = Recording()
    known: deque[str] = deque(maxlen=50)
    wanted: list[str] = []

    def work(name: str) -> None:
        inferences = Writer(str(root / name), segment_bytes=16 * 1024)
        own = Writer(str(root / f"{name}.feedback"))
        mine = random.Random(name)
        for _ in range(60):
            for _ in range(mine.randrange(3)):
                frame = inference("f")
                inferences.append(frame)
                row = orjson.loads(frame[0][1])
                known.append(row[mine.choice(("id", "episode_id"))])
            if known:
                frame = feedback(known[-1])
                own.append(frame)
                wanted.append(orjson.loads(frame[0][1])["id"])
            time.sleep(mine.random() / 100)
        inferences.close()
        own.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("m", "a", "z")]
    settings = ShipperSettings(max_frames=max_frames, flush_interval_s=0.01)

    async def main() -> None:
        while any(thread.is_alive() for thread in threads):
            shipper = make(sink, settings=settings)
            await running(shipper, partial(asyncio.sleep, 0.15))
            shipper.close()
        assert await make(sink, settings=settings).drain(60) == 0

    for thread in threads:
        thread.start()
    asyncio.run(main())
    assert sink.early == []
    assert sorted(set(sink.feedback)) == sorted(wanted)


def test_feedback_gets_through_a_load_that_never_ends(make: Make, root: Path) -> None:
    """The spool grows faster than it is shipped: what had been there is enough."""
    writer = Writer(str(root / "a"), segment_bytes=4 * 1024)
    frames = [inference("f") for _ in range(10)]
    append(writer, frames)
    own = Writer(str(root / "a.feedback"))
    own.append(feedback(ids_of(frames)[-1]))

    class Slow(Recording):
        def insert(self, *args: Any, **options: Any) -> None:
            append(writer, [inference("f") for _ in range(10)])
            super().insert(*args, **options)

    sink = Slow()
    shipper = make(sink, settings=SMALL)

    async def meanwhile() -> None:
        await until(lambda: bool(sink.feedback))

    asyncio.run(running(shipper, meanwhile))
    assert sink.early == []


def test_a_folder_that_cannot_be_read_does_not_hold_feedback_for_ever(
    make: Make, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, lost = Writer(str(root / "a")), Writer(str(root / "b"))
    frames = [inference("f")]
    append(writer, frames)
    append(lost, [inference("f")])
    own = Writer(str(root / "a.feedback"))
    own.append(feedback(ids_of(frames)[0]))
    segment = Path(lost.directory) / "0000000001.seg"
    segment.rename(root / "hidden")
    segment.mkdir()  # reading it is an error
    sink = Recording()
    assert asyncio.run(make(sink).drain(1)) > 0
    assert sink.feedback == []
    monkeypatch.setattr(held_feedback, "UNREADABLE_S", 0.0)
    asyncio.run(make(sink).drain(1))
    assert len(sink.feedback) == 1
    segment.rmdir()
    (root / "hidden").rename(segment)
    assert asyncio.run(make(sink).drain(20)) == 0
    assert (len(sink.inferences), len(sink.feedback)) == (4, 1)


@pytest.mark.parametrize("fault", ["cut before", "cut after", "504 after"])
@pytest.mark.parametrize("at", range(3))
def test_in_doubt_nothing_is_counted_twice(
    fault: str, at: int, fake: FakeClickHouse, make: Make, root: Path, function: str
) -> None:
    writer, own = Writer(str(root / "z")), Writer(str(root / "a.feedback"))
    frames = [inference(function) for _ in range(10)]
    append(writer, frames)
    for id_ in ids_of(frames):
        own.append(feedback(id_, metric_name=function))
    fake.faults = deque([*[None] * at, *[FAULTS[fault]] * 2])
    assert asyncio.run(make(fake.client()).drain(60)) == 0
    assert held(fake.engine, function) == exactly(10)
    assert feedback_held(fake.engine, function) == everywhere(10)
    assert [insert.table for insert in fake.inserts][-1] == "BooleanMetricFeedback"


class Died(Exception):
    """The shipper's process dies here."""


@pytest.mark.parametrize("after", range(4))
def test_a_shipper_that_dies_with_feedback_in_its_batch(
    after: int, db: EmbeddedDatabase, make: Make, root: Path, function: str
) -> None:
    """The next one sends the same rows, though more of both has come in."""
    writer, own = Writer(str(root / "z")), Writer(str(root / "a.feedback"))

    def record(count: int) -> None:
        frames = [inference(function) for _ in range(count)]
        append(writer, frames)
        for id_ in ids_of(frames):
            own.append(feedback(id_, metric_name=function))

    class Dying:
        inserts = 0

        def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
            if self.inserts < after:
                db.insert(table, rows, row_count, token=token)
            self.inserts += 1
            if self.inserts > after:
                raise Died

    record(12)
    sink: Any = Dying()
    asyncio.run(make(sink).drain(0.2))
    record(5)
    assert asyncio.run(make(db).drain(60)) == 0
    assert held(db, function) == exactly(17)
    assert feedback_held(db, function) == everywhere(17)


def test_when_nothing_is_known_feedback_is_compared_too(
    db: EmbeddedDatabase, make: Make, root: Path, function: str
) -> None:
    """The state is lost after a half of it was shipped."""
    writer, own = Writer(str(root / "z")), Writer(str(root / "a.feedback"))
    human = {
        "metric_name": function,
        "datapoint_id": "0190f000-0000-7000-8000-000000000001",
        "output": "[]",
        "value": "true",
        "evaluator_inference_id": function_id(),
    }
    frames = [inference(function) for _ in range(6)]
    append(writer, frames)
    for id_ in ids_of(frames):
        given = feedback(id_, metric_name=function)
        row = {"feedback_id": orjson.loads(given[0][1])["id"]} | human
        own.append([*given, (b"StaticEvaluationHumanFeedback", orjson.dumps(row))])
    segments = {path: path.read_bytes() for path in root.glob("*/*.seg")}
    assert asyncio.run(make(db).drain(60)) == 0
    for path, content in segments.items():
        path.write_bytes(content)
    shipper = make(db, distrust=True)
    assert asyncio.run(shipper.drain(60)) == 0
    assert held(db, function) == exactly(6)
    assert feedback_held(db, function) == everywhere(6)
    counted = db.command(
        f"SELECT count() FROM StaticEvaluationHumanFeedback WHERE metric_name = '{function}'"
    )
    assert int(counted) == 6


def function_id() -> str:
    return str(orjson.loads(inference("f")[0][1])["id"])
