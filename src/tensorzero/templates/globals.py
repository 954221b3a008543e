"""The global functions of templates: ``range``, ``dict``, ``namespace``, ``debug``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorzero.templates.errors import RenderFault, invalid, undefined_value
from tensorzero.templates.operators import as_index
from tensorzero.templates.state import Frame, RenderState
from tensorzero.templates.values import (
    Items,
    Namespace,
    TemplateObject,
    Undefined,
    Value,
    kind_of,
    pretty_debug,
)

RANGE_LIMIT = 100_000


class Function(TemplateObject):
    """A global function."""

    __slots__ = ("function", "name")

    def __init__(self, name: str, function: Callable[..., Value]) -> None:
        self.name = name
        self.function = function

    def text(self) -> str:
        return f"minijinja::functions::builtins::{self.name}"

    def call(self, state: Any, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
        return self.function(state, args, kwargs)


def _range(state: Any, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Items:
    if kwargs:
        raise invalid("cannot convert map to isize")
    if not 1 <= len(args) <= 3:
        raise RenderFault("missing argument" if not args else "too many arguments")
    bounds = []
    for value in args:
        whole = as_index(value)
        if whole is None or not -(2**63) <= whole < 2**63:
            raise invalid(f"cannot convert {kind_of(value)} to isize")
        bounds.append(whole)
    if len(bounds) == 3 and bounds[2] == 0:
        raise invalid("cannot create range with step of 0")
    numbers = range(*bounds)
    if numbers and (numbers[-1] - numbers[0]) // numbers.step >= RANGE_LIMIT:
        raise invalid("range has too many elements")
    state.charge(len(numbers))
    return Items(numbers)


def _dict(_: Any, args: tuple[Value, ...], kwargs: dict[str, Value]) -> dict[str, Value]:
    if len(args) > 1:
        raise RenderFault("too many arguments")
    return {**entries_of(args[0], "invalid operation"), **kwargs} if args else kwargs


def _namespace(_: Any, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Namespace:
    if len(args) > 1 or (args and kwargs):
        raise RenderFault("too many arguments")
    if not args:
        return Namespace(kwargs)
    wanted = f"invalid operation: expected object or keyword arguments, got {kind_of(args[0])}"
    return Namespace(dict(entries_of(args[0], wanted)))


def entries_of(value: Value, problem: str) -> dict[Any, Value]:
    """The entries of a map, or of an engine object like one. Raises ``problem`` otherwise."""
    if type(value) is dict:
        return value
    if isinstance(value, TemplateObject) and value.is_map:
        return value.entries()
    if type(value) is Undefined:
        raise undefined_value()
    raise RenderFault(problem)


def _debug_text(state: RenderState, frame: Frame, args: tuple[Value, ...]) -> str:
    if args:
        return pretty_debug(args[0] if len(args) == 1 else list(args))
    escape = {"html": "Html", "json": "Json"}.get(state.escape or "", "None")
    block = f'Some("{state.block_stack[-1][0]}")' if state.block_stack else "None"
    return (
        f'State {{\n    name: "{state.name}",\n    current_block: {block},\n'
        f"    auto_escape: {escape},\n    ctx: {pretty_debug(frame, '    ')},\n}}"
    )


def debug_function(state: RenderState, frame: Frame) -> Value:
    """The name ``debug``: unless shadowed, a function that shows the variables in sight."""

    def show(_: RenderState, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
        if kwargs:
            raise RenderFault("too many arguments")
        return _debug_text(state, frame, args)

    return frame["debug"] if "debug" in frame else Function("debug", show)


GLOBALS: Mapping[str, Function] = {
    "dict": Function("dict", _dict),
    "namespace": Function("namespace", _namespace),
    "range": Function("range", _range),
}
"""The functions that need nothing of the place they are called at; ``debug`` does."""
