"""Reads fields of a JSON request: each function takes a value and its path.

All raise ``JsonRequest`` with ``<path>: <detail>``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from tensorzero.types.errors import JsonRequest
from tensorzero.types.params import single_precision

_UUID = re.compile(
    r"(?:urn:uuid:)?(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32})"
    r"|\{[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}",
    re.IGNORECASE | re.ASCII,
)


def fault(path: str, detail: str) -> JsonRequest:
    return JsonRequest(f"{path}: {detail}" if path else detail)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value}`"
    if isinstance(value, str):
        return "string"
    return "sequence" if isinstance(value, list) else "map"


def wrong(value: Any, path: str, expected: str) -> JsonRequest:
    return fault(path, f"invalid type: {_kind(value)}, expected {expected}")


def string(value: Any, path: str) -> str:
    if type(value) is not str:
        raise wrong(value, path, "a string")
    return value


def boolean(value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise wrong(value, path, "a boolean")
    return value


def number(value: Any, path: str) -> float:
    """A number of 32-bit precision, as sampling parameters are."""
    if type(value) not in (int, float):
        raise wrong(value, path, "a number")
    try:
        return single_precision(value)
    except OverflowError:
        raise fault(path, "invalid value: the number is too large") from None


def integer(low: int, high: int) -> Callable[[Any, str], int]:
    """A reader of whole numbers within ``low`` … ``high``."""

    def read(value: Any, path: str) -> int:
        if type(value) is not int:
            raise wrong(value, path, "an integer")
        if not low <= value <= high:
            raise fault(path, f"invalid value: integer `{value}`, expected {low} to {high}")
        return value

    return read


def mapping(value: Any, path: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise wrong(value, path, "an object")
    return value


def items(value: Any, path: str) -> list[Any]:
    if type(value) is not list:
        raise wrong(value, path, "an array")
    return value


def strings(value: Any, path: str) -> tuple[str, ...]:
    return tuple(string(entry, f"{path}[{at}]") for at, entry in enumerate(items(value, path)))


def choice(value: Any, path: str, allowed: Sequence[str]) -> str:
    text = string(value, path)
    if text not in allowed:
        expected = ", ".join(f"`{name}`" for name in allowed)
        raise fault(path, f"unknown variant `{text[:64]}`, expected one of {expected}")
    return text


def uuid(value: Any, path: str) -> str:
    """A UUID in any of its spellings, returned in the usual one."""
    text = string(value, path)
    if _UUID.fullmatch(text) is None:
        raise fault(path, f"UUID parsing failed: `{text[:64]}` is not a UUID")
    return str(UUID(text))


def required(table: dict[str, Any], key: str, path: str) -> Any:
    if key not in table:
        raise fault(path, f"missing field `{key}`")
    return table[key]


def optional(table: dict[str, Any], key: str) -> Any:
    return table.get(key)


def refuse_unknown(table: dict[str, Any], path: str, known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            expected = ", ".join(f"`{name}`" for name in known)
            raise fault(path, f"unknown field `{key[:64]}`, expected one of {expected}")
