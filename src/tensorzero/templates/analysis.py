"""Static analysis: which variables a template reads and never assigns."""

from __future__ import annotations

from jinja2 import nodes

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
