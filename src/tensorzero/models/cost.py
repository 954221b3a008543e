"""What a call cost: exact sums over figures of the provider's raw answer."""

from __future__ import annotations

import logging
import re
from decimal import Decimal
from typing import Any

import orjson

from tensorzero.config.model import CostEntry
from tensorzero.types.json_pointer import lookup

log = logging.getLogger(__name__)


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
COST_LIMIT = Decimal(10) ** 9
"""What the column takes, ``Decimal(18, 9)``: a sum beyond it is no cost but a broken figure."""


def _number(value: Any) -> Decimal | None:
    """A figure of a raw answer: a JSON number, or a text that is one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return Decimal(str(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    return None


def _sum(entries: tuple[CostEntry, ...], values: list[tuple[bool, Any]]) -> Decimal | None:
    total = Decimal(0)
    for entry, (found, value) in zip(entries, values, strict=True):
        if not found:
            if entry.required:
                log.warning("cost unknown: a required figure is missing in the provider's answer")
                return None
            continue
        number = _number(value)
        if number is None:
            log.warning("cost unknown: a figure of the provider's answer is not a number")
            return None
        total += number * entry.rate
    if total < 0:
        log.warning("cost unknown: the sum of its entries is negative")
        return None
    if total >= COST_LIMIT:
        log.warning("cost unknown: the sum of its entries is larger than any price")
        return None
    return total


def response_cost(entries: tuple[CostEntry, ...] | None, raw_response: str) -> Decimal | None:
    """Dollars of a complete answer; ``None`` without entries or when a figure is missing."""
    if entries is None:
        return None
    if not entries:
        return Decimal(0)
    try:
        body = orjson.loads(raw_response)
    except orjson.JSONDecodeError:
        log.warning("cost unknown: the provider's answer is not JSON")
        return None
    return _sum(entries, [lookup(body, entry.pointer_nonstreaming) for entry in entries])


def stream_cost(entries: tuple[CostEntry, ...] | None, events: list[str]) -> Decimal | None:
    """Dollars of a stream: for each entry the largest figure over its events."""
    if entries is None:
        return None
    bodies = []
    for event in events:
        try:
            bodies.append(orjson.loads(event))
        except orjson.JSONDecodeError:
            continue
    values: list[tuple[bool, Any]] = []
    for entry in entries:
        best: tuple[bool, Any] = (False, None)
        for body in bodies:
            found, value = lookup(body, entry.pointer_streaming)
            if not found or value is None:
                continue
            number = _number(value)
            known = _number(best[1]) if best[0] else None
            if number is None:
                best = best if best[0] else (True, value)
            elif known is None or number > known:
                best = (True, value)
        values.append(best)
    return _sum(entries, values)
