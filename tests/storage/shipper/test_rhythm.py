"""When a batch is sent: at once for a waiter or when idle, else by number or time."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from harness import append, inference, until

from tensorzero.storage.shipper import shipper as module
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings
from tensorzero.storage.spool.directory import Position
from tzcore.spool import Writer

Make = Callable[..., Shipper]


class Sink:
    """Takes everything; remembers how many rows came at once, and when."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.times: list[float] = []
        self.tables: list[str] = []
        self.hold: Any = None
        self.takes_s = 0.0

    def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
        self.tables.append(table)
        if table == "ChatInference":
            self.sizes.append(row_count)
            self.times.append(time.monotonic())
        if self.hold is not None:
            self.hold.wait()
        time.sleep(self.takes_s)

    def command(self, sql: str) -> str:
        raise AssertionError(sql)

    def query_json(self, sql: str, params: Any = None) -> list[dict[str, Any]]:
        raise AssertionError(sql)


def run(shipper: Shipper, script: Callable[[], Any]) -> None:
    async def main() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(shipper.run(stop))
        async with asyncio.timeout(60):
            await script()
        stop.set()
        await task

    asyncio.run(main())


def test_an_idle_shipper_sends_when_nothing_new_comes(make: Make, root: Path) -> None:
    writer, sink = Writer(str(root / "w")), Sink()
    shipper = make(sink, settings=ShipperSettings(flush_interval_s=30.0))

    async def script() -> None:
        append(writer, [inference("f") for _ in range(3)])
        shipper.wake()
        await until(lambda: sink.sizes == [3])

    run(shipper, script)


def test_under_load_a_batch_is_sent_when_its_time_has_come(
    make: Make, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.2)
    writer, sink = Writer(str(root / "w")), Sink()
    shipper = make(sink, settings=ShipperSettings(flush_interval_s=1.0))

    async def script() -> None:
        began = time.monotonic()
        shipper.wake()
        while not sink.sizes:
            append(writer, [inference("f")])
            await asyncio.sleep(0.02)
        assert 0.7 < sink.times[0] - began < 10
        assert sink.sizes[0] > 5

    run(shipper, script)


async def first_batch(shipper: Shipper, sink: Sink, writer: Writer) -> float:
    """Write until a batch is sent; seconds that took."""
    began = time.monotonic()
    shipper.wake()
    while not sink.sizes:
        append(writer, [inference("f")])
        await asyncio.sleep(0.01)
    return sink.times[0] - began


def test_a_small_batch_is_given_more_time(
    make: Make, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 20.0)
    writer, sink = Writer(str(root / "w")), Sink()
    shipper = make(sink, settings=ShipperSettings(flush_interval_s=0.1, patience_s=1.0))

    async def script() -> None:
        assert await first_batch(shipper, sink, writer) > 1.0

    run(shipper, script)


def test_one_that_is_worthwhile_is_not(
    make: Make, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORTHWHILE_FRAMES", 20)
    writer, sink = Writer(str(root / "w")), Sink()
    shipper = make(sink, settings=ShipperSettings(flush_interval_s=0.1, patience_s=50.0))
    append(writer, [inference("f") for _ in range(20)])

    async def script() -> None:
        assert await first_batch(shipper, sink, writer) < 40

    run(shipper, script)
    assert sink.sizes[0] >= 20


def test_a_trickle_leaves_the_database_rest(make: Make, root: Path) -> None:
    """What comes first is sent when nothing follows it; what comes next, later."""
    writer, sink = Writer(str(root / "w")), Sink()
    sink.takes_s = 0.05  # for each of two tables
    shipper = make(sink, settings=ShipperSettings(flush_interval_s=30.0))

    async def script() -> None:
        for count in (1, 2, 3):
            append(writer, [inference("f")])
            shipper.wake()
            await until(lambda count=count: sum(sink.sizes) == count)

    run(shipper, script)
    first, second, third = sink.times
    assert second - first > 1.0
    assert third - second > 1.0


def test_a_reader_gets_the_newest_rows_soon(
    make: Make, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST", 10_000)
    writer, sink = Writer(str(root / "w")), Sink()
    sink.takes_s = 0.01
    shipper = make(sink, settings=ShipperSettings(flush_interval_s=50.0))

    async def script() -> None:
        append(writer, [inference("f")])
        shipper.wake()
        await until(lambda: sink.sizes == [1])
        append(writer, [inference("f")])
        shipper.wake()
        await asyncio.sleep(0.5)
        assert sink.sizes == [1]
        shipper.expect_reader()
        await until(lambda: sink.sizes == [1, 1])

    run(shipper, script)
    assert sink.times[1] - sink.times[0] < 40


def test_a_full_batch_is_sent_at_once(make: Make, root: Path) -> None:
    writer, sink = Writer(str(root / "w")), Sink()
    shipper = make(sink, settings=ShipperSettings(max_rows=10, flush_interval_s=30.0))
    append(writer, [inference("f") for _ in range(25)])

    async def script() -> None:
        shipper.wake()
        await until(lambda: sum(sink.sizes) == 25)

    run(shipper, script)
    assert len(sink.sizes) <= 3


def test_waiters_are_served_together(
    make: Make, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group commit: while one batch is on its way, later waiters gather for the next."""
    monkeypatch.setattr(module, "TICK_S", 20.0)
    writer, sink = Writer(str(root / "w")), Sink()
    sink.hold = threading.Event()
    shipper = make(sink, settings=ShipperSettings(flush_interval_s=30.0))

    async def script() -> None:
        first = asyncio.create_task(
            shipper.wait_for("w", Position(*append(writer, [inference("f")])), 30)
        )
        await until(lambda: sink.sizes == [1])
        others = [
            asyncio.create_task(
                shipper.wait_for("w", Position(*append(writer, [inference("f")])), 30)
            )
            for _ in range(50)
        ]
        await asyncio.sleep(0.05)
        assert not first.done()
        sink.hold.set()
        assert all(await asyncio.gather(first, *others))

    run(shipper, script)
    assert sink.sizes == [1, 50]


def test_a_waiter_does_not_wait_for_ever(make: Make, root: Path) -> None:
    writer, sink = Writer(str(root / "w")), Sink()
    sink.hold = threading.Event()
    shipper = make(sink)

    async def script() -> None:
        place = Position(*append(writer, [inference("f")]))
        assert not await shipper.wait_for("w", place, 0.2)
        sink.hold.set()
        assert await shipper.wait_for("w", place, 20)

    run(shipper, script)


def test_a_lost_wake_up_costs_latency_only(
    make: Make, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.2)
    writer, sink = Writer(str(root / "w")), Sink()
    shipper = make(sink)

    async def script() -> None:
        await asyncio.sleep(0.1)
        append(writer, [inference("f")])
        await until(lambda: sink.sizes == [1])

    run(shipper, script)


def test_an_idle_shipper_costs_next_to_nothing(make: Make, root: Path) -> None:
    Writer(str(root / "w"))
    shipper = make(Sink())

    async def script() -> None:
        await asyncio.sleep(0.5)
        before = sum(os.times()[:2])
        await asyncio.sleep(3.0)
        assert sum(os.times()[:2]) - before < 0.06

    writer = Writer(str(root / "v"))
    run(shipper, script)
    writer.close()


def test_a_stop_does_not_wait_for_an_insert_that_hangs(make: Make, root: Path) -> None:
    writer, sink = Writer(str(root / "w")), Sink()
    append(writer, [inference("f") for _ in range(4)])
    sink.hold = threading.Event()
    shipper = make(sink)

    async def main() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(shipper.run(stop))
        await until(lambda: sink.sizes == [4])
        stop.set()
        await asyncio.wait_for(task, 5)
        assert await shipper.drain(0.1) == 8
        assert shipper.busy
        sink.hold.set()
        assert await shipper.drain(20) == 0
        assert not shipper.busy
        shipper.close()

    asyncio.run(main())
    assert sink.sizes == [4]


def test_ids_on_their_way_are_found(make: Make, root: Path) -> None:
    writer = Writer(str(root / "w"), segment_bytes=8 * 1024)
    frames = [inference("f") for _ in range(20)]
    append(writer, frames)
    ids = [orjson.loads(frame[0][1])["id"] for frame in frames]
    episodes = [orjson.loads(frame[0][1])["episode_id"] for frame in frames]
    # What a client writes into its texts and tags is no id of a row.
    other = str(uuid4())
    spoof = {"id": other, "x": f'","episode_id":"{other}"'}
    append(writer, [inference("f", tags=spoof, input=f'{{"id":"{other}"}}')])
    shipper = make(Sink())

    async def main() -> None:
        found = await shipper.find([ids[0], ids[-1], other], [episodes[3], other, ids[1]])
        assert set(found.rows) == {ids[0], ids[-1], episodes[3]}
        assert found.rows[ids[0]] == ("ChatInference", frames[0][0][1])
        assert found.complete
        assert await shipper.waiting_rows() == (42, True)
        assert await shipper.drain(20) == 0
        assert not (await shipper.find(ids, episodes)).rows

    asyncio.run(main())
