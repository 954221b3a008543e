"""A typed view of a TOML table: reads keys, notes faults instead of raising them.

A fault never stops the reading: the caller goes on with a default, and all faults of a
configuration are reported together.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def kind(value: Any) -> str:
    """The name of a value's type as error texts show it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`" if value.bit_length() <= 128 else "integer (too large)"
    if isinstance(value, float):
        return f"floating point `{value}`"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "sequence"
    return "map" if isinstance(value, dict) else "datetime"


class Faults:
    """Errors and warnings of one load, in order; each is one line.

    ``locate`` maps a dotted path to the file that holds it, which is named after the text.
    """

    def __init__(self, locate: Callable[[str], str | None] | None = None) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self._locate = locate
        self._said: set[str] = set()

    def error(self, text: str, at: str = "") -> None:
        """Note an error about the key ``at`` (a dotted path); a text counts once."""
        if text in self._said:
            return
        self._said.add(text)
        file = self._locate(at) if at and self._locate is not None else None
        line = " ".join(text.split("\n"))
        self.errors.append(line if file is None else f"{line} (in {file})")

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def one_of(names: Sequence[str]) -> str:
    """The names as error texts list them."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) < 3:
        return " or ".join(quoted)
    return f"one of {', '.join(quoted)}"


class Table:
    """One table and its dotted path. ``finish`` reports the keys that nobody asked for."""

    def __init__(self, value: Mapping[str, Any], path: str, faults: Faults) -> None:
        self.value = value
        self.path = path
        self.faults = faults
        self.known: list[str] = []

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def error(self, cause: str, key: str | None = None) -> None:
        """``<path>: <cause>``, about the table or one of its keys."""
        where = self.path if key is None else self.at(key)
        self.faults.error(f"{where}: {cause}" if where else cause, where)

    def fault(self, text: str, key: str | None = None) -> None:
        """An error whose text names the path itself (or something better)."""
        self.faults.error(text, self.path if key is None else self.at(key))

    def warn(self, cause: str, key: str | None = None) -> None:
        where = self.path if key is None else self.at(key)
        self.faults.warn(f"{where}: {cause}")

    def wrong(self, key: str, expected: str) -> None:
        self.error(f"invalid type: {kind(self.value[key])}, expected {expected}", key)

    def missing(self, key: str) -> None:
        self.error(f"missing field `{key}`")

    def _get(self, key: str, required: bool) -> Any:
        self.known.append(key)
        value = self.value.get(key)
        if value is None and required:
            self.missing(key)
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
            self.error(f"invalid value: {kind(value)}, expected {low} to {high}", key)
            return None
        return value

    def number(
        self, key: str, *, required: bool = False, high: float = sys.float_info.max
    ) -> float | None:
        """A finite number of at most ``high`` in either direction; integers count."""
        value = self._get(key, required)
        if value is None:
            return None
        if type(value) not in (int, float):
            self.wrong(key, "a number")
            return None
        if value != value or not -high <= value <= high or abs(value) == math.inf:
            self.error(f"invalid value: {kind(value)}, expected a finite number", key)
            return None
        return float(value)

    def choice(self, key: str, allowed: Sequence[str], *, required: bool = False) -> str | None:
        value = self.string(key, required=required)
        if value is not None and value not in allowed:
            self.error(f"unknown variant `{value}`, expected {one_of(allowed)}", key)
            return None
        return value

    def tag(self, allowed: Sequence[str]) -> str | None:
        """The ``type`` of a table whose other keys depend on it."""
        self.known.append("type")
        value = self.value.get("type")
        if value is None:
            self.error("missing tag field `type`")
        elif not isinstance(value, str):
            self.error(f"missing tag field `type`: invalid type: {kind(value)}, expected a string")
        elif value not in allowed:
            self.error(f"unknown variant `{value}`, expected {one_of(allowed)}")
        else:
            return value
        return None

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

    def texts(self, key: str) -> dict[str, str]:
        """A map of names to strings."""
        outer = self.table(key)
        if outer is None:
            return {}
        return {name: text for name in outer.value if (text := outer.string(name)) is not None}

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
                self.faults.error(
                    f"{where}: invalid type: {kind(entry)}, expected a map", self.at(key)
                )
        return found

    def raw(self, key: str, *, required: bool = False) -> Any:
        return self._get(key, required)

    def finish(self, *, tolerant: bool = False) -> None:
        """Unknown keys: an error, or a warning where the table is open (``tolerant``)."""
        names = sorted(set(self.known))
        expected = f"expected {one_of(names)}" if names else "there are no fields"
        for key in self.value:
            if key in self.known:
                continue
            close = difflib.get_close_matches(key, names, 1, 0.75)
            hint = f" (did you mean `{close[0]}`?)" if close else ""
            text = f"unknown field `{key}`, {expected}{hint}"
            if tolerant:
                self.warn(f"{text}: ignored", key)
            else:
                self.error(text, key)
