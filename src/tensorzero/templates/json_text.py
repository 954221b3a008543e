"""Values as JSON: the filter ``tojson`` and the auto-escape mode for JSON files.

Compact or indented, maps sorted, undefined as ``null``, floats in the shortest form.
"""

from __future__ import annotations

import math

import orjson

from tensorzero.templates.errors import invalid
from tensorzero.templates.values import (
    MAX_TEXT,
    TemplateObject,
    Undefined,
    Value,
    bounded,
    float_debug,
    sorted_keys,
    too_long,
)

_HTML_UNSAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"})


def json_text(value: Value, indent: int | None = None) -> str:
    """``value`` as JSON; ``indent`` is the number of spaces per level, ``None`` means compact.

    Raises ``RenderFault`` if a map key can't be a JSON key or the text would be too long.
    """
    if indent is None or indent == 2:
        option = (
            orjson.OPT_SORT_KEYS if indent is None else orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2
        )
        try:
            text = orjson.dumps(value, option=option).decode()
        except orjson.JSONEncodeError:
            text = "e+"  # objects of the engine, keys that aren't text, integers above 64 bits
        if "e+" not in text:  # orjson writes 1e+20 for 1e20
            return bounded(text)
    pieces: list[str] = []
    writer = _Writer(pieces, indent)
    writer.write(value, 0)
    return "".join(pieces)


def json_for_html(value: Value, indent: int | None = None) -> str:
    """Like :func:`json_text`, with ``< > & '`` escaped: they only occur inside JSON strings."""
    text = json_text(value, indent)
    if "<" in text or ">" in text or "&" in text or "'" in text:
        return text.translate(_HTML_UNSAFE)
    return text


def json_string(text: str) -> str:
    """A JSON string, non-ASCII characters as they are."""
    try:
        return orjson.dumps(str(text)).decode()
    except orjson.JSONEncodeError as error:
        raise invalid(f"cannot serialize to JSON: {error}") from None


class _Writer:
    def __init__(self, pieces: list[str], indent: int | None) -> None:
        self.put = pieces.append
        self.indent = indent
        self.size = 0

    def grow(self, size: int) -> None:
        self.size += size
        if self.size > MAX_TEXT:
            raise too_long()

    def line(self, depth: int) -> str:
        if self.indent is None:
            return ""
        self.grow(self.indent * depth)
        return "\n" + " " * (self.indent * depth)

    def write(self, value: Value, depth: int) -> None:
        put = self.put
        kind = type(value)
        if isinstance(value, str):
            text = json_string(value)
            self.grow(len(text))
            put(text)
        elif value is None or kind is Undefined:
            put("null")
        elif kind is bool:
            put("true" if value else "false")
        elif kind is int:
            put(str(value))
        elif kind is float:
            put(json_float(value))
        elif kind is dict:
            self.write_map(value, depth)
        elif isinstance(value, list):
            self.write_list(value, depth)
        elif isinstance(value, TemplateObject):
            if value.is_map:
                self.write_map(value.entries(), depth)
            else:
                put(json_string(value.text()))
        else:
            raise invalid(f"cannot serialize to JSON: {kind.__name__}")

    def write_map(self, value: dict[Value, Value], depth: int) -> None:
        if not value:
            self.put("{}")
            return
        colon = ":" if self.indent is None else ": "
        separator = "{" + self.line(depth + 1)
        for key in sorted_keys(value):
            self.put(separator)
            self.put(json_key(key))
            self.put(colon)
            self.write(value[key], depth + 1)
            separator = "," + self.line(depth + 1)
        self.put(self.line(depth) + "}")

    def write_list(self, value: list[Value], depth: int) -> None:
        if not value:
            self.put("[]")
            return
        separator = "[" + self.line(depth + 1)
        for item in value:
            self.put(separator)
            self.write(item, depth + 1)
            separator = "," + self.line(depth + 1)
        self.put(self.line(depth) + "]")


def json_key(key: Value) -> str:
    """A map key as JSON. Raises ``RenderFault`` for keys other than text, numbers, booleans."""
    if isinstance(key, str):
        return json_string(key)
    if type(key) is bool:
        return '"true"' if key else '"false"'
    if type(key) is int:
        return f'"{key}"'
    if type(key) is float and math.isfinite(key):
        return f'"{json_float(key)}"'
    raise invalid("cannot serialize to JSON")


def json_float(number: float) -> str:
    """The shortest form of a float; ``null`` if it isn't finite."""
    if not math.isfinite(number):
        return "null"
    text = float_debug(number)
    # Below 1e-4 the exponent starts one digit later in JSON than in printed lists.
    if text.endswith("e-5"):
        mantissa = text[:-3]
        sign = "-" if mantissa.startswith("-") else ""
        return sign + "0.0000" + mantissa.lstrip("-").replace(".", "")
    return text
