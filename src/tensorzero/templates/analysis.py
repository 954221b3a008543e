"""Static analysis of syntax trees: which names they read, assign and load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jinja2 import nodes

LOADS = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
"""The statements that load another template."""

_BUILT_IN = frozenset({"loop", "self", "caller", "super", "none", "true", "false"})


def used_variables(tree: nodes.Template) -> frozenset[str]:
    """Names and dotted chains that are read but not assigned in this file."""
    assigned = {node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")}
    for macro in tree.find_all(nodes.Macro):
        assigned.add(macro.name)
    for imported in tree.find_all(nodes.Import):
        assigned.add(imported.target)
    for imported_from in tree.find_all(nodes.FromImport):
        assigned.update(name if isinstance(name, str) else name[1] for name in imported_from.names)
    found: set[str] = set()
    covered: set[int] = set()
    for chain in tree.find_all(nodes.Getattr):
        if id(chain) in covered:
            continue
        parts: list[str] = []
        node: nodes.Expr = chain
        while isinstance(node, nodes.Getattr):
            covered.add(id(node))
            parts.append(node.attr)
            node = node.node
        if isinstance(node, nodes.Name):
            covered.add(id(node))
            if node.name not in assigned and node.name not in _BUILT_IN:
                found.add(".".join([node.name, *reversed(parts)]))
    for name in tree.find_all(nodes.Name):
        if id(name) in covered or name.name in assigned or name.name in _BUILT_IN:
            continue
        found.add(name.name)
    return frozenset(found)


def names_in(node: nodes.Node) -> list[nodes.Name]:
    found = list(node.find_all(nodes.Name))
    return [node, *found] if isinstance(node, nodes.Name) else found


def contains(body: Iterable[nodes.Node], kinds: tuple[type[nodes.Node], ...]) -> bool:
    return any(
        isinstance(node, kinds) or next(node.find_all(kinds), None) is not None for node in body
    )


def asks_for_loop(body: list[nodes.Node]) -> bool:
    """Whether anything in a loop's body may ask for ``loop``."""
    asking = {"loop", "debug", "self", "super"}
    return contains(body, (*LOADS, nodes.Block)) or any(
        name.name in asking for node in body for name in names_in(node)
    )


def assigned_names(body: Iterable[nodes.Node]) -> Iterable[str]:
    """Names that statements set in the frame they run in."""
    for node in body:
        if isinstance(node, (nodes.Assign, nodes.AssignBlock)):
            yield from (name.name for name in names_in(node.target))
        elif isinstance(node, nodes.Macro):
            yield node.name
        elif isinstance(node, nodes.Import):
            yield node.target
        elif isinstance(node, nodes.FromImport):
            yield from (name if isinstance(name, str) else name[1] for name in node.names)
        elif isinstance(node, nodes.If):
            yield from assigned_names(node.body)
            yield from assigned_names(node.elif_)
            yield from assigned_names(node.else_)
        elif isinstance(node, (nodes.Scope, nodes.ScopedEvalContextModifier, nodes.FilterBlock)):
            yield from assigned_names(node.body)


def names_by_line(tree: nodes.Template) -> Mapping[int, tuple[str, ...]]:
    """The variables read on each line, for error texts."""
    found: dict[int, set[str]] = {}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load":
            found.setdefault(name.lineno, set()).add(name.name)
    return {line: tuple(sorted(names)) for line, names in found.items()}


def constant_text(tree: nodes.Template) -> str | None:
    pieces = []
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            return None
        for part in node.nodes:
            if not isinstance(part, nodes.TemplateData):
                return None
            pieces.append(part.data)
    return "".join(pieces)
