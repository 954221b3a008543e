"""Workers and shipper over their Unix socket: wake, flush, shipped, questions."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import uvloop
from harness import feedback, inference, new_id, until
from test_rhythm import Sink

from tensorzero.gateway.recorder import FoundRow
from tensorzero.server import recording
from tensorzero.server.adoption import Adoption
from tensorzero.server.control import Control
from tensorzero.server.feedback_spool import FeedbackSpool
from tensorzero.server.preparation import PreparedDatabase
from tensorzero.server.recording import ShipperLink, SpoolRecorder
from tensorzero.storage.database.errors import DatabaseUnavailable, SinkUnavailable
from tensorzero.storage.shipper import shipper as module
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings
from tensorzero.types.errors import ObservabilityUnavailable
from tzcore.spool import Writer

Make = Callable[..., Shipper]
SLOW = ShipperSettings(flush_interval_s=30.0)


class Worker:
    """A worker's side: a writer, its link, its recorder."""

    def __init__(self, root: Path, socket: str, name: str = "w", **options: Any) -> None:
        self.writer = Writer(str(root / name), segment_bytes=64 * 1024, **options)
        self.link = ShipperLink(socket, name)
        self.recorder = SpoolRecorder(self.writer, self.link, required=False)
        self.link.start()


def run(shipper: Shipper, socket: str, script: Callable[[], Any]) -> None:
    async def main() -> None:
        control = Control(shipper, socket)
        await control.start()
        stop = asyncio.Event()
        task = asyncio.create_task(shipper.run(stop))
        async with asyncio.timeout(60):
            await script()
        stop.set()
        await task
        control.close()

    uvloop.run(main())  # the workers' event loop


@pytest.fixture
def socket(tmp_path: Path) -> str:
    return str(tmp_path / "shipper.sock")


def test_a_write_wakes_an_idle_shipper_once(
    make: Make, root: Path, socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 60.0)  # nothing is found by looking
    sink = Sink()
    shipper = make(sink, settings=SLOW)
    wakes = 0
    wake = shipper.wake

    def counted() -> None:
        nonlocal wakes
        wakes += 1
        wake()

    monkeypatch.setattr(shipper, "wake", counted)

    async def script() -> None:
        worker = Worker(root, socket)
        await until(lambda: worker.link._transport is not None)
        assert stat.S_IMODE(os.stat(socket).st_mode) == 0o600
        for round_ in range(1, 4):
            for _ in range(100):
                worker.recorder.append(inference("f"))
            await until(lambda total=round_ * 100: sum(sink.sizes) == total)  # type: ignore[misc]  # bound now
            await until(lambda: not worker.link.awake)
        worker.recorder.close()

    run(shipper, socket, script)
    assert 3 <= wakes <= 6


def test_the_waiting_mode_waits_for_the_database(
    make: Make, root: Path, socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 30.0)
    sink = Sink()
    shipper = make(sink, settings=SLOW)

    async def script() -> None:
        worker = Worker(root, socket)
        # Before the connection is there, too.
        await worker.recorder.flushed(worker.recorder.append(inference("f")))
        assert sink.sizes == [1]
        sink.hold = threading.Event()
        places = [worker.recorder.append(inference("f")) for _ in range(30)]
        waits = [asyncio.create_task(worker.recorder.flushed(place)) for place in places]
        await until(lambda: len(sink.sizes) == 2)
        await asyncio.sleep(0.05)
        assert not any(wait.done() for wait in waits)
        sink.hold.set()
        await asyncio.gather(*waits)
        assert sum(sink.sizes) == 31
        assert worker.link._waiters == []
        worker.recorder.close()

    run(shipper, socket, script)


def test_the_waiting_mode_answers_anyway(
    make: Make, root: Path, socket: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(recording, "WAIT_S", 0.3)
    sink = Sink()
    sink.hold = threading.Event()
    shipper = make(sink)

    async def script() -> None:
        worker = Worker(root, socket)
        began = time.monotonic()
        await worker.recorder.flushed(worker.recorder.append(inference("f")))
        assert 0.25 < time.monotonic() - began < 10
        sink.hold.set()
        await worker.recorder.flushed(None)
        worker.recorder.close()

    run(shipper, socket, script)
    assert "did not confirm what was recorded in 0.3 s" in caplog.text
    assert recording.WAIT_S == 0.3


def test_a_shipper_that_comes_back_is_found_again(make: Make, root: Path, socket: str) -> None:
    """A waiter that the old shipper left is served by the new one."""

    async def main() -> None:
        old = make(Sink())
        control = Control(old, socket)
        await control.start()
        worker = Worker(root, socket)
        await until(lambda: worker.link._transport is not None)
        wait = asyncio.create_task(worker.recorder.flushed(worker.recorder.append(inference("f"))))
        await asyncio.sleep(0.05)
        control.close()  # it dies before it has shipped anything
        old.close()
        await until(lambda: worker.link._transport is None)
        sink = Sink()
        shipper = make(sink)
        control = Control(shipper, socket)
        await control.start()
        stop = asyncio.Event()
        task = asyncio.create_task(shipper.run(stop))
        async with asyncio.timeout(20):
            await wait
        assert sink.sizes == [1]
        stop.set()
        await task
        worker.recorder.close()
        control.close()

    uvloop.run(main())  # the workers' event loop


def test_questions(make: Make, root: Path, socket: str) -> None:
    sink = Sink()
    sink.hold = threading.Event()
    shipper = make(sink)

    async def script() -> None:
        worker = Worker(root, socket)
        rows = inference("f")
        id_ = orjson.loads(rows[0][1])["id"]
        find = worker.recorder.find_waiting
        assert await find("inference", [id_]) == ({}, True)  # asked as soon as there is a link
        await until(lambda: worker.link._transport is not None)
        worker.recorder.append(rows)
        assert await find("inference", [id_, "0" * 36]) == ({id_: None}, True)
        assert await find("episode", [id_]) == ({}, True)
        row = orjson.loads(rows[0][1])
        found, _ = await find("episode", [row["episode_id"]], row=True)
        assert found == {row["episode_id"]: FoundRow("ChatInference", row)}
        status = await worker.link.ask({"status": True}, 10)
        assert status is not None
        assert (status["waiting_rows"], status["quarantined"]) == (2, 0)
        sink.hold.set()
        await worker.recorder.flushed(worker.recorder.append(inference("f")))
        assert await find("inference", [id_]) == ({}, True)
        worker.recorder.close()

    run(shipper, socket, script)


@pytest.mark.parametrize("garbage", [b"\n", b"{\n", b'{"flush":7}\n', b"[1]\n", b"x" * 100_000])
def test_garbage_on_the_socket_harms_nobody_else(
    make: Make, root: Path, socket: str, garbage: bytes
) -> None:
    sink = Sink()
    shipper = make(sink)

    async def script() -> None:
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(garbage)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        worker = Worker(root, socket)
        await worker.recorder.flushed(worker.recorder.append(inference("f")))
        assert sink.sizes == [1]
        worker.recorder.close()

    run(shipper, socket, script)


def test_a_full_spool_is_counted_logged_and_noticed(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(str(root / "w"), segment_bytes=64 * 1024, limit_bytes=64 * 1024)
    recorder = SpoolRecorder(writer, ShipperLink("/nowhere", "w"), required=False)
    recorder.check()
    assert recorder.has_room()
    while recorder.append(inference("f")) is not None:
        pass
    assert not recorder.has_room()
    for _ in range(99):
        recorder.append(inference("f"))
    assert recorder.dropped == 100
    lines = [r.message for r in caplog.records if "not recorded" in r.message]
    assert len(lines) == 1 and "(1 so far)" in lines[0]
    recorder.check()  # unset: the answer comes


def test_required_recording_refuses_before_a_call_and_keeps_its_promise(root: Path) -> None:
    """What passed the check is recorded, a whole segment of it."""
    writer = Writer(str(root / "w"), segment_bytes=64 * 1024, limit_bytes=128 * 1024)
    recorder = SpoolRecorder(writer, ShipperLink("/nowhere", "w"), required=True)
    recorder.check()
    for _ in range(100):
        assert recorder.append(inference("f")) is not None
    with pytest.raises(ObservabilityUnavailable, match=r"observability.enabled = true.*limit") as e:
        recorder.check()
    assert e.value.status == 503
    assert not recorder.has_room()
    # Room again: the next request is taken.
    writer.close()
    os.unlink(root / "w" / "0000000001.seg")
    again = SpoolRecorder(
        Writer(str(root / "v"), segment_bytes=32 * 1024, limit_bytes=128 * 1024),
        ShipperLink("/nowhere", "v"),
        required=True,
    )
    again.check()
    assert again.has_room()


def test_feedback_alone_wakes_the_shipper_and_lets_it_sleep(
    make: Make, root: Path, socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Again and again: without a wake-up it would come at the next look only."""
    monkeypatch.setattr(module, "LOOK_S", 300.0)
    sink = Sink()

    async def script() -> None:
        worker = Worker(root, socket)
        spool = FeedbackSpool("w", lambda name, size: Writer(str(root / name), segment_bytes=size))
        worker.recorder.feedback = spool
        await until(lambda: worker.link._transport is not None)
        for count in (1, 2, 3):
            worker.recorder.append_feedback(feedback(new_id()))
            await until(lambda wanted=count: sink.tables.count("BooleanMetricFeedback") == wanted)
            await until(lambda: not worker.link.awake)
        worker.recorder.close()

    run(make(sink), socket, script)


def test_a_full_spool_and_feedback(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    def make_writer(name: str, size: int) -> Writer:
        return Writer(str(root / name), segment_bytes=size, limit_bytes=3 * 1024 * 1024)

    def recorder(name: str, *, required: bool) -> SpoolRecorder:
        return SpoolRecorder(
            *(make_writer(name, 64 * 1024), ShipperLink("/nowhere", name)),
            required=required,
            feedback=FeedbackSpool(name, make_writer),
        )

    required, unset = recorder("r", required=True), recorder("u", required=False)
    large = feedback(new_id(), tags={"k": "v" * 100_000})
    required.check_feedback()
    while not unset.dropped:
        unset.append_feedback(large)
    unset.check_feedback()  # unset: the answer comes
    assert [r.message for r in caplog.records if "feedback is not recorded" in r.message]
    required.append_feedback(large)  # what passed the check has its room
    assert required.dropped == 0
    with pytest.raises(ObservabilityUnavailable, match="no room for it"):
        for _ in range(100):
            required.append_feedback(large)
            required.check_feedback()


def test_a_row_that_is_too_long_costs_no_answer(root: Path) -> None:
    recorder = SpoolRecorder(Writer(str(root / "w")), ShipperLink("/nowhere", "w"), required=False)
    assert recorder.append([(b"t" * 300, b"{}")]) is None
    assert recorder.has_room()
    assert recorder.append([(b"t", b"{}")]) is not None


def test_spools_that_nobody_holds_are_adopted(
    make: Make, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that is gone left rows in a folder of its own; a living one ships them. A folder
    that somebody holds is left alone."""
    monkeypatch.setattr("tensorzero.server.adoption.LOOK_S", 0.05)
    sink = Sink()
    left = Writer(str(root.parent / "3" / "w"))
    for _ in range(5):
        left.append(inference("f"))
    del left  # killed: no end mark
    held = Writer(str(root.parent / "4" / "w"))
    held.append(inference("f"))
    held_lock = os.open(root.parent / "4.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held_lock, fcntl.LOCK_EX)
    (root.parent / "notes").mkdir()

    def other(folder: Path) -> Shipper:
        return Shipper(
            spool_root=folder, quarantine=tmp_path / "quarantine", sink=sink, settings=SLOW
        )

    async def main() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(Adoption(root, other).run(stop))
        await until(lambda: sink.sizes == [5])
        await until(lambda: not (root.parent / "3" / "w").exists())
        await asyncio.sleep(0.2)
        assert sink.sizes == [5]
        # Its owner dies, too.
        os.close(held_lock)
        held.close()
        await until(lambda: sink.sizes == [5, 1])
        stop.set()
        await task

    root.mkdir(parents=True, exist_ok=True)
    uvloop.run(main())  # the workers' event loop


def test_a_database_is_prepared_before_its_first_row_and_when_it_lost_its_tables() -> None:
    steps: list[str] = []

    class Database:
        there = False
        code = 0

        def ping(self) -> None:
            if not self.there:
                raise DatabaseUnavailable("not yet")

        def insert(self, table: str, rows: bytes, row_count: int, *, token: str) -> None:
            steps.append(table)
            if self.code:
                raise SinkUnavailable("gone", self.code)

    def prepare() -> tuple[str, ...]:
        steps.append("prepared")
        return ("forgetful",)

    database = Database()
    prepared = PreparedDatabase(database, prepare)  # type: ignore[arg-type]  # as much as is used
    told: list[Any] = []
    prepared.on_prepared = told.append
    with pytest.raises(DatabaseUnavailable):
        prepared.insert("t", b"", 1, token="x")
    assert steps == []
    database.there = True
    prepared.insert("t", b"", 1, token="x")
    prepared.insert("t", b"", 1, token="x")
    assert steps == ["prepared", "t", "t"]
    assert told == [("forgetful",)]
    database.code = 60
    with pytest.raises(SinkUnavailable):
        prepared.insert("t", b"", 1, token="x")
    database.code = 0
    prepared.insert("t", b"", 1, token="x")
    assert steps == ["prepared", "t", "t", "t", "prepared", "t"]
