"""Stages run, and a budget that is exceeded is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from budget import Measured, least
from stages import STAGES, HotPath, yardstick


def test_every_stage_runs_and_the_whole_is_recorded(tmp_path: Path) -> None:
    path = HotPath(tmp_path)
    try:
        for stage in STAGES:
            assert getattr(path, stage)()
        before = path.writer.offset
        assert b'"variant_name":"' in path.whole()
        assert path.writer.offset > before
    finally:
        path.close()


def test_more_work_is_measured_as_more_and_breaks_its_budget() -> None:
    work = yardstick()

    def four_times() -> None:
        for _ in range(4):
            work()

    # Other work on the machine may slow one of the two down, never both by much for long.
    measured = Measured("four yardsticks", least(four_times), least(work))
    assert 2.5 < measured.multiple < 6
    measured.check(6)
    with pytest.raises(AssertionError, match="four yardsticks takes"):
        measured.check(2)
