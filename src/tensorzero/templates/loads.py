"""Which templates a template loads, found without running it, and reading them from disk."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import nodes

from tensorzero.templates.analysis import LOADS

_TAG = re.compile(r"\{%[-+]?\s*(?:include|import|from|extends)\b")


def loads(
    tree: nodes.Template,
) -> list[nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends]:
    """Every statement that loads another template, in source order."""
    return sorted(tree.find_all(LOADS), key=lambda node: node.lineno)


def literal_names(node: nodes.Expr) -> list[str] | None:
    """The names an expression may load, ``None`` when one is computed."""
    if isinstance(node, nodes.Const):
        return [node.value] if isinstance(node.value, str) else None
    if isinstance(node, (nodes.List, nodes.Tuple)):
        parts = node.items
    elif isinstance(node, nodes.CondExpr):
        parts = [node.expr1] if node.expr2 is None else [node.expr1, node.expr2]
    else:
        return None
    names: list[str] = []
    for part in parts:
        inner = literal_names(part)
        if inner is None:
            return None
        names += inner
    return names


def place(key: str, source: str, node: nodes.Node, position: int) -> str:
    """``key:line:column`` of a load, the ``position``-th on its line."""
    lines = source.split("\n")
    line = lines[node.lineno - 1] if node.lineno <= len(lines) else ""
    columns = [match.start() + 1 for match in _TAG.finditer(line)]
    column = columns[position] if position < len(columns) else 1
    return f"{key}:{node.lineno}:{column}"


def computed_loads(key: str, source: str, tree: nodes.Template) -> list[str]:
    """The places of loads whose names are not literal."""
    found = []
    seen: dict[int, int] = {}
    for node in loads(tree):
        position = seen.get(node.lineno, 0)
        seen[node.lineno] = position + 1
        if literal_names(node.template) is None:
            found.append(place(key, source, node, position))
    return found


def read_below(base_path: Path, name: str) -> str | None:
    """The text of ``base_path/name``; ``None`` if it can't be read or the name leads elsewhere."""
    segments = name.split("/")
    if "\\" in name or "\0" in name or any(not part or part.startswith(".") for part in segments):
        return None
    try:
        return (base_path / name).read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None
