"""SQL that is put together from parts, and the values that are bound to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorzero.gateway.database import Parameter


class Bindings:
    """The parameters of one statement. Each method takes a value and gives its placeholder:
    a value is never part of the statement's text."""

    def __init__(self) -> None:
        self.params: dict[str, Parameter] = {}
        self._known: dict[tuple[str, str], str] = {}

    def string(self, value: str) -> str:
        return self._scalar(value, "String")

    def uuid(self, value: str) -> str:
        return self._scalar(value, "UUID")

    def boolean(self, value: bool) -> str:
        return self._scalar("true" if value else "false", "Bool")

    def float32(self, value: float) -> str:
        return self._scalar(repr(value), "Float32")

    def uint64(self, value: int) -> str:
        return self._scalar(str(value), "UInt64")

    def int64(self, value: int) -> str:
        return self._scalar(str(value), "Int64")

    def uint128(self, value: int) -> str:
        return self._scalar(str(value), "UInt128")

    def uuids(self, values: Sequence[str]) -> str:
        return self._add(list(values), "Array(UUID)")

    def uint128s(self, values: Sequence[int]) -> str:
        return self._add(list(values), "Array(UInt128)")

    def tuples(self, values: Sequence[tuple[str, ...]], types: str) -> str:
        """``types`` are those of a tuple's fields."""
        return self._add(list(values), f"Array(Tuple({types}))")

    def _scalar(self, text: str, kind: str) -> str:
        """The same value is the same parameter."""
        known = self._known.get((text, kind))
        if known is None:
            known = self._known[text, kind] = self._add(text, kind)
        return known

    def _add(self, value: Parameter, kind: str) -> str:
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"{{{name}:{kind}}}"


def all_of(conditions: Iterable[str]) -> str:
    """True when there are none."""
    joined = " AND ".join(f"({condition})" for condition in conditions)
    return joined or "1"


def any_of(conditions: Iterable[str]) -> str:
    """False when there are none."""
    joined = " OR ".join(f"({condition})" for condition in conditions)
    return joined or "0"
