"""Filters of queries: a tree of conditions that a request gives as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tensorzero.gateway.fields import (
    boolean,
    choice,
    fault,
    items,
    mapping,
    required,
    string,
    wrong,
)
from tensorzero.types.errors import InvalidRequest

MAX_DEPTH = 64
"""Nodes from the root of a filter to its deepest leaf."""
COMPARISONS = ("<", "<=", "=", ">", ">=", "!=")
_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class FloatMetric:
    """The latest value of a metric compared with ``value``; neither true nor false without
    feedback."""

    metric_name: str
    value: float
    comparison: str


@dataclass(frozen=True, slots=True)
class BooleanMetric:
    """As ``FloatMetric``, for equality."""

    metric_name: str
    value: bool


@dataclass(frozen=True, slots=True)
class HasDemonstration:
    wanted: bool


@dataclass(frozen=True, slots=True)
class Tag:
    """The key is there, and its value is equal or not."""

    key: str
    value: str
    comparison: str


@dataclass(frozen=True, slots=True)
class Time:
    """``seconds`` since 1970, fractions cut off."""

    seconds: int
    comparison: str


@dataclass(frozen=True, slots=True)
class And:
    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    child: Filter


Filter = FloatMetric | BooleanMetric | HasDemonstration | Tag | Time | And | Or | Not
INFERENCE_NODES = (
    "float_metric",
    "boolean_metric",
    "demonstration_feedback",
    "tag",
    "time",
    "and",
    "or",
    "not",
)
DATAPOINT_NODES = ("tag", "time", "and", "or", "not")


def parse_filter(value: Any, path: str, nodes: tuple[str, ...], depth: int = 1) -> Filter:
    """The tree, made of these kinds of nodes; raises ``JsonRequest``, and ``InvalidRequest`` when
    it is too deep. Keys that are not known are ignored."""
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"Filters may nest at most {MAX_DEPTH} levels deep")
    table = mapping(value, path)
    kind = choice(required(table, "type", path), f"{path}.type", nodes)
    if kind in ("and", "or"):
        where = f"{path}.children"
        children = tuple(
            parse_filter(child, f"{where}[{at}]", nodes, depth + 1)
            for at, child in enumerate(items(required(table, "children", path), where))
        )
        return And(children) if kind == "and" else Or(children)
    if kind == "not":
        child = required(table, "child", path)
        return Not(parse_filter(child, f"{path}.child", nodes, depth + 1))
    return _leaf(kind, table, path)


def _leaf(kind: str, table: dict[str, Any], path: str) -> Filter:
    def text(key: str) -> str:
        return string(required(table, key, path), f"{path}.{key}")

    def comparison(allowed: tuple[str, ...] = COMPARISONS) -> str:
        where = f"{path}.comparison_operator"
        return choice(required(table, "comparison_operator", path), where, allowed)

    if kind == "float_metric":
        value = required(table, "value", path)
        if type(value) not in (int, float):
            raise wrong(value, f"{path}.value", "a number")
        return FloatMetric(text("metric_name"), float(value), comparison())
    if kind == "boolean_metric":
        value = boolean(required(table, "value", path), f"{path}.value")
        return BooleanMetric(text("metric_name"), value)
    if kind == "demonstration_feedback":
        wanted = required(table, "has_demonstration", path)
        return HasDemonstration(boolean(wanted, f"{path}.has_demonstration"))
    if kind == "tag":
        return Tag(text("key"), text("value"), comparison(("=", "!=")))
    return Time(_seconds(text("time"), f"{path}.time"), comparison())


def _seconds(text: str, path: str) -> int:
    found = _RFC_3339.fullmatch(text)
    if found is not None:
        day, time, zone = found.groups()
        try:
            # Python reads `z` as well, but not before 3.11.
            return int(datetime.fromisoformat(f"{day}T{time}{zone.upper()}").timestamp())
        except (ValueError, OverflowError):
            pass
    raise fault(path, f"`{text[:64]}` is not an RFC 3339 time with an offset")


def metric_names(node: Filter) -> Iterator[str]:
    """Of all metrics that a filter asks for, in its order."""
    if isinstance(node, FloatMetric | BooleanMetric):
        yield node.metric_name
    elif isinstance(node, And | Or):
        for child in node.children:
            yield from metric_names(child)
    elif isinstance(node, Not):
        yield from metric_names(node.child)


def reads_tags(node: Filter) -> bool:
    """Whether any of its conditions is on a tag."""
    if isinstance(node, And | Or):
        return any(reads_tags(child) for child in node.children)
    return reads_tags(node.child) if isinstance(node, Not) else isinstance(node, Tag)
