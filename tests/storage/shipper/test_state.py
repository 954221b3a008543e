"""The shipper's state: whatever a power loss leaves of it, it is the old or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.storage.shipper.batch import Range
from tensorzero.storage.shipper.state import SLOT_BYTES, State, StateFile
from tensorzero.storage.spool.directory import Position

positions = st.builds(Position, st.integers(0, 1 << 40), st.integers(0, 1 << 40))
ranges = st.builds(
    Range,
    st.text(max_size=40),
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 40),
    st.booleans(),
)
states = st.builds(
    State,
    st.dictionaries(st.text(max_size=40), positions, max_size=5),
    st.lists(ranges, max_size=5),
    st.text(max_size=64),
    st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(written=st.lists(states, min_size=1, max_size=5))
def test_round_trip(written: list[State], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("state") / "s"
    file = StateFile(path)
    assert file.state == State()
    for state in written:
        file.write(state)
        again = StateFile(path)
        assert (again.state, again.lost) == (state, False)
        again.close()
    file.close()
    assert path.stat().st_size == 2 * SLOT_BYTES


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), garbage=st.binary(max_size=400), count=st.integers(1, 3))
def test_a_torn_write_leaves_the_state_before(
    cut: int, garbage: bytes, count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("state") / "s"
    file = StateFile(path)
    states = [State({"w": Position(n, n)}, digest="d" * 200) for n in range(count + 1)]
    for state in states[:-1]:
        file.write(state)
    before = path.read_bytes()
    file.write(states[-1])
    file.close()
    after = path.read_bytes()
    slot = (count + 1) % 2 * SLOT_BYTES
    # Of the last write the first bytes arrived; behind them is anything.
    torn = bytearray(before)
    torn[slot : slot + cut] = after[slot : slot + cut]
    torn[slot + cut : slot + cut + len(garbage)] = garbage
    path.write_bytes(torn)
    found = StateFile(path)
    assert not found.lost
    assert found.state in states[-2:]
    found.write(State(digest="next"))
    found.close()
    assert StateFile(path).state.digest == "next"


def test_both_slots_damaged(tmp_path: Path) -> None:
    path = tmp_path / "s"
    file = StateFile(path)
    for number in range(3):
        file.write(State(digest=str(number)))
    with open(path, "r+b") as damaged:
        for slot in (0, 1):
            damaged.seek(slot * SLOT_BYTES + 30)
            damaged.write(b"\xff\xff\xff")
    again = StateFile(path)
    assert (again.lost, again.state) == (True, State())
    again.write(State(digest="new"))
    assert StateFile(path).lost is False


def test_a_state_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "s")
    file.write(State(digest="old"))
    with pytest.raises(OSError, match="too large"):
        file.write(State(digest="x" * SLOT_BYTES))
    assert StateFile(tmp_path / "s").state.digest == "old"


def test_its_blocks_are_there_before_they_are_needed(tmp_path: Path) -> None:
    StateFile(tmp_path / "s").close()
    assert os.stat(tmp_path / "s").st_blocks * 512 >= 2 * SLOT_BYTES
