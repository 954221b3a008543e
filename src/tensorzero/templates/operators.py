"""Operators, attribute and item access of templates.

Each function raises :class:`~tensorzero.templates.errors.RenderFault` where MiniJinja raises an
error. Texts with values of the arguments are kept for debug mode.
"""

from __future__ import annotations

import math
from typing import Any

from tensorzero.templates.errors import RenderFault, invalid, undefined_value
from tensorzero.templates.values import (
    MAX_STEPS,
    MAX_TEXT,
    UNDEFINED,
    Group,
    Items,
    Lazy,
    Namespace,
    State,
    TemplateObject,
    Undefined,
    Value,
    charged,
    join_texts,
    kind_of,
    less,
    to_text,
    too_long,
)

MAX_INTEGER = 2**127 - 1
MIN_INTEGER = -(2**127)


def require_defined(value: Value) -> None:
    """Raise if ``value`` is undefined (and not the silent value of a missing ``else``)."""
    if type(value) is Undefined and not value.silent:
        raise undefined_value()


def get_attr(value: Value, name: str) -> Value:
    """``value.name``: an entry of a map or of an engine object, never a Python attribute."""
    if type(value) is dict:
        return value.get(name, UNDEFINED)
    if isinstance(value, TemplateObject):
        return value.attribute(name)
    if type(value) is Undefined:
        raise undefined_value()
    if type(value) is Group:
        if name == "grouper":
            return value[0]
        if name == "list":
            return value[1]
    return UNDEFINED


def get_item(value: Value, key: Value) -> Value:
    """``value[key]``; undefined if there is no such item."""
    kind = type(value)
    if kind is dict:
        return UNDEFINED if isinstance(key, (list, dict)) else value.get(key, UNDEFINED)
    if isinstance(value, (list, str)):
        position = as_index(key)
        if position is None or (position < 0 and kind is Lazy):
            return UNDEFINED if not isinstance(key, str) else _named_item(value, key)
        try:
            return value[position]
        except IndexError:
            return UNDEFINED
    if kind is Undefined:
        raise undefined_value()
    if isinstance(value, TemplateObject) and isinstance(key, str):
        return value.attribute(key)
    return UNDEFINED


def _named_item(value: Value, key: str) -> Value:
    return get_attr(value, key) if isinstance(value, list) else UNDEFINED


def as_index(key: Value) -> int | None:
    """``key`` as an index: integers, booleans and whole floats."""
    if isinstance(key, int):
        return int(key)
    if type(key) is float and key.is_integer():
        return int(key)
    return None


def get_slice(state: State, value: Value, start: Value, stop: Value, step: Value) -> Value:
    """``value[start:stop:step]`` of text and lists."""
    require_defined(value)
    bounds = []
    for bound in (start, stop, step):
        position = None if bound is None else as_index(bound)
        if bound is not None and position is None:
            require_defined(bound)
            raise invalid(f"cannot convert {kind_of(bound)} to i64")
        bounds.append(position)
    if bounds[2] == 0:
        raise invalid("cannot slice by step size of 0")
    part = slice(*bounds)
    if isinstance(value, str):
        return charged(state, str(value)[part])
    if isinstance(value, list):
        taken = list.__getitem__(value, part)
        return charged(state, Lazy(taken) if type(value) is Lazy else Items(taken))
    if value is None or type(value) is Undefined:
        return []
    raise invalid(f"value of type {kind_of(value)} cannot be sliced")


def set_namespace(target: Value, name: str, value: Value) -> None:
    """``{% set target.name = value %}``."""
    if not isinstance(target, Namespace):
        raise invalid(f"can only assign to namespaces, not {kind_of(target)}")
    if name not in target.values and len(target.values) >= MAX_STEPS:
        raise invalid("namespace has too many entries")
    target.values[name] = value


def freeze_key(key: Value) -> Value:
    """A key of a map literal."""
    if isinstance(key, (list, dict)):
        raise invalid(f"a {kind_of(key)} cannot be the key of a map")
    return key


def unpack(value: Value, count: int) -> list[Value]:
    """The ``count`` items of a value that is assigned to as many names."""
    if isinstance(value, list):
        items: list[Value] = value
    elif isinstance(value, dict):
        items = sorted(value)
    else:
        raise RenderFault("cannot unpack: value is not iterable")
    if len(items) != count:
        raise RenderFault(
            f"cannot unpack: sequence of wrong length (expected {count}, got {len(items)})"
        )
    return items


def equal(left: Value, right: Value) -> bool:
    """``left == right``; values of different kinds are simply not equal."""
    require_defined(left)
    require_defined(right)
    return same(left, right)


def same(left: Value, right: Value) -> bool:
    """Equality without the check for undefined."""
    if type(left) is Undefined or type(right) is Undefined:
        return type(left) is type(right)
    if isinstance(left, Namespace) and isinstance(right, (Namespace, dict)):
        return bool(left.values == (right.values if isinstance(right, Namespace) else right))
    return bool(left == right)


def not_equal(left: Value, right: Value) -> bool:
    return not equal(left, right)


def less_than(left: Value, right: Value) -> bool:
    require_defined(left)
    require_defined(right)
    return less(left, right)


def less_equal(left: Value, right: Value) -> bool:
    return not less_than(right, left)


def greater_than(left: Value, right: Value) -> bool:
    return less_than(right, left)


def greater_equal(left: Value, right: Value) -> bool:
    return not less_than(left, right)


def contains(state: State, needle: Value, haystack: Value) -> bool:
    """``needle in haystack``."""
    require_defined(needle)
    require_defined(haystack)
    if isinstance(haystack, str):
        charged(state, haystack)
        return to_text(needle) in haystack
    if isinstance(haystack, list):
        state.charge(len(haystack) >> 3)
        return any(same(needle, item) for item in haystack)
    if isinstance(haystack, TemplateObject) and haystack.is_map:
        haystack = haystack.entries()
    if isinstance(haystack, dict):
        return not isinstance(needle, (list, dict)) and needle in haystack
    if type(haystack) is Undefined:
        return False
    raise invalid("cannot perform a containment check on this value")


def concat(state: State, /, *values: Value) -> Value:
    """``a ~ b ~ …``: the printed forms, joined."""
    return charged(state, join_texts([to_text(value) for value in values]))


def is_number(value: Value) -> bool:
    return isinstance(value, (int, float))


def _unsupported(operator: str, left: Value, right: Value) -> RenderFault:
    return invalid(
        f"tried to use {operator} operator on unsupported types"
        f" {kind_of(left)} and {kind_of(right)}"
    )


def _impossible(operator: str, left: Value, right: Value) -> RenderFault:
    return invalid(f"unable to calculate {to_text(left)} {operator} {to_text(right)}")


def _checked(result: Any, operator: str, left: Value, right: Value) -> Any:
    if type(result) is int and not MIN_INTEGER <= result <= MAX_INTEGER:
        raise _impossible(operator, left, right)
    return result


def add(state: State, left: Value, right: Value) -> Value:
    """``+``: numbers, text with text, lists with lists."""
    if is_number(left) and is_number(right):
        return _checked(left + right, "+", left, right)
    if isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > MAX_TEXT:
            raise too_long()
        return charged(state, str(left) + str(right))
    if isinstance(left, list) and isinstance(right, list):
        if len(left) + len(right) > MAX_STEPS:
            raise invalid("list has too many elements")
        return charged(state, Items([*left, *right]))
    raise _unsupported("+", left, right)


def subtract(left: Value, right: Value) -> Value:
    if is_number(left) and is_number(right):
        return _checked(left - right, "-", left, right)
    raise _unsupported("-", left, right)


def multiply(state: State, left: Value, right: Value) -> Value:
    """``*``: numbers, and repeated text or lists."""
    if is_number(left) and is_number(right):
        return _checked(left * right, "*", left, right)
    for repeated, count in ((left, right), (right, left)):
        if isinstance(repeated, str):
            times = _times("strings", count)
            if len(repeated) * times > MAX_TEXT:
                raise too_long()
            return charged(state, str(repeated) * times)
    for repeated, count in ((left, right), (right, left)):
        if isinstance(repeated, list) and not isinstance(left, (dict, TemplateObject)):
            times = _times("sequences and iterables", count)
            if len(repeated) * times > MAX_STEPS:
                raise invalid("list has too many elements")
            return charged(state, Items(list(repeated) * times))
    raise _unsupported("*", left, right)


def _times(what: str, count: Value) -> int:
    times = as_index(count)
    if times is None or times < 0:
        raise invalid(f"{what} can only be multiplied with integers")
    return times


def divide(left: Value, right: Value) -> Value:
    """``/``: always a float, as IEEE 754 has it."""
    if not (is_number(left) and is_number(right)):
        raise _unsupported("/", left, right)
    dividend, divisor = float(left), float(right)
    if divisor == 0.0:
        if dividend == 0.0 or math.isnan(dividend):
            return math.nan
        return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)
    return dividend / divisor


def floor_divide(left: Value, right: Value) -> Value:
    """``//``: the Euclidean quotient, a float if either side is one."""
    if not (is_number(left) and is_number(right)):
        raise _unsupported("//", left, right)
    if isinstance(left, int) and isinstance(right, int):
        if right == 0:
            raise _impossible("//", left, right)
        return _checked(_euclid(left, right)[0], "//", left, right)
    if right == 0:
        return divide(left, right)
    quotient = float(left) / float(right)
    if math.isinf(quotient) or math.isnan(quotient):
        return quotient
    return _float_euclid(float(left), float(right))


def _float_euclid(left: float, right: float) -> float:
    quotient = float(math.trunc(left / right))
    if math.fmod(left, right) < 0.0:
        return quotient - 1.0 if right > 0.0 else quotient + 1.0
    return quotient


def _euclid(left: int, right: int) -> tuple[int, int]:
    remainder = left % abs(right)
    return (left - remainder) // right, remainder


def modulo(left: Value, right: Value) -> Value:
    """``%``: the Euclidean remainder, never negative."""
    if not (is_number(left) and is_number(right)):
        raise _unsupported("%", left, right)
    if isinstance(left, int) and isinstance(right, int):
        if right == 0:
            raise _impossible("%", left, right)
        return _euclid(left, right)[1]
    dividend, divisor = float(left), float(right)
    if divisor == 0.0 or math.isinf(dividend) or math.isnan(dividend) or math.isnan(divisor):
        return math.nan
    return math.fmod(dividend, divisor)


def power(left: Value, right: Value) -> Value:
    """``**``: integers within 128 bits, else floats."""
    if not (is_number(left) and is_number(right)):
        raise _unsupported("**", left, right)
    if isinstance(left, int) and isinstance(right, int):
        # Bounds first: an unbounded power would take all memory before it could be refused.
        if right < 0 or (abs(left) > 1 and right > 127):
            raise _impossible("**", left, right)
        return _checked(int(left) ** right, "**", left, right)
    try:
        result = float(left) ** float(right)
    except ZeroDivisionError:
        odd = float(right) % 2 == 1
        return math.copysign(math.inf, float(left)) if odd else math.inf
    except OverflowError:
        odd = float(right).is_integer() and float(right) % 2 == 1
        return -math.inf if left < 0 and odd else math.inf
    return math.nan if isinstance(result, complex) else result


def negate(value: Value) -> Value:
    if type(value) is int:
        return _checked(-value, "-", 0, value) if value != 2**127 else -value
    if type(value) is float:
        return -value
    raise RenderFault("invalid operation")
