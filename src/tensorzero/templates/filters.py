"""The filters (``configuration.md`` 14.2), and what they share.

Every filter takes the render's state, the value, then its arguments. Parameters before ``/``
are positional only, those after ``*`` are keywords only: :mod:`.arguments` reads the signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tensorzero.templates import list_filters, text_filters
from tensorzero.templates.arguments import check
from tensorzero.templates.errors import RenderFault, invalid
from tensorzero.templates.operators import get_attr
from tensorzero.templates.values import State, Undefined, Value, iterate, truthy

Filter = Callable[..., Value]


def default(
    _: State, value: Value, fallback: Value = "", boolean: Value = False, /, **kwargs: Value
) -> Value:
    """``fallback`` for an undefined value, with ``boolean`` for a falsy one too."""
    if kwargs:
        unknown = sorted(set(kwargs) - {"boolean"})
        if unknown:
            raise RenderFault(f"too many arguments: unknown keyword argument '{unknown[0]}'")
        boolean = kwargs["boolean"]
    if type(value) is Undefined or (truthy(boolean) and not truthy(value)):
        return fallback
    return value


def attr(_: State, value: Value, name: Value, /) -> Value:
    if type(value) is Undefined:
        return get_attr(value, "")
    return get_attr(value, name) if isinstance(name, str) else list_filters.path_item(value, name)


def map_(state: State, value: Value, *args: Value, **kwargs: Value) -> Value:
    """``map('filter', …)``, or ``map(attribute=…, default=…)``."""
    items = iterate(state, value)
    if "attribute" in kwargs:
        unknown = sorted(set(kwargs) - {"attribute", "default"})
        if unknown:
            raise RenderFault(f"too many arguments: unknown keyword argument '{unknown[0]}'")
        if args:
            raise RenderFault("too many arguments")
        path = kwargs["attribute"]
        if "default" in kwargs:
            return [list_filters.by_path_or(item, path, kwargs["default"]) for item in items]
        return [list_filters.by_path(item, path) for item in items]
    if not args:
        raise invalid("filter name is required")
    function = FILTERS.get(args[0]) if isinstance(args[0], str) else None
    if function is None:
        raise RenderFault("unknown filter")
    check(function, len(args) + 1, kwargs)
    return [function(state, item, *args[1:], **kwargs) for item in items]


FILTERS: Mapping[str, Filter] = {
    "attr": attr,
    "d": default,
    "default": default,
    "map": map_,
    **list_filters.FILTERS,
    **text_filters.FILTERS,
}


def call_filter(
    function: Filter, state: State, value: Value, /, *args: Value, **kwargs: Value
) -> Value:
    """A filter whose arguments are spread from a list or a map, so that only now they are known."""
    check(function, len(args) + 2, kwargs)
    return function(state, value, *args, **kwargs)
