"""Builds Python syntax trees whose lines are the lines of a template.

Compiled from a tree instead of from text, a template needs no quoting, nests as deep as Python's
compiler allows, and its tracebacks carry the template's own line numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

_LOAD, _STORE = ast.Load(), ast.Store()


class PythonTree:
    """Makes nodes at the current :attr:`line`, and names for temporary variables."""

    def __init__(self) -> None:
        self._counter = 0
        self.at: dict[str, Any] = {}
        self.move_to(1)

    def move_to(self, line: int) -> None:
        """Set the template line of the nodes that follow."""
        self.at = {"lineno": line, "col_offset": 0, "end_lineno": line, "end_col_offset": 0}

    def fresh(self, stem: str) -> str:
        """A name nothing else uses."""
        self._counter += 1
        return f"{stem}_{self._counter}"

    def name(self, name: str) -> ast.expr:
        return ast.Name(name, _LOAD, **self.at)

    def constant(self, value: Any) -> ast.expr:
        return ast.Constant(value, None, **self.at)

    def call(
        self, function: str, *args: ast.expr, keywords: Sequence[ast.keyword] = ()
    ) -> ast.expr:
        return ast.Call(self.name(function), list(args), list(keywords), **self.at)

    def method(self, owner: ast.expr, name: str, *args: ast.expr) -> ast.expr:
        return ast.Call(self.attribute(owner, name), list(args), [], **self.at)

    def attribute(self, owner: ast.expr, name: str) -> ast.expr:
        return ast.Attribute(owner, name, _LOAD, **self.at)

    def item(self, owner: str, position: int) -> ast.expr:
        return ast.Subscript(self.name(owner), self.constant(position), _LOAD, **self.at)

    def keyword(self, name: str | None, value: ast.expr) -> ast.keyword:
        return ast.keyword(name, value, **self.at)

    def list_of(self, items: list[ast.expr]) -> ast.expr:
        return ast.List(items, _LOAD, **self.at)

    def tuple_of(self, items: list[ast.expr]) -> ast.expr:
        return ast.Tuple(items, _LOAD, **self.at)

    def dict_of(self, keys: list[ast.expr | None], values: list[ast.expr]) -> ast.expr:
        return ast.Dict(keys, values, **self.at)

    def spread(self, value: ast.expr) -> ast.expr:
        return ast.Starred(value, _LOAD, **self.at)

    def either(self, test: ast.expr, yes: ast.expr, no: ast.expr) -> ast.expr:
        return ast.IfExp(test, yes, no, **self.at)

    def both(self, *tests: ast.expr) -> ast.expr:
        return ast.BoolOp(ast.And(), list(tests), **self.at)

    def negated(self, test: ast.expr) -> ast.expr:
        return ast.UnaryOp(ast.Not(), test, **self.at)

    def keep(self, name: str, value: ast.expr) -> ast.expr:
        """``(name := value)``."""
        return ast.NamedExpr(ast.Name(name, _STORE, **self.at), value, **self.at)

    def compare(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
        return ast.Compare(left, [operator], [right], **self.at)

    def of_type(self, value: ast.expr, kind: str) -> ast.expr:
        """``type(value) is kind``."""
        return self.compare(self.call("type", value), ast.Is(), self.name(kind))

    def is_none(self, name: str) -> ast.expr:
        return self.compare(self.name(name), ast.Is(), self.constant(None))

    # Targets and statements.

    def target(self, name: str) -> ast.expr:
        return ast.Name(name, _STORE, **self.at)

    def attribute_target(self, owner: str, name: str) -> ast.expr:
        return ast.Attribute(self.name(owner), name, _STORE, **self.at)

    def entry_target(self, owner: str, key: str) -> ast.expr:
        return ast.Subscript(self.name(owner), self.constant(key), _STORE, **self.at)

    def tuple_target(self, items: list[ast.expr]) -> ast.expr:
        return ast.Tuple(items, _STORE, **self.at)

    def assign(self, target: str | ast.expr, value: ast.expr) -> ast.stmt:
        place = self.target(target) if isinstance(target, str) else target
        return ast.Assign([place], value, None, **self.at)

    def evaluate(self, value: ast.expr) -> ast.stmt:
        return ast.Expr(value, **self.at)

    def when(self, test: ast.expr, yes: list[ast.stmt], no: list[ast.stmt]) -> ast.stmt:
        return ast.If(test, yes or [self.nothing()], no, **self.at)

    def nothing(self) -> ast.stmt:
        return ast.Pass(**self.at)

    def leave(self, value: ast.expr) -> ast.stmt:
        return ast.Return(value, **self.at)

    def loop(self, target: ast.expr, items: ast.expr, body: list[ast.stmt]) -> ast.stmt:
        return ast.For(target, items, body or [self.nothing()], [], None, **self.at)

    def end_loop(self, again: bool) -> ast.stmt:
        return ast.Continue(**self.at) if again else ast.Break(**self.at)

    def function(self, name: str, parameters: Sequence[str], body: list[ast.stmt]) -> ast.stmt:
        arguments = ast.arguments(
            [], [ast.arg(parameter, None, None, **self.at) for parameter in parameters],
            None, [], [], None, [],
        )  # fmt: skip
        return ast.FunctionDef(name, arguments, body, [], None, None, **self.at)
