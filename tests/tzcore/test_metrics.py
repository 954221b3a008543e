"""Counters in mapped files: kept over restarts, read by other processes, bounded."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from tzcore.clock import OutboundClock
from tzcore.metrics import Counters, TooManySeries, read_counters


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT)


def _counters(path: str) -> Counters:
    fd = _open(path)
    try:
        return Counters(fd)
    finally:
        os.close(fd)


def _read(path: str) -> dict[str, float]:
    fd = _open(path)
    try:
        return read_counters(fd)
    finally:
        os.close(fd)


def test_figures_are_read_by_key_whatever_the_key_is(tmp_path: Path) -> None:
    path = str(tmp_path / "a.counters")
    counters = _counters(path)
    names = ["", 'requests{name="é\\n"}', "x" * 300]
    for index, name in enumerate(names):
        counters.cell(name).add(index + 0.5)
    counters.cell(names[1]).add()
    assert _read(path) == {names[0]: 0.5, names[1]: 2.5, names[2]: 2.5}


def test_a_restart_goes_on_counting(tmp_path: Path) -> None:
    path = str(tmp_path / "a.counters")
    _counters(path).cell("a").add(2)
    again = _counters(path)
    again.cell("b").add()
    again.cell("a").add()
    assert _read(path) == {"a": 3.0, "b": 1.0}


def test_a_full_file_refuses_new_series_and_keeps_the_old(tmp_path: Path) -> None:
    path = str(tmp_path / "a.counters")
    counters = _counters(path)
    made = 0
    with pytest.raises(TooManySeries):
        while True:
            counters.cell(f"{made:01000d}").add()
            made += 1
    assert made > 1000
    counters.cell(f"{0:01000d}").add()
    assert len(_read(path)) == made
    assert _read(path)[f"{0:01000d}"] == 2.0


def _count_for_ever(path: str) -> None:
    counters = _counters(path)
    number = 0
    while True:
        counters.cell(f"series {number % 5000}").add()
        number += 1


def test_a_reader_beside_a_writer_that_is_killed_sees_whole_entries(tmp_path: Path) -> None:
    path = str(tmp_path / "a.counters")
    process = multiprocessing.get_context("spawn").Process(target=_count_for_ever, args=(path,))
    process.start()
    try:
        while not os.path.exists(path):
            assert process.is_alive()
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends:
            figures = _read(path)
            assert all(name == f"series {n}" for n, name in enumerate(figures))
    finally:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    before = _read(path)
    _counters(path).cell("series 0").add()
    assert _read(path)["series 0"] == before["series 0"] + 1


def test_overlapping_outbound_requests_count_once() -> None:
    clock = OutboundClock()
    clock.enter()
    clock.enter()
    time.sleep(0.03)
    clock.leave()
    time.sleep(0.03)
    clock.leave()
    total = clock.total_s
    assert 0.06 <= total < 0.5
    time.sleep(0.02)
    assert clock.total_s == total
    clock.enter()
    time.sleep(0.01)
    assert clock.total_s >= total + 0.01
