"""What the gateway counts of itself, as Prometheus samples.

Names, labels and meanings: the contract's operations page, section 8. A sample's key is its whole
Prometheus name, ``name{label="value",…}``: series are found once and then added to.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tensorzero.types.usage import Usage
from tzcore.metrics import Cell, Counters, TooManySeries

log = logging.getLogger(__name__)

REQUESTS = "tensorzero_requests_total"
INFERENCES = "tensorzero_inferences_total"
INPUT_TOKENS = "tensorzero_input_tokens_total"
OUTPUT_TOKENS = "tensorzero_output_tokens_total"
OVERHEAD = "tensorzero_inference_latency_overhead_seconds"

HELP = {
    REQUESTS: ("counter", "Requests that passed validation."),
    INFERENCES: ("counter", "Inferences of these requests."),
    INPUT_TOKENS: ("counter", "Input tokens that model providers reported."),
    OUTPUT_TOKENS: ("counter", "Output tokens that model providers reported."),
    OVERHEAD: ("histogram", "Time of a request that no outbound request was open, in seconds."),
}


def sample(name: str, labels: Sequence[tuple[str, str]]) -> str:
    """A sample's key."""
    if not labels:
        return name
    return name + "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def bound_text(bound: float) -> str:
    """A bucket's bound as ``le`` shows it: ``0.001``, ``1``."""
    return str(int(bound)) if bound.is_integer() else repr(bound)


class _Overhead:
    """One histogram: its buckets are cumulative."""

    __slots__ = ("bounds", "cells", "count", "total")

    def __init__(
        self, bounds: tuple[float, ...], cells: tuple[Cell, ...], count: Cell, total: Cell
    ) -> None:
        self.bounds = bounds
        self.cells = cells
        self.count = count
        self.total = total

    def observe(self, seconds: float) -> None:
        for bound, cell in zip(self.bounds, self.cells, strict=False):
            if seconds <= bound:
                cell.add()
        self.cells[-1].add()
        self.count.add()
        self.total.add(seconds)


class Metrics:
    """Counts into ``counters``. Once they are full of series, further ones are not counted."""

    def __init__(self, counters: Counters, overhead_buckets: tuple[float, ...]) -> None:
        """``overhead_buckets``: upper bounds in seconds, ascending; none turns the metric off."""
        self._counters = counters
        self._bounds = overhead_buckets
        self._full = False
        self._requests: dict[tuple[str, str | None], tuple[Cell, Cell] | None] = {}
        self._embeddings: dict[str, tuple[Cell, Cell]] = {}
        self._feedback: dict[str, Cell] = {}
        self._overheads: dict[tuple[str, str | None], _Overhead | None] = {}
        self._input_tokens = counters.cell(INPUT_TOKENS)
        self._output_tokens = counters.cell(OUTPUT_TOKENS)

    def inference(self, function_name: str, model_name: str | None) -> None:
        """A request with one inference, past its validation."""
        key = (function_name, model_name)
        cells = self._requests.get(key)
        if cells is None:
            cells = self._make_inference(key)
            if cells is None:
                return
        cells[0].add()
        cells[1].add()

    def embeddings(self, model_name: str, inputs: int) -> None:
        """A request for embeddings, past its validation."""
        cells = self._embeddings.get(model_name)
        if cells is None:
            labels = [("endpoint", "embeddings"), ("model_name", model_name)]
            made = self._cells([sample(REQUESTS, labels), sample(INFERENCES, labels)])
            if made is None:
                return
            cells = self._embeddings[model_name] = (made[0], made[1])
        cells[0].add()
        cells[1].add(inputs)

    def feedback(self, metric_name: str) -> None:
        """Feedback whose metric and kind of target are right."""
        cell = self._feedback.get(metric_name)
        if cell is None:
            labels = [("endpoint", "feedback"), ("metric_name", metric_name)]
            made = self._cells([sample(REQUESTS, labels)])
            if made is None:
                return
            cell = self._feedback[metric_name] = made[0]
        cell.add()

    def batch(self, function_name: str, inputs: int) -> None:
        """A batch of inferences, past its validation."""
        labels = [("endpoint", "batch_inference"), ("function_name", function_name)]
        made = self._cells([sample(REQUESTS, labels), sample(INFERENCES, labels)])
        if made is not None:
            made[0].add()
            made[1].add(inputs)

    def tokens(self, usage: Usage) -> None:
        """What one model call consumed."""
        if usage.input_tokens:
            self._input_tokens.add(usage.input_tokens)
        if usage.output_tokens:
            self._output_tokens.add(usage.output_tokens)

    def overhead(self, function_name: str, variant_name: str | None, seconds: float) -> None:
        """A finished answer; ``variant_name`` when exactly one variant was tried."""
        if not self._bounds:
            return
        key = (function_name, variant_name)
        histogram = self._overheads.get(key)
        if histogram is None:
            histogram = self._make_overhead(key)
            if histogram is None:
                return
        histogram.observe(seconds if seconds > 0.0 else 0.0)

    def _make_inference(self, key: tuple[str, str | None]) -> tuple[Cell, Cell] | None:
        function_name, model_name = key
        labels = [("endpoint", "inference"), ("function_name", function_name)]
        if model_name is not None:
            labels.append(("model_name", model_name))
        made = self._cells([sample(REQUESTS, labels), sample(INFERENCES, labels)])
        if made is None:
            return None
        cells = (made[0], made[1])
        self._requests[key] = cells
        return cells

    def _make_overhead(self, key: tuple[str, str | None]) -> _Overhead | None:
        function_name, variant_name = key
        labels = [("function_name", function_name)]
        if variant_name is not None:
            labels.append(("variant_name", variant_name))
        names = [
            sample(f"{OVERHEAD}_bucket", [*labels, ("le", bound)])
            for bound in (*(bound_text(bound) for bound in self._bounds), "+Inf")
        ]
        names += [sample(f"{OVERHEAD}_count", labels), sample(f"{OVERHEAD}_sum", labels)]
        made = self._cells(names)
        if made is None:
            return None
        histogram = _Overhead(self._bounds, tuple(made[:-2]), made[-2], made[-1])
        self._overheads[key] = histogram
        return histogram

    def _cells(self, names: list[str]) -> list[Cell] | None:
        """Series whose labels come from requests are many; past the limit they are left out."""
        if self._full:
            return None
        try:
            return [self._counters.cell(name) for name in names]
        except TooManySeries as error:
            self._full = True
            log.warning("metrics: %s; new series are not counted", error)
            return None


def exposition(figures: dict[str, float]) -> str:
    """The Prometheus text of summed samples, families together."""
    lines: list[str] = []
    families: dict[str, list[str]] = {name: [] for name in HELP}
    for key, value in figures.items():
        name = key.partition("{")[0]
        family = name
        for ending in ("_bucket", "_count", "_sum"):
            if name.endswith(ending) and name.removesuffix(ending) in HELP:
                family = name.removesuffix(ending)
        text = str(int(value)) if value.is_integer() else repr(value)
        families.setdefault(family, []).append(f"{key} {text}")
    for family, samples in families.items():
        kind, text = HELP.get(family, ("untyped", ""))
        lines.append(f"# HELP {family} {text}")
        lines.append(f"# TYPE {family} {kind}")
        lines += samples
    return "\n".join(lines) + "\n"
