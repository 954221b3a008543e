"""The tests of ``is`` expressions (``configuration.md`` 14.2).

Every test takes the render's state, the value, and its arguments, positionally only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorzero.templates import values
from tensorzero.templates.arguments import check
from tensorzero.templates.errors import RenderFault, invalid
from tensorzero.templates.operators import contains, same
from tensorzero.templates.values import (
    Safe,
    State,
    TemplateObject,
    Undefined,
    Value,
    kind_of,
    less,
    to_text,
)

Predicate = Callable[..., bool]


def is_defined(_: State, value: Value, /) -> bool:
    return type(value) is not Undefined


def is_undefined(_: State, value: Value, /) -> bool:
    return type(value) is Undefined


def is_none(_: State, value: Value, /) -> bool:
    return value is None


def is_true(_: State, value: Value, /) -> bool:
    return value is True


def is_false(_: State, value: Value, /) -> bool:
    return value is False


def is_boolean(_: State, value: Value, /) -> bool:
    return type(value) is bool


def is_integer(_: State, value: Value, /) -> bool:
    return type(value) is int


def is_float(_: State, value: Value, /) -> bool:
    return type(value) is float


def is_number(_: State, value: Value, /) -> bool:
    return type(value) is int or type(value) is float


def is_string(_: State, value: Value, /) -> bool:
    return isinstance(value, str)


def is_sequence(_: State, value: Value, /) -> bool:
    return kind_of(value) == "sequence"


def is_mapping(_: State, value: Value, /) -> bool:
    return type(value) is dict or (isinstance(value, TemplateObject) and value.is_map)


def is_iterable(_: State, value: Value, /) -> bool:
    return values.is_iterable(value)


def is_safe(_: State, value: Value, /) -> bool:
    return type(value) is Safe


def is_odd(_: State, value: Value, /) -> bool:
    number = _whole(value)
    return number is not None and number % 2 == 1


def is_even(_: State, value: Value, /) -> bool:
    number = _whole(value)
    return number is not None and number % 2 == 0


def is_divisible_by(_: State, value: Value, divisor: Value, /) -> bool:
    number, by = _whole(value), _whole(divisor)
    if number is None or by is None:
        return False
    if by == 0:
        raise invalid("cannot divide by zero")
    return number % by == 0


def _whole(value: Value) -> int | None:
    if isinstance(value, int):
        return int(value)
    if type(value) is float and value.is_integer():
        return int(value)
    return None


def starts_with(_: State, value: Value, prefix: Value, /) -> bool:
    return to_text(value).startswith(to_text(prefix))


def ends_with(_: State, value: Value, suffix: Value, /) -> bool:
    return to_text(value).endswith(to_text(suffix))


def is_lower(_: State, value: Value, /) -> bool:
    return all(character.islower() for character in _text(value))


def is_upper(_: State, value: Value, /) -> bool:
    return all(character.isupper() for character in _text(value))


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise invalid("value is not a string")
    return value


def is_eq(_: State, value: Value, other: Value, /) -> bool:
    return same(value, other)


def is_ne(_: State, value: Value, other: Value, /) -> bool:
    return not same(value, other)


def is_lt(_: State, value: Value, other: Value, /) -> bool:
    return less(value, other)


def is_le(_: State, value: Value, other: Value, /) -> bool:
    return not less(other, value)


def is_gt(_: State, value: Value, other: Value, /) -> bool:
    return less(other, value)


def is_ge(_: State, value: Value, other: Value, /) -> bool:
    return not less(value, other)


def is_in(state: State, value: Value, container: Value, /) -> bool:
    """Unlike the operator: a value that can't contain anything contains nothing."""
    try:
        return contains(state, value, container)
    except RenderFault:
        return False


def is_same_as(_: State, value: Value, other: Value, /) -> bool:
    if type(value) is not type(other):
        return False
    if isinstance(value, (list, dict, TemplateObject)):
        return value is other
    return type(value) is Undefined or bool(value == other)


def is_filter(_: State, value: Value, /) -> bool:
    from tensorzero.templates.filters import FILTERS

    return _text(value) in FILTERS


def is_test(_: State, value: Value, /) -> bool:
    return _text(value) in TESTS


TESTS: Mapping[str, Predicate] = {
    "!=": is_ne,
    "<": is_lt,
    "<=": is_le,
    "==": is_eq,
    ">": is_gt,
    ">=": is_ge,
    "boolean": is_boolean,
    "defined": is_defined,
    "divisibleby": is_divisible_by,
    "endingwith": ends_with,
    "eq": is_eq,
    "equalto": is_eq,
    "escaped": is_safe,
    "even": is_even,
    "false": is_false,
    "filter": is_filter,
    "float": is_float,
    "ge": is_ge,
    "greaterthan": is_gt,
    "gt": is_gt,
    "in": is_in,
    "int": is_integer,
    "integer": is_integer,
    "iterable": is_iterable,
    "le": is_le,
    "lessthan": is_lt,
    "lower": is_lower,
    "lt": is_lt,
    "mapping": is_mapping,
    "ne": is_ne,
    "none": is_none,
    "number": is_number,
    "odd": is_odd,
    "safe": is_safe,
    "sameas": is_same_as,
    "sequence": is_sequence,
    "startingwith": starts_with,
    "string": is_string,
    "test": is_test,
    "true": is_true,
    "undefined": is_undefined,
    "upper": is_upper,
}


def apply_test(state: State, name: Value, value: Value, args: tuple[Any, ...]) -> bool:
    """Run a test whose name was computed (``select``, ``reject`` and their ``attr`` forms)."""
    test = TESTS.get(name) if isinstance(name, str) else None
    if test is None:
        raise RenderFault("unknown test")
    return call_test(test, state, value, *args)


def call_test(
    test: Predicate, state: State, value: Value, /, *args: Value, **kwargs: Value
) -> bool:
    """A test whose arguments are known only now."""
    check(test, len(args) + 2, kwargs)
    return test(state, value, *args)
