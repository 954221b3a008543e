"""Compiles a parsed template into Python functions, one for each body that runs on its own.

Every function takes the state of the render and the frame: the variables in sight. It gathers its
output in the list ``out`` and returns it joined. ``plain`` says that nothing is escaped, which
makes the printing of a text one type check.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import nodes

from tensorzero.templates import objects, operators, runtime, state, values
from tensorzero.templates.analysis import (
    LOADS,
    asks_for_loop,
    assigned_names,
    constant_text,
    contains,
    names_by_line,
    names_in,
)
from tensorzero.templates.expressions import ExpressionCompiler
from tensorzero.templates.grammar import parse, parse_error

_CHANGES_FRAME = (nodes.Assign, nodes.AssignBlock, nodes.Macro, *LOADS)
_JUMPS = (nodes.Break, nodes.Continue)
_CAPTURES = (nodes.AssignBlock, nodes.FilterBlock, nodes.ScopedEvalContextModifier)


class CompiledTemplate:
    """A template as Python functions. Immutable, and shared by all engines that hold it."""

    __slots__ = (
        "blocks",
        "changes_frame",
        "constant",
        "escape",
        "exported",
        "key",
        "names_by_line",
        "root",
        "source",
    )

    def __init__(self, key: str, source: str, tree: nodes.Template, escape: str | None) -> None:
        self.key = key
        self.source = source
        self.escape = escape
        self.changes_frame = next(tree.find_all(_CHANGES_FRAME), None) is not None
        """Whether a render may store variables, and so needs a frame of its own."""
        self.exported = frozenset(assigned_names(tree.body))
        """Names set outside of loops and blocks: what an import sees."""
        self.names_by_line = names_by_line(tree)
        self.constant = constant_text(tree)
        """The output, if it is always the same."""
        compiler = _Compiler()
        self.root, self.blocks = compiler.compile(self, tree)


def compile_template(
    key: str, source: str, escape: str | None
) -> tuple[CompiledTemplate, nodes.Template]:
    """Compile a template; the syntax tree is for the analyses. Raises ``TemplateParseError``."""
    tree = parse(key, source)
    try:
        return CompiledTemplate(key, source, tree, escape), tree
    except _Refused as refused:
        raise parse_error(key, refused.problem, refused.line) from None
    except (RecursionError, SyntaxError):  # Python's compiler has limits of its own
        raise parse_error(key, "template is nested too deeply", 1) from None


class _Refused(Exception):
    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


class _Compiler(ExpressionCompiler):
    """Turns statements into Python statements; ``functions`` gathers the finished functions."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: list[ast.stmt] = []
        self.block_names: dict[str, str] = {}
        self.body: list[ast.stmt] = []
        self.pending: list[ast.expr] = []
        self.in_loop = False
        self.captures = 0
        self.extends = False
        self.at_root = False
        self.namespace.update(
            Loop=objects.Loop,
            Macro=objects.Macro,
            assign_attribute=operators.set_namespace,
            captured=state.captured,
            enumerate=enumerate,
            escape_mode=state.escape_mode,
            extend=runtime.extend,
            import_module=runtime.import_module,
            include=runtime.include,
            iterate=values.iterate,
            join_texts=values.join_texts,
            show=state.show,
            unpack=operators.unpack,
        )

    def compile(
        self, template: CompiledTemplate, tree: nodes.Template
    ) -> tuple[state.Unit, Mapping[str, state.Unit]]:
        self._declare_blocks(tree)
        self.extends = next(tree.find_all(nodes.Extends), None) is not None
        self._function("root", ("state", "frame"), lambda: self._root(tree), root=True)
        module = ast.Module(self.functions, [])
        self.namespace["TEMPLATE"] = template
        exec(compile(module, template.key.replace("\0", "?"), "exec"), self.namespace)
        blocks = {name: self.namespace[function] for name, function in self.block_names.items()}
        self.namespace["BLOCKS"] = blocks
        return self.namespace["root"], blocks

    def _declare_blocks(self, tree: nodes.Template) -> None:
        for block in tree.find_all(nodes.Block):
            if block.name in self.block_names:
                raise _Refused(f"block '{block.name}' defined twice", block.lineno)
            self.block_names[block.name] = self.fresh("block")

    # Functions.

    def _function(
        self,
        name: str,
        parameters: tuple[str, ...],
        write: Callable[[], None],
        root: bool = False,
    ) -> None:
        """Write a function's body apart from the one being written."""
        kept = (self.body, self.pending, self.in_loop, self.at_root, self.at)
        self.body, self.pending, self.in_loop, self.at_root = [], [], False, root
        write()
        self.functions.append(self.function(name, parameters, self.body))
        self.body, self.pending, self.in_loop, self.at_root, self.at = kept

    def _text_function(
        self, name: str, parameters: tuple[str, ...], body: Iterable[nodes.Node]
    ) -> None:
        self._function(name, parameters, lambda: self._text(list(body)))

    def _text(self, body: list[nodes.Node]) -> None:
        """The statements that make the text of ``body`` and return it."""
        self._plain()
        if all(isinstance(node, nodes.Output) for node in body):
            for node in body:
                self._output(node)
            pieces, self.pending = self.pending, []
            self.body.append(self.leave(self._joined(self.list_of(pieces), body)))
            return
        self._new_output()
        self._statements(body)
        self.body.append(self.leave(self.call("join_texts", self.name("out"))))

    def _joined(self, pieces: ast.expr, body: list[nodes.Node]) -> ast.expr:
        """Texts joined; their length needs no check if each is a constant or an argument."""
        grows = (nodes.Call, nodes.Filter, nodes.BinExpr, nodes.Concat)
        if contains(body, grows):
            return self.call("join_texts", pieces)
        return self.method(self.constant(""), "join", pieces)

    def _root(self, tree: nodes.Template) -> None:
        if not self.extends:
            self._text(tree.body)
            return
        self._plain()
        self.body.append(self.assign("parent", self.constant(None)))
        self._new_output()
        self._statements(tree.body)
        joined = self.call("join_texts", self.name("out"))
        before = self.call("join_texts", self.name("before"))
        state_, frame = self.name("state"), self.name("frame")
        rest = self.method(self.name("parent"), "root", state_, frame)
        both = self.call("join_texts", self.list_of([before, rest]))
        self.body.append(
            self.when(self.is_none("parent"), [self.leave(joined)], [self.leave(both)])
        )

    def _plain(self) -> None:
        escape = self.attribute(self.name("state"), "escape")
        self.body.append(self.assign("plain", self.compare(escape, ast.Is(), self.constant(None))))

    def _new_output(self) -> None:
        self.body.append(self.assign("out", self.list_of([])))

    # Statements.

    def _statements(self, body: Iterable[nodes.Node]) -> None:
        for node in body:
            if not isinstance(node, nodes.Output):
                self._flush()
            self.move_to(node.lineno)
            _STATEMENTS[type(node)](self, node)
        self._flush()

    def _nested(self, body: Iterable[nodes.Node]) -> list[ast.stmt]:
        """The statements of ``body``, apart from the ones being written."""
        kept, self.body = self.body, []
        self._statements(body)
        written, self.body = self.body, kept
        return written

    def _flush(self) -> None:
        if not self.pending:
            return
        pieces, self.pending = self.pending, []
        out = self.name("out")
        if len(pieces) == 1:
            self.body.append(self.evaluate(self.method(out, "append", pieces[0])))
        else:
            self.body.append(self.evaluate(self.method(out, "extend", self.tuple_of(pieces))))

    def _write(self, text: ast.expr) -> None:
        self.pending.append(text)

    def _output(self, node: nodes.Node) -> None:
        assert isinstance(node, nodes.Output)
        for part in node.nodes:
            self.move_to(part.lineno)
            if isinstance(part, nodes.TemplateData):
                self._write(self.constant(part.data))
            else:
                self._write(self._shown(self.expression(part)))

    def _shown(self, value: ast.expr) -> ast.expr:
        kept = self.fresh("value")
        is_text = self.both(self.of_type(self.keep(kept, value), "str"), self.name("plain"))
        return self.either(
            is_text, self.name(kept), self.call("show", self.name("state"), self.name(kept))
        )

    def _do(self, node: nodes.ExprStmt) -> None:
        self.body.append(self.evaluate(self.expression(node.node)))

    def _if(self, node: nodes.If) -> None:
        branches = [(node.test, node.body), *((part.test, part.body) for part in node.elif_)]
        otherwise = self._nested(node.else_)
        for test, body in reversed(branches):
            written = self._nested(body)
            condition = self.condition(test)
            self.move_to(test.lineno)
            otherwise = [self.when(condition, written, otherwise)]
        self.body += otherwise

    def _assign_to(self, target: nodes.Node, value: ast.expr) -> None:
        if isinstance(target, nodes.NSRef):
            owner = self.method(
                self.name("frame"), "get", self.constant(target.name), self.name("UNDEFINED")
            )
            self.body.append(
                self.evaluate(
                    self.call("assign_attribute", owner, self.constant(target.attr), value)
                )
            )
        elif isinstance(target, nodes.Tuple):
            parts = self.fresh("parts")
            count = self.constant(len(target.items))
            self.body.append(self.assign(parts, self.call("unpack", value, count)))
            for position, item in enumerate(target.items):
                self._assign_to(item, self.item(parts, position))
        else:
            assert isinstance(target, nodes.Name)
            self.body.append(self.assign(self.entry_target("frame", target.name), value))

    def _assign(self, node: nodes.Assign) -> None:
        value = self.expression(node.node)
        self.move_to(node.lineno)
        self._assign_to(node.target, value)

    def _capture(self, body: list[nodes.Node]) -> str:
        """Write ``body`` with its output captured; the name of the captured value."""
        outer, value = self.fresh("outer"), self.fresh("captured")
        self.body.append(self.assign(outer, self.name("out")))
        self._new_output()
        self.captures += 1
        self._statements(body)
        self.captures -= 1
        text = self.call("join_texts", self.name("out"))
        self.body.append(self.assign(value, self.call("captured", self.name("state"), text)))
        self.body.append(self.assign("out", self.name(outer)))
        return value

    def _piped(self, name: str, node: nodes.Filter) -> ast.expr:
        self.filtered.append(name)
        value = self.expression(node)
        self.filtered.pop()
        return value

    def _assign_block(self, node: nodes.AssignBlock) -> None:
        name = self._capture(node.body)
        value = self.name(name) if node.filter is None else self._piped(name, node.filter)
        self._assign_to(node.target, value)

    def _filter_block(self, node: nodes.FilterBlock) -> None:
        name = self._capture(node.body)
        self._write(self._shown(self._piped(name, node.filter)))

    def _with(self, node: nodes.With) -> None:
        outer = self.fresh("frame")
        self.body.append(self.assign(outer, self.name("frame")))
        self._copy_frame()
        for target, value in zip(node.targets, node.values, strict=True):
            self._assign_to(target, self.expression(value))
        self._statements(node.body)
        self.body.append(self.assign("frame", self.name(outer)))

    def _copy_frame(self) -> None:
        self.body.append(self.assign("frame", self.call("dict", self.name("frame"))))

    def _scope(self, node: nodes.Scope) -> None:
        self._statements(node.body)

    def _autoescape(self, node: nodes.ScopedEvalContextModifier) -> None:
        outer = self.fresh("escape")
        escape = self.attribute(self.name("state"), "escape")
        self.body.append(self.assign(outer, escape))
        mode = self.call("escape_mode", self.expression(node.options[0].value))
        self.body.append(self.assign(self.attribute_target("state", "escape"), mode))
        self._plain()
        self._statements(node.body)
        self.body.append(self.assign(self.attribute_target("state", "escape"), self.name(outer)))
        self._plain()

    # Loops.

    def _for(self, node: nodes.For) -> None:
        items = self.call("iterate", self.name("state"), self.expression(node.iter))
        if node.recursive:
            name = self.fresh("loop")
            parameters = ("state", "items", "depth0", "frame")
            self._function(name, parameters, lambda: self._recursive(node, name))
            args = (items, self.constant(0), self.name("frame"))
            self._write(self.call(name, self.name("state"), *args))
            return
        kept = self.fresh("items")
        self.body.append(self.assign(kept, items))
        if node.test is not None:
            kept = self._selected(node, node.test, kept)
        self._loop(node, kept, None)

    def _recursive(self, node: nodes.For, name: str) -> None:
        self._plain()
        self._new_output()
        kept = "items"
        if node.test is not None:
            kept = self._selected(node, node.test, kept)
        self._loop(node, kept, name)
        self.body.append(self.leave(self.call("join_texts", self.name("out"))))

    def _selected(self, node: nodes.For, test: nodes.Node, items: str) -> str:
        """The items that pass the ``if`` of a loop."""
        kept, item, outer = self.fresh("items"), self.fresh("item"), self.fresh("frame")
        self.body.append(self.assign(kept, self.list_of([])))
        self.body.append(self.assign(outer, self.name("frame")))
        self._copy_frame()
        around, self.body = self.body, []
        self._assign_to(node.target, self.name(item))
        take = self.evaluate(self.method(self.name(kept), "append", self.name(item)))
        self.body.append(self.when(self.condition(test), [take], []))
        body, self.body = self.body, around
        self.body.append(self.loop(self.target(item), self.name(items), body))
        self.body.append(self.assign("frame", self.name(outer)))
        return kept

    def _loop(self, node: nodes.For, items: str, recurse: str | None) -> None:
        outer, kept = self.fresh("frame"), self.fresh("item")
        around, in_loop = self.body, self.in_loop
        self.body, self.in_loop = [], True
        self.body.append(self.assign(outer, self.name("frame")))
        self._copy_frame()
        restore = self._restoring(node)
        target, iterated = self.target(kept), self.name(items)
        if recurse is not None or asks_for_loop(node.body):
            loop = self.fresh("loop")
            depth0 = self.name("depth0") if recurse else self.constant(0)
            again = self.name(recurse) if recurse else self.constant(None)
            frame = self.name("frame")
            made = self.call("Loop", self.name(items), depth0, again, frame)
            self.body.append(self.assign(loop, made))
            self.body.append(self.assign(self.entry_target("frame", "loop"), self.name(loop)))
            target = self.tuple_target([self.attribute_target(loop, "index0"), target])
            iterated = self.call("enumerate", iterated)
        before, self.body = self.body, list(restore)
        self._assign_to(node.target, self.name(kept))
        self._statements(node.body)
        body = self.body
        self.in_loop = in_loop
        self.move_to(node.lineno)
        written = [
            *before,
            self.loop(target, iterated, body),
            *restore,
            self.assign("frame", self.name(outer)),
        ]
        self.body = around
        self.body.append(self.when(self.name(items), written, self._nested(node.else_)))

    def _restoring(self, node: nodes.For) -> list[ast.stmt]:
        """What undoes the captures and scopes that a ``break`` or ``continue`` jumps out of."""
        inner = (*_CAPTURES, nodes.With)
        if not (contains(node.body, _JUMPS) and contains(node.body, inner)):
            return []
        frame, out, escape = self.fresh("frame"), self.fresh("out"), self.fresh("escape")
        state_escape = self.attribute(self.name("state"), "escape")
        self.body.append(self.assign(frame, self.name("frame")))
        self.body.append(self.assign(out, self.name("out")))
        self.body.append(self.assign(escape, state_escape))
        written, self.body = self.body, []
        self.body.append(self.assign("frame", self.name(frame)))
        self.body.append(self.assign("out", self.name(out)))
        self.body.append(self.assign(self.attribute_target("state", "escape"), self.name(escape)))
        self._plain()
        restore, self.body = self.body, written
        return restore

    def _jump(self, node: nodes.Break | nodes.Continue) -> None:
        again = isinstance(node, nodes.Continue)
        if not self.in_loop:
            name = "continue" if again else "break"
            raise _Refused(f"'{name}' must be placed inside a loop", node.lineno)
        self.body.append(self.end_loop(again))

    # Macros.

    def _macro(self, node: nodes.Macro) -> None:
        self._assign_to(nodes.Name(node.name, "store"), self._macro_value(node, node.name))

    def _macro_value(self, node: nodes.Macro | nodes.CallBlock, name: str) -> ast.expr:
        block = next(node.find_all(nodes.Block), None)
        if block is not None:
            raise _Refused("block tags in macros are not allowed", block.lineno)
        body = self.fresh("macro")
        self._text_function(body, ("state", "frame"), node.body)
        defaults = [self.name(self._default(default)) for default in node.defaults]
        self.move_to(node.lineno)
        arguments = self.constant(tuple(argument.name for argument in node.args))
        takes_caller = any(name.name == "caller" for part in node.body for name in names_in(part))
        return self.call(
            "Macro", self.constant(name), arguments, self.tuple_of(defaults), self.name(body),
            self.name("frame"), self.constant(takes_caller),
        )  # fmt: skip

    def _default(self, value: nodes.Expr) -> str:
        name = self.fresh("default")

        def write() -> None:
            self.body.append(self.leave(self.expression(value)))

        self._function(name, ("state", "frame"), write)
        return name

    def _call_block(self, node: nodes.CallBlock) -> None:
        args, keywords, _ = self.arguments(node.call)
        caller = self._macro_value(node, "caller")
        keywords.append(self.keyword("caller", caller))
        self._write(self._shown(self.call_with(node.call, args, keywords)))

    # Other templates.

    def _include(self, node: nodes.Include) -> None:
        name = self.expression(node.template)
        self.move_to(node.lineno)
        ignore = self.constant(node.ignore_missing)
        self._write(self.call("include", self.name("state"), self.name("frame"), name, ignore))

    def _module(self, node: nodes.Import | nodes.FromImport) -> ast.expr:
        name = self.expression(node.template)
        self.move_to(node.lineno)
        return self.call("import_module", self.name("state"), self.name("frame"), name)

    def _import(self, node: nodes.Import) -> None:
        module = self._module(node)
        self.body.append(self.assign(self.entry_target("frame", node.target), module))

    def _from_import(self, node: nodes.FromImport) -> None:
        module = self.fresh("module")
        self.body.append(self.assign(module, self._module(node)))
        for entry in node.names:
            name, alias = (entry, entry) if isinstance(entry, str) else entry
            value = self.method(self.name(module), "attribute", self.constant(name))
            self.body.append(self.assign(self.entry_target("frame", alias), value))

    def _extends(self, node: nodes.Extends) -> None:
        if not self.at_root or self.in_loop or self.captures:
            raise _Refused("`extends` must stand outside of loops, macros and blocks", node.lineno)
        name = self.expression(node.template)
        self.move_to(node.lineno)
        twice = self.call(
            "fail",
            self.constant("invalid operation: tried to extend a second time in a template"),
        )
        self.body.append(
            self.when(self.negated(self.is_none("parent")), [self.evaluate(twice)], [])
        )
        parent = self.call("extend", self.name("state"), name, self.name("BLOCKS"))
        self.body.append(self.assign("parent", parent))
        # What a child prints after this is dropped; what it sets stays.
        self.body.append(self.assign("before", self.name("out")))
        self._new_output()

    def _block(self, node: nodes.Block) -> None:
        self._text_function(self.block_names[node.name], ("state", "frame"), node.body)
        self.move_to(node.lineno)
        call = self.call(
            "render_block", self.name("state"), self.name("frame"), self.constant(node.name),
            self.name("BLOCKS"),
        )  # fmt: skip
        if self.extends and self.at_root:  # where `parent` is known
            call = self.either(self.is_none("parent"), call, self.constant(""))
        self._write(call)


_STATEMENTS: Mapping[type[nodes.Node], Callable[[_Compiler, Any], None]] = {
    nodes.Assign: _Compiler._assign,
    nodes.AssignBlock: _Compiler._assign_block,
    nodes.Block: _Compiler._block,
    nodes.Break: _Compiler._jump,
    nodes.CallBlock: _Compiler._call_block,
    nodes.Continue: _Compiler._jump,
    nodes.ExprStmt: _Compiler._do,
    nodes.Extends: _Compiler._extends,
    nodes.FilterBlock: _Compiler._filter_block,
    nodes.For: _Compiler._for,
    nodes.FromImport: _Compiler._from_import,
    nodes.If: _Compiler._if,
    nodes.Import: _Compiler._import,
    nodes.Include: _Compiler._include,
    nodes.Macro: _Compiler._macro,
    nodes.Output: _Compiler._output,
    nodes.Scope: _Compiler._scope,
    nodes.ScopedEvalContextModifier: _Compiler._autoescape,
    nodes.With: _Compiler._with,
}
