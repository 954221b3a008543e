"""The objects a running template makes: ``loop``, macros and imported modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorzero.templates.errors import RenderFault, invalid
from tensorzero.templates.state import LOOP_COST, MACRO_COST, Frame, RenderState, Unit, captured
from tensorzero.templates.values import (
    UNDEFINED,
    Lazy,
    TemplateObject,
    Undefined,
    Value,
    is_iterable,
    iterate,
)


class Loop(TemplateObject):
    """The variable ``loop``."""

    __slots__ = ("changed", "depth0", "frame", "index0", "items", "recurse")
    kind = "map"
    is_map = True

    def __init__(
        self,
        items: list[Value],
        depth0: int,
        recurse: Callable[[RenderState, list[Value], int, Frame], str] | None,
        frame: Frame,
    ) -> None:
        self.items = items
        self.depth0 = depth0
        self.recurse = recurse
        self.index0 = 0
        self.frame = frame
        self.changed: tuple[Value, ...] | None = None

    def attribute(self, name: str) -> Value:
        reader = _LOOP_ATTRIBUTES.get(name)
        return UNDEFINED if reader is None else reader(self)

    def entries(self) -> dict[str, Value]:
        return {name: reader(self) for name, reader in _LOOP_ATTRIBUTES.items()}

    def text(self) -> str:
        return f"<loop {self.index0}/{len(self.items)}>"

    def call(self, state: Any, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
        if self.recurse is None:
            raise invalid("cannot recurse outside of recursive loop")
        if len(args) != 1 or kwargs:
            raise invalid("loop() takes one argument")
        if type(args[0]) is Undefined or not is_iterable(args[0]):
            raise invalid("cannot recurse because of non-iterable value")
        items = iterate(state, args[0])
        state.enter(LOOP_COST)
        try:
            return captured(state, self.recurse(state, items, self.depth0 + 1, self.frame))
        finally:
            state.depth -= LOOP_COST

    def after(self, position: int) -> Value:
        """How many items there are from ``position`` on; an iterator doesn't know."""
        return UNDEFINED if type(self.items) is Lazy else len(self.items) - position

    def method(self, name: str, args: tuple[Value, ...]) -> Value:
        if name == "cycle":
            if not args:
                raise RenderFault("missing argument")
            return args[self.index0 % len(args)]
        if name == "changed":
            previous, self.changed = self.changed, args
            return previous != args
        raise RenderFault(f"unknown method: loop object has no method named {name}")


_LOOP_ATTRIBUTES: Mapping[str, Callable[[Loop], Value]] = {
    "index0": lambda loop: loop.index0,
    "index": lambda loop: loop.index0 + 1,
    "length": lambda loop: loop.after(0),
    "revindex": lambda loop: loop.after(loop.index0),
    "revindex0": lambda loop: loop.after(loop.index0 + 1),
    "first": lambda loop: loop.index0 == 0,
    "last": lambda loop: loop.after(loop.index0 + 1) == 0,
    "depth": lambda loop: loop.depth0 + 1,
    "depth0": lambda loop: loop.depth0,
    "previtem": lambda loop: loop.items[loop.index0 - 1] if loop.index0 else UNDEFINED,
    "nextitem": lambda loop: (
        loop.items[loop.index0 + 1] if loop.index0 + 1 < len(loop.items) else UNDEFINED
    ),
}


class Macro(TemplateObject):
    """A macro, or the body of a ``call`` block, with the frame it was defined in."""

    __slots__ = ("arguments", "body", "defaults", "frame", "name", "takes_caller")
    kind = "map"
    is_map = True

    def __init__(
        self,
        name: str,
        arguments: tuple[str, ...],
        defaults: tuple[Callable[[RenderState, Frame], Value], ...],
        body: Unit,
        frame: Frame,
        takes_caller: bool,
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.defaults = defaults
        self.body = body
        self.frame = frame
        self.takes_caller = takes_caller

    def attribute(self, name: str) -> Value:
        return self.entries().get(name, UNDEFINED)

    def entries(self) -> dict[str, Value]:
        return {
            "name": self.name,
            "arguments": list(self.arguments),
            "caller": self.takes_caller,
        }

    def text(self) -> str:
        return f"<macro {self.name}>"

    def call(self, state: Any, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
        names = self.arguments
        if len(args) > len(names):
            raise RenderFault("too many arguments")
        frame = dict(self.frame)
        for name in ("caller", *names):
            frame.pop(name, None)
        given = dict(zip(names, args, strict=False))
        for name in given:
            if name in kwargs:
                raise RenderFault(f"too many arguments: duplicate argument `{name}`")
        for name in kwargs:
            if name not in names and not (name == "caller" and self.takes_caller):
                raise RenderFault(f"too many arguments: unknown keyword argument `{name}`")
        if self.takes_caller:
            frame["caller"] = kwargs.get("caller", UNDEFINED)
        given.update(kwargs)
        state.enter(MACRO_COST)
        try:
            first_default = len(names) - len(self.defaults)
            # From the last to the first: a default sees the arguments after its own.
            for position in range(len(names) - 1, -1, -1):
                value = given.get(names[position], UNDEFINED)
                if type(value) is Undefined and position >= first_default:
                    value = self.defaults[position - first_default](state, frame)
                frame[names[position]] = value
            return captured(state, self.body(state, frame))
        finally:
            state.depth -= MACRO_COST


class Module(TemplateObject):
    """An imported template: what it set at its top level."""

    __slots__ = ("exports", "output")
    kind = "map"
    is_map = True

    def __init__(self, exports: dict[str, Value], output: str) -> None:
        self.exports = exports
        self.output = output

    def attribute(self, name: str) -> Value:
        return self.exports.get(name, UNDEFINED)

    def entries(self) -> dict[str, Value]:
        return self.exports

    def text(self) -> str:
        return self.output
