"""``order_by`` of queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from tensorzero.gateway.fields import choice, items, mapping, required, string

Kind = Literal["timestamp", "metric", "search_relevance"]
INFERENCE_ORDERS: tuple[Kind, ...] = ("timestamp", "metric", "search_relevance")
DATAPOINT_ORDERS: tuple[Kind, ...] = ("timestamp", "search_relevance")


@dataclass(frozen=True, slots=True)
class OrderBy:
    """One term. ``name`` is that of the metric, for ``metric`` only."""

    by: Kind
    descending: bool
    name: str = ""


def parse_order(value: Any, path: str, kinds: tuple[Kind, ...]) -> tuple[OrderBy, ...]:
    """The terms, none for ``null``; raises ``JsonRequest``."""
    if value is None:
        return ()
    return tuple(_term(term, f"{path}[{at}]", kinds) for at, term in enumerate(items(value, path)))


def _term(value: Any, path: str, kinds: tuple[Kind, ...]) -> OrderBy:
    table = mapping(value, path)
    by = cast(Kind, choice(required(table, "by", path), f"{path}.by", kinds))
    name = ""
    if by == "metric":
        name = string(required(table, "name", path), f"{path}.name")
    direction = table.get("direction")
    if direction is None:
        direction = "descending"
    descending = choice(direction, f"{path}.direction", ("ascending", "descending"))
    return OrderBy(by, descending == "descending", name)
