"""What compiled templates call while they run: calls, includes, imports, blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from tensorzero.templates.errors import RenderFault, invalid
from tensorzero.templates.globals import entries_of
from tensorzero.templates.objects import Loop, Module
from tensorzero.templates.operators import get_attr
from tensorzero.templates.state import (
    INCLUDE_COST,
    MACRO_COST,
    Frame,
    RenderState,
    Unit,
    captured,
)
from tensorzero.templates.values import (
    UNDEFINED,
    TemplateObject,
    Undefined,
    Value,
    charged,
    iterate,
    kind_of,
    short_text,
)

if TYPE_CHECKING:
    from tensorzero.templates.compiler import CompiledTemplate

MAX_SHOWN = 1000
"""Longest text, in characters, that an error shows of one variable."""


def call_value(state: RenderState, function: Value, /, *args: Value, **kwargs: Value) -> Value:
    """Call the value of an expression."""
    if isinstance(function, TemplateObject):
        return function.call(state, args, kwargs)
    raise invalid(f"value of type {kind_of(function)} is not callable")


def call_name(
    state: RenderState, name: str, function: Value, /, *args: Value, **kwargs: Value
) -> Value:
    """Call a variable or global function."""
    if isinstance(function, TemplateObject):
        return function.call(state, args, kwargs)
    if type(function) is Undefined and name != "caller":
        raise RenderFault(f"unknown function: {name} is unknown")
    raise invalid(f"value of type {kind_of(function)} is not callable")


def call_method(
    state: RenderState, owner: Value, name: str, /, *args: Value, **kwargs: Value
) -> Value:
    """``owner.name(…)``: there are no methods but those of ``loop``, only callable entries."""
    if isinstance(owner, Loop):
        return owner.method(name, args)
    if type(owner) is not Undefined:
        found = get_attr(owner, name)
        if type(found) is not Undefined:
            return call_value(state, found, *args, **kwargs)
    raise RenderFault(f"unknown method: {kind_of(owner)} has no method named {name}")


def fail(text: str, *_: Value) -> Value:
    """Raise a fault that was certain when the template was compiled, now that it is reached."""
    raise RenderFault(text)


def _load(state: RenderState, name: Value, ignore_missing: bool) -> CompiledTemplate | None:
    names = name if isinstance(name, list) else [name]
    reasons = []
    for candidate in names:
        if not isinstance(candidate, str):
            raise invalid("template name was not a string")
        found = state.library.templates.get(str(candidate))
        if found is not None:
            return found
        reasons.append(state.library.missing(str(candidate)))
    if ignore_missing:
        return None
    raise RenderFault("template not found: " + "; ".join(reasons or ["the list is empty"]))


def include(state: RenderState, frame: Frame, name: Value, ignore_missing: bool) -> str:
    """The output of another template, run in this frame: what it sets stays set."""
    template = _load(state, name, ignore_missing)
    return "" if template is None else _run(state, template, frame)


def _run(state: RenderState, template: CompiledTemplate, frame: Frame) -> str:
    kept = (state.escape, state.blocks, state.block_stack, state.name, state.parents)
    state.enter(INCLUDE_COST)
    state.escape = template.escape
    state.blocks = state.block_stack = None
    state.name = template.key
    state.parents = ()
    try:
        output = template.root(state, frame)
        charged(state, output)
        return output
    except RenderFault as fault:
        where = place_of(fault.__traceback__)
        trail = (f"{fault.text}{where}", *fault.trail)
        raise RenderFault(f'could not render include: error in "{template.key}"', trail) from fault
    finally:
        state.escape, state.blocks, state.block_stack, state.name, state.parents = kept
        state.depth -= INCLUDE_COST


def import_module(state: RenderState, frame: Frame, name: Value) -> Module:
    """Run a template for what it sets at its top level."""
    template = _load(state, name, ignore_missing=False)
    assert template is not None
    inner = dict(frame)
    output = _run(state, template, inner)
    exports = {
        key: value
        for key, value in inner.items()
        if key in template.exported or frame.get(key, UNDEFINED) is not value
    }
    return Module(exports, captured(state, output))


def extend(state: RenderState, name: Value, blocks: Mapping[str, Unit]) -> CompiledTemplate:
    """Make a template the parent of the running one, whose blocks go before its own."""
    template = _load(state, name, ignore_missing=False)
    assert template is not None
    if template.key in state.parents or template.key == state.name:
        raise invalid(
            f'cycle in template inheritance. "{template.key}" was referenced more than once'
        )
    state.parents = (*state.parents, template.key)
    declare_blocks(state, blocks)
    declare_blocks(state, template.blocks)
    return template


def declare_blocks(state: RenderState, blocks: Mapping[str, Unit]) -> None:
    """Put blocks behind those of the same name that children have already declared."""
    if state.blocks is None:
        state.blocks = {}
    for name, unit in blocks.items():
        chain = state.blocks.setdefault(name, [])
        if unit not in chain:
            chain.append(unit)


def render_block(
    state: RenderState, frame: Frame, name: str, blocks: Mapping[str, Unit], level: int = 0
) -> str:
    """A block, in a frame of its own, as the outermost child defines it."""
    declared = state.blocks or {}
    chain = declared.get(name) or ([blocks[name]] if name in blocks else [])
    if level >= len(chain):
        raise RenderFault(f"unknown block: block '{name}' not found")
    if state.block_stack is None:
        state.block_stack = []
    state.enter(MACRO_COST)
    state.block_stack.append((name, level))
    try:
        return captured(state, chain[level](state, dict(frame)))
    finally:
        state.block_stack.pop()
        state.depth -= MACRO_COST


def render_super(state: RenderState, frame: Frame) -> str:
    """The block that the running one overrides."""
    if not state.block_stack:
        raise invalid("cannot super outside of block")
    name, level = state.block_stack[-1]
    if level + 1 >= len((state.blocks or {}).get(name, ())):
        raise invalid("no parent block exists")
    return render_block(state, frame, name, {}, level + 1)


def spread_args(state: RenderState, value: Value) -> list[Value]:
    """The items behind ``*`` in a call."""
    return iterate(state, value)


def spread_kwargs(value: Value) -> dict[str, Value]:
    """The entries behind ``**`` in a call."""
    entries = entries_of(value, "invalid operation: ** wants a map")
    return {key: entry for key, entry in entries.items() if isinstance(key, str)}


def place_of(traceback: TracebackType | None) -> str:
    """`` (in key:line)`` of the innermost template line in a traceback; empty if there is none."""
    found = frame_of(traceback)
    return "" if found is None else f" (in {found[0].key}:{found[1]})"


def frame_of(traceback: TracebackType | None) -> tuple[CompiledTemplate, int, Frame] | None:
    """Template, line and visible variables of the innermost template line in a traceback."""
    found = None
    while traceback is not None:
        running = traceback.tb_frame
        template = running.f_globals.get("TEMPLATE")
        if template is not None:
            found = (template, traceback.tb_lineno, running.f_locals.get("frame") or {})
        traceback = traceback.tb_next
    return found


def describe_variables(names: Iterable[str], frame: Frame) -> str:
    """``Referenced variables: {…}``, each value cut at :data:`MAX_SHOWN` characters."""
    lines = [
        f"    {name}: {short_text(frame.get(name, UNDEFINED), MAX_SHOWN)},\n" for name in names
    ]
    return (
        "Referenced variables: {\n" + "".join(lines) + "}" if lines else "No referenced variables"
    )
