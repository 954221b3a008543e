"""Filters as SQL conditions.

The contract's logic has three values: a metric without feedback is neither true nor false, ``and``
and ``or`` take that for false, and so does ``not``. Here every condition has two: "the metric is
true" and "the metric is false" are conditions of their own, and ``not`` of a metric is the second.
"""

from __future__ import annotations

from typing import Protocol

from tensorzero.gateway.queries.filters import (
    And,
    BooleanMetric,
    Filter,
    FloatMetric,
    HasDemonstration,
    Not,
    Or,
    Tag,
    Time,
)
from tensorzero.gateway.queries.sql import Bindings, all_of, any_of

Metric = FloatMetric | BooleanMetric


class FilteredRows(Protocol):
    """The rows that a filter is about."""

    @property
    def tags(self) -> str:
        """SQL of their map of tags."""
        ...

    def metric(self, node: Metric, bind: Bindings, *, negated: bool) -> str:
        """There is feedback, and ``node`` is true of it, or ``negated``: not."""
        ...

    def demonstration(self, wanted: bool) -> str: ...

    def time(self, node: Time, bind: Bindings) -> str: ...


def condition(node: Filter, rows: FilteredRows, bind: Bindings) -> str:
    """SQL that is 1 or 0, never NULL."""
    if isinstance(node, And):
        return all_of(condition(child, rows, bind) for child in node.children)
    if isinstance(node, Or):
        return any_of(condition(child, rows, bind) for child in node.children)
    if isinstance(node, Not):
        if isinstance(node.child, FloatMetric | BooleanMetric):
            return rows.metric(node.child, bind, negated=True)
        return f"NOT ({condition(node.child, rows, bind)})"
    if isinstance(node, FloatMetric | BooleanMetric):
        return rows.metric(node, bind, negated=False)
    if isinstance(node, HasDemonstration):
        return rows.demonstration(node.wanted)
    if isinstance(node, Time):
        return rows.time(node, bind)
    return _tag(node, rows, bind)


def _tag(node: Tag, rows: FilteredRows, bind: Bindings) -> str:
    key, value = bind.string(node.key), bind.string(node.value)
    return f"mapContains({rows.tags}, {key}) AND {rows.tags}[{key}] {node.comparison} {value}"
