"""Template values: their kinds, truth, order, iteration, and how they print.

A value is a JSON value of Python (``dict``, ``list``, ``str``, ``int``, ``float``, ``bool``,
``None``) or one of the classes here. Nothing else enters a template, and every attribute access
goes through :func:`tensorzero.templates.operators.get_attr`, so Python objects stay out of reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

from tensorzero.templates.errors import RenderFault, invalid, undefined_value
from tensorzero.templates.quoting import quoted

Value = Any
"""A template value; ``Any`` because JSON's union can't be narrowed usefully here."""

MAX_TEXT: Final = 64 * 1024 * 1024
"""Longest text, in characters, that a template may build."""

MAX_STEPS: Final = 2_000_000
"""Most items one render may visit, loops and filters together."""


class Undefined:
    """A name or attribute that isn't there. ``silent`` is the value of ``1 if false``."""

    __slots__ = ("silent",)

    def __init__(self, silent: bool) -> None:
        self.silent = silent

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Final = Undefined(silent=False)
SILENT: Final = Undefined(silent=True)


class Safe(str):
    """Text that auto-escaping leaves alone."""

    __slots__ = ()


class Items(list[Value]):
    """An iterable of known length that is no sequence: ``range(3)``, ``map|items``."""

    __slots__ = ()


class Lazy(list[Value]):
    """An iterator: no length, prints ``<iterator>``, always true. The result of ``split``."""

    __slots__ = ()


class Group(list[Value]):
    """One group of ``groupby``: a pair that also answers ``.grouper`` and ``.list``."""

    __slots__ = ()


class TemplateObject:
    """Base of the engine's own objects. By default one has no attributes and no items."""

    __slots__ = ()
    kind = "plain object"
    is_map = False

    def attribute(self, name: str) -> Value:
        """The value of an attribute; :data:`UNDEFINED` if there is none."""
        return UNDEFINED

    def entries(self) -> dict[str, Value]:
        """What iteration, ``items`` and JSON see."""
        return {}

    def text(self) -> str:
        """How the object prints."""
        return debug_text(self.entries())

    def call(self, state: State, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
        """The value of a call. Raises :class:`RenderFault` if it can't be called."""
        raise invalid(f"value of type {self.kind} is not callable")


class Namespace(TemplateObject):
    """``namespace()``: the only value a template can change."""

    __slots__ = ("values",)
    kind = "map"
    is_map = True

    def __init__(self, values: dict[str, Value]) -> None:
        self.values = values

    def attribute(self, name: str) -> Value:
        return self.values.get(name, UNDEFINED)

    def entries(self) -> dict[str, Value]:
        return self.values


class State(Protocol):
    """What values, filters and tests need of a running render."""

    escape: str | None
    """Auto-escape mode: ``None``, ``"html"`` or ``"json"``."""

    def charge(self, steps: int) -> None:
        """Count visited items. Raises :class:`RenderFault` above :data:`MAX_STEPS`."""


def kind_of(value: Value) -> str:
    """MiniJinja's name of a value's type."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    return value.kind if isinstance(value, TemplateObject) else "plain object"


_KINDS: Mapping[type, str] = {
    Undefined: "undefined",
    type(None): "none",
    bool: "bool",
    int: "number",
    float: "number",
    str: "string",
    Safe: "string",
    list: "sequence",
    Group: "sequence",
    Items: "iterator",
    Lazy: "iterator",
    dict: "map",
}


def truthy(value: Value) -> bool:
    """Truth of a value. Raises :class:`RenderFault` for an undefined one."""
    if value is True or value is False:
        return bool(value)
    if type(value) is Undefined:
        if value.silent:
            return False
        raise undefined_value()
    if isinstance(value, Lazy):
        return True
    if isinstance(value, Namespace):
        return bool(value.values)
    return bool(value)


def sorted_keys(mapping: Mapping[Value, Value]) -> list[Value]:
    """The keys of a map in the engine's order (text: by code point, which is bytewise UTF-8)."""
    try:
        return sorted(mapping)
    except TypeError:
        return sorted(mapping, key=sort_key)


def iterate(state: State, value: Value) -> list[Value]:
    """The items of a value, as a list that must not be changed. Raises :class:`RenderFault`."""
    if isinstance(value, list):
        result: list[Value] = value
    elif isinstance(value, dict):
        result = sorted_keys(value)
    elif isinstance(value, str):
        result = list(value)
    elif value is None:
        return []
    elif type(value) is Undefined:
        if value.silent:
            return []
        raise undefined_value()
    elif isinstance(value, TemplateObject) and value.is_map:
        result = sorted_keys(value.entries())
    else:
        raise invalid(f"{kind_of(value)} is not iterable")
    state.charge(len(result))
    return result


def is_iterable(value: Value) -> bool:
    """Whether a value has items; those of none and of an undefined value are none."""
    return (
        value is None
        or isinstance(value, (list, dict, str))
        or type(value) is Undefined
        or (isinstance(value, TemplateObject) and value.is_map)
    )


_RANKS: Mapping[type, int] = {
    Undefined: 0,
    type(None): 1,
    bool: 2,
    int: 3,
    float: 3,
    str: 4,
    Safe: 4,
    list: 5,
    Group: 5,
    Items: 5,
    Lazy: 5,
    dict: 6,
}


def sort_key(value: Value, fold: bool = False) -> tuple[Any, ...]:
    """A key that orders values of any mix of types; ``fold`` ignores the case of text."""
    rank = _RANKS.get(type(value), 7)
    if rank == 4:
        return (4, value.lower() if fold else value)
    if rank == 3:
        return (3, 0, value) if value == value else (3, 1, 0)  # NaN comes last
    if rank == 2:
        return (2, value)
    if rank == 5:
        return (5, tuple(sort_key(item, fold) for item in value))
    if rank == 6:
        return (6, tuple((sort_key(key), sort_key(value[key], fold)) for key in sorted_keys(value)))
    if rank == 7 and isinstance(value, TemplateObject) and value.is_map:
        return sort_key(dict(value.entries()), fold)
    if rank == 7:
        return (7, to_text(value))
    return (rank,)


def less(left: Value, right: Value) -> bool:
    """Whether ``left`` orders before ``right``."""
    kind, other = type(left), type(right)
    if (kind is int or kind is float) and (other is int or other is float):
        if left == left and right == right:
            return bool(left < right)
        return sort_key(left) < sort_key(right)
    if kind is str and other is str:
        return bool(left < right)
    return sort_key(left) < sort_key(right)


def float_text(number: float) -> str:
    """A float as it prints on its own: always a fraction, never an exponent."""
    text = repr(number)
    if "e" in text:
        text = format(Decimal(text), "f")
        return text if "." in text else text + ".0"
    return _NON_FINITE.get(text, text)


def float_debug(number: float) -> str:
    """A float inside a list or map: the shortest form, with an exponent if that is shorter."""
    text = repr(number)
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa}e{int(exponent)}"
    return _NON_FINITE.get(text, text)


_NON_FINITE = {"nan": "NaN"}


def to_text(value: Value) -> str:
    """A value as it prints, without escaping. Raises :class:`RenderFault` for an undefined one."""
    kind = type(value)
    if kind is str or kind is Safe:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        return float_text(value)
    if value is None:
        return "none"
    if kind is Undefined:
        if value.silent:
            return ""
        raise undefined_value()
    return debug_text(value)


def debug_text(value: Value) -> str:
    """A value as it prints inside a list or map. Raises :class:`RenderFault` if too long."""
    pieces: list[str] = []
    _debug(value, pieces.append)
    return bounded("".join(pieces))


def charged(state: State, value: Value) -> Value:
    """``value``, just made, counted by its size: loops may build and drop many large ones."""
    if isinstance(value, (str, list)) and len(value) >= 128:
        state.charge(len(value) >> (9 if isinstance(value, str) else 7))
    return value


class _Enough(Exception):
    """A text has reached its limit."""


def short_text(value: Value, limit: int) -> str:
    """The first ``limit`` characters of :func:`debug_text`, without making the rest."""
    pieces: list[str] = []
    left = limit

    def put(text: str) -> None:
        nonlocal left
        pieces.append(text[:left])
        left -= len(text)
        if left < 0:
            raise _Enough

    if isinstance(value, str) and len(value) > limit:
        value = value[:limit]
    try:
        _debug(value, put)
    except (_Enough, RecursionError):
        pieces.append("…")
    return "".join(pieces)


def _debug(value: Value, put: Callable[[str], object]) -> None:
    kind = type(value)
    if kind is str or kind is Safe:
        put(quoted(value))
    elif kind is dict:
        put("{")
        separator = ""
        for key in sorted_keys(value):
            put(separator)
            _debug(key, put)
            put(": ")
            _debug(value[key], put)
            separator = ", "
        put("}")
    elif kind is Lazy:
        put("<iterator>")
    elif isinstance(value, list):
        put("[")
        separator = ""
        for item in value:
            put(separator)
            if type(item) is int:  # the common case, spared a call
                put(str(item))
            else:
                _debug(item, put)
            separator = ", "
        put("]")
    else:
        put(_scalar_debug(value))


def _scalar_debug(value: Value) -> str:
    if type(value) is float:
        return float_debug(value)
    if type(value) is Undefined:
        return "undefined"
    if isinstance(value, TemplateObject):
        return value.text()
    if value is None or type(value) is bool or type(value) is int:
        return to_text(value)
    raise invalid(f"a value of the Python type {type(value).__name__} can't be printed")


def pretty_debug(value: Value, indent: str = "") -> str:
    """The multi-line form of :func:`debug_text` (filter ``pprint``, debug texts)."""
    deeper = indent + "    "
    if isinstance(value, TemplateObject) and value.is_map and isinstance(value, Namespace):
        value = value.values
    if isinstance(value, dict) and value:
        lines = [
            f"{deeper}{debug_text(key)}: {pretty_debug(value[key], deeper)},\n"
            for key in sorted_keys(value)
        ]
        return "{\n" + "".join(lines) + indent + "}"
    if isinstance(value, list) and value and type(value) is not Lazy:
        return (
            "[\n" + "".join(f"{deeper}{pretty_debug(v, deeper)},\n" for v in value) + indent + "]"
        )
    return debug_text(value)


def bounded(text: str) -> str:
    """``text`` itself. Raises :class:`RenderFault` if it is longer than :data:`MAX_TEXT`."""
    if len(text) > MAX_TEXT:
        raise too_long()
    return text


def too_long() -> RenderFault:
    """The fault of a text above :data:`MAX_TEXT`."""
    return invalid(f"text is longer than {MAX_TEXT} characters")


def join_texts(texts: Iterable[str], separator: str = "") -> str:
    """Join within the limit. Raises :class:`RenderFault` if the result would be too long."""
    pieces = texts if isinstance(texts, list) else list(texts)
    if sum(map(len, pieces)) + len(separator) * len(pieces) > MAX_TEXT:
        raise too_long()
    return separator.join(pieces)


HTML_ESCAPES: Final = str.maketrans(
    {"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;", "'": "&#x27;", "/": "&#x2f;"}
)


def html_escaped(text: str) -> str:
    """Escape the six characters HTML auto-escaping replaces."""
    return text.translate(HTML_ESCAPES)
