"""Each stage of a hot request against its budget: ``make bench``."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from budget import BUDGETS, CALLS, ROUNDS, Measured, least
from pytest_benchmark.fixture import BenchmarkFixture
from stages import STAGES, HotPath, yardstick


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HotPath]:
    made = HotPath(tmp_path_factory.mktemp("stages"))
    yield made
    made.close()


def test_every_stage_has_a_budget() -> None:
    assert set(BUDGETS) == set(STAGES)


@pytest.mark.benchmark(timer=time.thread_time, disable_gc=True)
@pytest.mark.parametrize("stage", STAGES)
def test_stage(stage: str, path: HotPath, benchmark: BenchmarkFixture) -> None:
    work = getattr(path, stage)
    before = least(yardstick())
    benchmark.pedantic(work, rounds=ROUNDS, iterations=CALLS, warmup_rounds=2)
    unit = min(before, least(yardstick()))
    measured = Measured(stage, benchmark.stats.stats.min, unit)
    benchmark.extra_info["times the yardstick"] = round(measured.multiple, 2)
    measured.check(BUDGETS[stage])
