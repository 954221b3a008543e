"""The state of one render: what may be loaded, what is escaped, and how much is used up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tensorzero.templates.errors import invalid
from tensorzero.templates.json_text import json_text
from tensorzero.templates.values import (
    MAX_STEPS,
    Safe,
    Undefined,
    Value,
    charged,
    html_escaped,
    to_text,
)

if TYPE_CHECKING:
    from tensorzero.templates.compiler import CompiledTemplate

Frame = dict[str, Value]
"""The variables visible at one place: a copy of the outer frame plus its own."""

Unit = Callable[["RenderState", Frame], str]
"""A compiled template body or block."""

MAX_DEPTH = 500
"""Budget for nested calls; the costs below leave room in Python's own stack."""
INCLUDE_COST = 10
MACRO_COST = 5
LOOP_COST = 3

CALL_STEPS = 10
"""What a macro, an include or a block counts, in visited items: it takes about as long."""


class Library:
    """The templates that a render may load, by name."""

    __slots__ = ("has_base_path", "templates")

    def __init__(self, templates: Mapping[str, CompiledTemplate], has_base_path: bool) -> None:
        self.templates = templates
        self.has_base_path = has_base_path

    def missing(self, name: str) -> str:
        """Why a template isn't there."""
        if self.has_base_path:
            return f"Could not load template '{name}': the file was missing."
        return (
            f"Could not load template '{name}' - it is not configured, and "
            "`gateway.template_filesystem_access.base_path` is not set"
        )


class RenderState:
    """One render."""

    __slots__ = ("block_stack", "blocks", "depth", "escape", "library", "name", "parents", "steps")

    def __init__(self, library: Library, name: str, escape: str | None) -> None:
        self.library = library
        self.name = name
        self.escape = escape
        self.steps = 0
        self.depth = 0
        self.blocks: dict[str, list[Unit]] | None = None
        self.block_stack: list[tuple[str, int]] | None = None
        self.parents: tuple[str, ...] = ()

    def charge(self, steps: int) -> None:
        """Count visited items. Raises ``RenderFault`` above ``MAX_STEPS``."""
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise invalid(f"the template visits more than {MAX_STEPS} items")

    def enter(self, cost: int) -> None:
        """Go one call deeper; the caller takes ``cost`` off :attr:`depth` again."""
        self.charge(CALL_STEPS)
        self.depth += cost
        if self.depth > MAX_DEPTH:
            self.depth -= cost
            raise invalid("recursion limit exceeded")


def show(state: RenderState, value: Value) -> str:
    """A printed expression, escaped as the mode in force wants it."""
    text = _shown(state.escape, value)
    if len(text) >= 128:
        # A list costs more to print than a text of its length costs to copy.
        state.charge(len(text) >> (9 if isinstance(value, str) else 4))
    return text


def _shown(mode: str | None, value: Value) -> str:
    if mode is None or type(value) is Safe or type(value) is Undefined:
        return to_text(value)
    if mode == "json":
        return json_text(value)
    if type(value) is str or not isinstance(value, (int, float, type(None))):
        return html_escaped(to_text(value))
    return to_text(value)


def captured(state: RenderState, text: str) -> str:
    """The value of a captured body: already escaped, if escaping is on."""
    charged(state, text)
    return text if state.escape is None else Safe(text)


def escape_mode(value: Value) -> str | None:
    """The mode an ``autoescape`` tag asks for."""
    if value is True or value == "html":
        return "html"
    if value == "json":
        return "json"
    if value is False or value is None or value == "none":
        return None
    raise invalid("invalid value to autoescape tag")
