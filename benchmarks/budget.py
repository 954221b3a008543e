"""Budgets of stages, as multiples of a yardstick measured beside them.

A machine's speed changes from one to the next and from minute to minute; what a stage costs in
terms of a fixed piece of similar work changes little. Times are processor time of the thread, and
the least of many short rounds counts: what other processes do to the machine shows least there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 40
CALLS = 100

BUDGETS: dict[str, float] = {  # about twice what each takes
    "parse": 3.5,
    "prepare": 2.3,
    "sample": 1.4,
    "render": 1.5,
    "assemble": 0.35,
    "parse_answer": 1.8,
    "serialize_answer": 0.65,
    "serialize_rows": 2.2,
    "append": 3.0,
    "whole": 28.0,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """A stage beside the yardstick, both in seconds of processor time a call."""

    stage: str
    seconds: float
    yardstick: float

    @property
    def multiple(self) -> float:
        return self.seconds / self.yardstick

    def check(self, budget: float) -> None:
        """Raises ``AssertionError`` when the stage costs more than its budget."""
        assert self.multiple <= budget, (
            f"{self.stage} takes {self.seconds * 1e6:.2f} µs, {self.multiple:.2f} times the "
            f"yardstick of {self.yardstick * 1e6:.2f} µs; its budget is {budget} times"
        )


def least(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of processor time a call, of the best round."""
    best = float("inf")
    for _ in range(rounds):
        started = time.thread_time()
        for _ in range(CALLS):
            work()
        best = min(best, (time.thread_time() - started) / CALLS)
    return best
