"""The ``minijinja`` package as a second opinion, with its known differences taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import minijinja

from tensorzero.templates import TemplateEngine, TemplateError

Outcome = tuple[str, str]
"""``("text", …)`` or ``("error", …)``, the error without its place's name."""


def literal(value: Any) -> str:
    """A JSON value as template source, its maps sorted: the package keeps insertion order."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"({value!r})" if value < 0 else repr(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return "{" + ", ".join(f"{literal(key)}: {literal(value[key])}" for key in sorted(value)) + "}"


def with_literals(source: str, arguments: Mapping[str, Any]) -> str:
    """``source`` with its arguments set at its start, on the same line."""
    settings = "".join(f"{{% set {name} = {literal(arguments[name])} %}}" for name in arguments)
    return settings + source


def by_minijinja(source: str, library: Mapping[str, str], escaping: str = "") -> Outcome:
    """What the package makes of a template named ``main`` plus the ending ``escaping``."""
    name = "main" + escaping
    templates = {**library, name: source}
    environment = minijinja.Environment(
        loader=templates.get, undefined_behavior="strict", pycompat=False
    )
    try:
        return "text", environment.render_template(name)
    except minijinja.TemplateError as error:
        return "error", str(error).split("\n")[0]


def by_engine(
    source: str, library: Mapping[str, str], arguments: Mapping[str, Any], escaping: str = ""
) -> Outcome:
    """What the engine makes of the same template."""
    name = "main" + escaping
    try:
        return "text", TemplateEngine({**library, name: source}).template(name).render(arguments)
    except TemplateError as error:
        line = error.message.split("\n")[0]
        for start in ("Could not render template: ", f"Failed to add template `{name}`: "):
            line = line.rsplit(start, 1)[-1]
        return "error", line
