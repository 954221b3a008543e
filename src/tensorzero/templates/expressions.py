"""Compiles the expressions of a template into Python expressions over the operators."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from tensorzero.templates import operators, runtime
from tensorzero.templates.arguments import problem
from tensorzero.templates.filters import FILTERS, call_filter
from tensorzero.templates.globals import GLOBALS, debug_function
from tensorzero.templates.predicates import TESTS, call_test
from tensorzero.templates.python_tree import PythonTree
from tensorzero.templates.values import SILENT, UNDEFINED, Undefined, charged, truthy

_BINARY: Mapping[type[nodes.Expr], str] = {
    nodes.Add: "add",
    nodes.Sub: "subtract",
    nodes.Mul: "multiply",
    nodes.Div: "divide",
    nodes.FloorDiv: "floor_divide",
    nodes.Mod: "modulo",
    nodes.Pow: "power",
}
_COMPARISONS: Mapping[str, str] = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less_than",
    "lteq": "less_equal",
    "gt": "greater_than",
    "gteq": "greater_equal",
}

NAMESPACE: Mapping[str, Any] = {
    "SILENT": SILENT,
    "UNDEFINED": UNDEFINED,
    "Undefined": Undefined,
    "charged": charged,
    "call_filter": call_filter,
    "call_method": runtime.call_method,
    "call_name": runtime.call_name,
    "call_test": call_test,
    "call_value": runtime.call_value,
    "concat": operators.concat,
    "contains": operators.contains,
    "debug_function": debug_function,
    "dict": dict,
    "fail": runtime.fail,
    "freeze_key": operators.freeze_key,
    "get_attr": operators.get_attr,
    "get_item": operators.get_item,
    "get_slice": operators.get_slice,
    "negate": operators.negate,
    "render_block": runtime.render_block,
    "render_super": runtime.render_super,
    "spread_args": runtime.spread_args,
    "spread_kwargs": runtime.spread_kwargs,
    "str": str,
    "truthy": truthy,
    "type": type,
    **{name: getattr(operators, name) for name in (*_BINARY.values(), *_COMPARISONS.values())},
}
"""What compiled code can name, apart from what a template's own constants add."""


class ExpressionCompiler(PythonTree):
    """Turns expression nodes into Python expressions that use ``state`` and ``frame``."""

    def __init__(self) -> None:
        super().__init__()
        self.namespace: dict[str, Any] = dict(NAMESPACE)
        self.filtered: list[str] = []
        """Names of the captured texts that the enclosing ``filter`` or ``set`` blocks pipe."""

    def bind(self, stem: str, value: Any) -> ast.expr:
        """A Python global holding ``value``, which can't be written as a constant."""
        name = f"{stem}__{len(self.namespace)}"
        self.namespace[name] = value
        return self.name(name)

    def expression(self, node: nodes.Node) -> ast.expr:
        """The Python expression of a node."""
        self.move_to(node.lineno)
        return _EXPRESSIONS[type(node)](self, node)

    def condition(self, node: nodes.Node) -> ast.expr:
        """The truth of a node, as a Python truth value."""
        value = self.expression(node)
        return value if _is_boolean(node) else self.call("truthy", value)

    def _name(self, node: nodes.Name) -> ast.expr:
        if node.name == "debug":
            return self.call("debug_function", self.name("state"), self.name("frame"))
        found = GLOBALS.get(node.name)
        fallback = self.name("UNDEFINED") if found is None else self.bind("global", found)
        return self.method(self.name("frame"), "get", self.constant(node.name), fallback)

    def _constant(self, node: nodes.Const) -> ast.expr:
        value = node.value
        if type(value) is float and value - value != 0:
            return self.bind("number", value)
        return self.constant(value)

    def _list(self, node: nodes.List | nodes.Tuple) -> ast.expr:
        return self.list_of([self.expression(item) for item in node.items])

    def _dict(self, node: nodes.Dict) -> ast.expr:
        keys: list[ast.expr | None] = []
        for pair in node.items:
            key = self.expression(pair.key)
            literal = isinstance(pair.key, nodes.Const)
            keys.append(key if literal else self.call("freeze_key", key))
        return self.dict_of(keys, [self.expression(pair.value) for pair in node.items])

    def _attribute(self, node: nodes.Getattr) -> ast.expr:
        return self._entry(node.node, node.attr, "get_attr")

    def _entry(self, owner: nodes.Expr, name: str, otherwise: str) -> ast.expr:
        """An entry of a map by a constant name: a plain ``dict`` needs no call of the operator."""
        value = self.expression(owner)
        kept = self.fresh("owner")
        return self.either(
            self.of_type(self.keep(kept, value), "dict"),
            self.method(self.name(kept), "get", self.constant(name), self.name("UNDEFINED")),
            self.call(otherwise, self.name(kept), self.constant(name)),
        )

    def _item(self, node: nodes.Getitem) -> ast.expr:
        key = node.arg
        if isinstance(key, nodes.Const) and isinstance(key.value, str):
            return self._entry(node.node, key.value, "get_item")
        value = self.expression(node.node)
        if isinstance(key, nodes.Slice):
            bounds = [
                self.constant(None) if bound is None else self.expression(bound)
                for bound in (key.start, key.stop, key.step)
            ]
            return self.call("get_slice", self.name("state"), value, *bounds)
        return self.call("get_item", value, self.expression(key))

    def _binary(self, node: nodes.BinExpr) -> ast.expr:
        left, right = self.expression(node.left), self.expression(node.right)
        self.move_to(node.lineno)
        grows = [self.name("state")] if isinstance(node, (nodes.Add, nodes.Mul)) else []
        return self.call(_BINARY[type(node)], *grows, left, right)

    def _compare(self, node: nodes.Compare) -> ast.expr:
        left = self.expression(node.expr)
        operand = node.ops[0]
        right = self.expression(operand.expr)
        self.move_to(node.lineno)
        if operand.op == "notin":
            return self.negated(self.call("contains", self.name("state"), left, right))
        if operand.op == "in":
            return self.call("contains", self.name("state"), left, right)
        function = _COMPARISONS[operand.op]
        other = operand.expr
        if operand.op == "eq" and isinstance(other, nodes.Const) and type(other.value) is str:
            kept = self.fresh("left")
            return self.either(
                self.of_type(self.keep(kept, left), "str"),
                self.compare(self.name(kept), ast.Eq(), self.constant(other.value)),
                self.call(function, self.name(kept), right),
            )
        return self.call(function, left, right)

    def _and(self, node: nodes.And) -> ast.expr:
        kept = self.fresh("left")
        left = self.call("truthy", self.keep(kept, self.expression(node.left)))
        return self.either(left, self.expression(node.right), self.name(kept))

    def _or(self, node: nodes.Or) -> ast.expr:
        kept = self.fresh("left")
        left = self.call("truthy", self.keep(kept, self.expression(node.left)))
        return self.either(left, self.name(kept), self.expression(node.right))

    def _not(self, node: nodes.Not) -> ast.expr:
        return self.negated(self.condition(node.node))

    def _negative(self, node: nodes.Neg) -> ast.expr:
        return self.call("negate", self.expression(node.node))

    def _concat(self, node: nodes.Concat) -> ast.expr:
        values = [self.expression(part) for part in node.nodes]
        return self.call("concat", self.name("state"), *values)

    def _conditional(self, node: nodes.CondExpr) -> ast.expr:
        test = self.condition(node.test)
        yes = self.expression(node.expr1)
        no = self.name("SILENT") if node.expr2 is None else self.expression(node.expr2)
        return self.either(test, yes, no)

    def _filter(self, node: nodes.Filter) -> ast.expr:
        base = node.node
        value = self.name(self.filtered[-1]) if base is None else self.expression(base)
        function = FILTERS.get(node.name)
        self.move_to(node.lineno)
        if function is None:
            text = f"unknown filter: filter {node.name} is unknown"
            return self.call("fail", self.constant(text), value)
        made = self._apply(node, function, value, "call_filter")
        return self.call("charged", self.name("state"), made)

    def _test(self, node: nodes.Test) -> ast.expr:
        value = self.expression(node.node)
        if node.name in {"defined", "undefined"} and not node.args:
            wanted = ast.Is() if node.name == "undefined" else ast.IsNot()
            return self.compare(self.call("type", value), wanted, self.name("Undefined"))
        function = TESTS.get(node.name)
        self.move_to(node.lineno)
        if function is None:
            text = f"unknown test: test {node.name} is unknown"
            return self.call("fail", self.constant(text), value)
        return self._apply(node, function, value, "call_test")

    def _apply(
        self,
        node: nodes.Filter | nodes.Test,
        function: Callable[..., Any],
        value: ast.expr,
        late: str,
    ) -> ast.expr:
        args, keywords, fixed = self.arguments(node)
        self.move_to(node.lineno)
        target = self.bind(node.name if node.name.isidentifier() else "operator", function)
        state = self.name("state")
        if not fixed:
            return self.call(late, target, state, value, *args, keywords=keywords)
        wrong = problem(function, len(args) + 2, [str(pair.key) for pair in node.kwargs])
        if wrong is not None:
            return self.call("fail", self.constant(wrong), value, *args)
        return ast.Call(target, [state, value, *args], keywords, **self.at)

    def arguments(
        self, node: nodes.Call | nodes.Filter | nodes.Test
    ) -> tuple[list[ast.expr], list[ast.keyword], bool]:
        """Positional and keyword arguments, and whether both are known without running."""
        args = [self.expression(arg) for arg in node.args]
        if node.dyn_args is not None:
            args.append(self.spread(self.call("spread_args", self.name("state"),
                                              self.expression(node.dyn_args))))  # fmt: skip
        keys: list[ast.expr | None] = [self.constant(pair.key) for pair in node.kwargs]
        values = [self.expression(pair.value) for pair in node.kwargs]
        if node.dyn_kwargs is not None:
            keys.append(None)
            values.append(self.call("spread_kwargs", self.expression(node.dyn_kwargs)))
        # As a map, not as Python keywords: any name will do, and a later one replaces it.
        keywords = [self.keyword(None, self.dict_of(keys, values))] if keys else []
        return args, keywords, node.dyn_args is None and node.dyn_kwargs is None

    def _call(self, node: nodes.Call) -> ast.expr:
        args, keywords, _ = self.arguments(node)
        return self.call_with(node, args, keywords)

    def call_with(
        self, node: nodes.Call, args: list[ast.expr], keywords: list[ast.keyword]
    ) -> ast.expr:
        """A call with the given compiled arguments."""
        callee = node.node
        state, frame = self.name("state"), self.name("frame")
        self.move_to(node.lineno)
        if isinstance(callee, nodes.Name):
            if callee.name == "super" and not args and not keywords:
                return self.call("render_super", state, frame)
            function = self.expression(callee)
            name = self.constant(callee.name)
            return self.call("call_name", state, name, function, *args, keywords=keywords)
        if isinstance(callee, nodes.Getattr):
            owner, name = callee.node, self.constant(callee.attr)
            if isinstance(owner, nodes.Name) and owner.name == "self":
                return self.call("render_block", state, frame, name, self.name("BLOCKS"))
            value = self.expression(owner)
            self.move_to(node.lineno)
            return self.call("call_method", state, value, name, *args, keywords=keywords)
        function = self.expression(callee)
        return self.call("call_value", state, function, *args, keywords=keywords)


def _is_boolean(node: nodes.Node) -> bool:
    """Whether a compiled node is a Python truth value, so that nothing need test it."""
    if isinstance(node, (nodes.And, nodes.Or)):
        return _is_boolean(node.left) and _is_boolean(node.right)
    return isinstance(node, (nodes.Not, nodes.Compare, nodes.Test))


_EXPRESSIONS: Mapping[type[nodes.Node], Callable[[ExpressionCompiler, Any], ast.expr]] = {
    nodes.And: ExpressionCompiler._and,
    nodes.Call: ExpressionCompiler._call,
    nodes.Compare: ExpressionCompiler._compare,
    nodes.Concat: ExpressionCompiler._concat,
    nodes.CondExpr: ExpressionCompiler._conditional,
    nodes.Const: ExpressionCompiler._constant,
    nodes.Dict: ExpressionCompiler._dict,
    nodes.Filter: ExpressionCompiler._filter,
    nodes.Getattr: ExpressionCompiler._attribute,
    nodes.Getitem: ExpressionCompiler._item,
    nodes.List: ExpressionCompiler._list,
    nodes.Name: ExpressionCompiler._name,
    nodes.Neg: ExpressionCompiler._negative,
    nodes.Not: ExpressionCompiler._not,
    nodes.Or: ExpressionCompiler._or,
    nodes.Test: ExpressionCompiler._test,
    nodes.Tuple: ExpressionCompiler._list,
    **dict.fromkeys(_BINARY, ExpressionCompiler._binary),
}
