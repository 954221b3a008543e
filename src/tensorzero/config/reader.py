"""A typed view of a TOML table: reads keys, notes faults instead of raising them.

A fault never stops the reading: the caller goes on with a default, and all faults of a
configuration are reported together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def kind(value: Any) -> str:
    """The name of a value's type as error texts show it."""
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value}`"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "sequence"
    return "map" if isinstance(value, dict) else "datetime"


class Faults:
    """Errors and warnings of one load, in order."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def error(self, text: str) -> None:
        if text not in self.errors:
            self.errors.append(text)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


class Table:
    """One table and its dotted path. ``finish`` reports the keys that nobody asked for."""

    def __init__(self, value: Mapping[str, Any], path: str, faults: Faults) -> None:
        self.value = value
        self.path = path
        self.faults = faults
        self.known: list[str] = []

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def wrong(self, key: str, expected: str) -> None:
        self.faults.error(
            f"{self.at(key)}: invalid type: {kind(self.value[key])}, expected {expected}"
        )

    def _get(self, key: str, required: bool) -> Any:
        self.known.append(key)
        value = self.value.get(key)
        if value is None and required:
            self.faults.error(f"{self.path}: missing field `{key}`")
        return value

    def string(self, key: str, *, required: bool = False) -> str | None:
        value = self._get(key, required)
        if value is not None and not isinstance(value, str):
            self.wrong(key, "a string")
            return None
        return value

    def boolean(self, key: str, *, required: bool = False) -> bool | None:
        value = self._get(key, required)
        if value is not None and not isinstance(value, bool):
            self.wrong(key, "a boolean")
            return None
        return value

    def integer(
        self, key: str, *, required: bool = False, low: int = 0, high: int = 2**64 - 1
    ) -> int | None:
        value = self._get(key, required)
        if value is None:
            return None
        if type(value) is not int:
            self.wrong(key, "an integer")
            return None
        if not low <= value <= high:
            self.faults.error(
                f"{self.at(key)}: invalid value: integer `{value}`, expected {low} to {high}"
            )
            return None
        return value

    def number(self, key: str, *, required: bool = False) -> float | None:
        value = self._get(key, required)
        if value is None:
            return None
        if type(value) not in (int, float):
            self.wrong(key, "a number")
            return None
        if not math.isfinite(value):
            self.faults.error(f"{self.at(key)}: expected a finite number")
            return None
        return float(value)

    def choice(self, key: str, allowed: Sequence[str], *, required: bool = False) -> str | None:
        value = self.string(key, required=required)
        if value is not None and value not in allowed:
            expected = ", ".join(f"`{name}`" for name in allowed)
            self.faults.error(
                f"{self.at(key)}: unknown variant `{value}`, expected one of {expected}"
            )
            return None
        return value

    def strings(self, key: str, *, required: bool = False) -> tuple[str, ...] | None:
        value = self._get(key, required)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            self.wrong(key, "a sequence of strings")
            return None
        return tuple(value)

    def table(self, key: str, *, required: bool = False) -> Table | None:
        value = self._get(key, required)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(key, "a map")
            return None
        return Table(value, self.at(key), self.faults)

    def tables(self, key: str, *, required: bool = False) -> dict[str, Table]:
        """A map of names to tables."""
        outer = self.table(key, required=required)
        found: dict[str, Table] = {}
        if outer is None:
            return found
        for name, value in outer.value.items():
            if isinstance(value, dict):
                found[name] = Table(value, outer.at(name), self.faults)
            else:
                outer.wrong(name, "a map")
        return found

    def entries(self, key: str) -> list[Table] | None:
        """An array of tables."""
        value = self._get(key, False)
        if value is None:
            return None
        if not isinstance(value, list):
            self.wrong(key, "a sequence")
            return None
        found = []
        for index, entry in enumerate(value):
            where = f"{self.at(key)}[{index}]"
            if isinstance(entry, dict):
                found.append(Table(entry, where, self.faults))
            else:
                self.faults.error(f"{where}: invalid type: {kind(entry)}, expected a map")
        return found

    def raw(self, key: str) -> Any:
        return self._get(key, False)

    def finish(self, *, tolerant: bool = False) -> None:
        """Unknown keys: an error, or a warning where the table is open (``tolerant``)."""
        for key in self.value:
            if key in self.known:
                continue
            expected = ", ".join(f"`{name}`" for name in sorted(set(self.known)))
            text = f"unknown field `{key}`, expected one of {expected}"
            text = f"{self.path}: {text}" if self.path else text
            if tolerant:
                self.faults.warn(f"{text}: ignored")
            else:
                self.faults.error(text)
