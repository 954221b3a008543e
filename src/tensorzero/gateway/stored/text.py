"""Reads JSON columns; whatever is wrong with one is ``ClickHouseDeserialization``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from tensorzero.types.errors import ClickHouseDeserialization, JsonRequest

T = TypeVar("T")


def stored_json(text: str, column: str) -> Any:
    """The value of a JSON column, ``None`` for the empty text that old rows hold."""
    if not text:
        return None
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise ClickHouseDeserialization(f"{column}: {error}") from None


def parsed(parse: Callable[[Any, str], T], value: Any, column: str) -> T:
    """``parse(value, column)``, with the faults of a request turned into those of a row."""
    try:
        return parse(value, column)
    except JsonRequest as error:
        raise ClickHouseDeserialization(str(error)) from None
