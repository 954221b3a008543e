"""Filters that make text or numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from string import punctuation

from tensorzero.templates.errors import invalid, undefined_value
from tensorzero.templates.json_text import json_for_html, json_text
from tensorzero.templates.operators import MAX_INTEGER, MIN_INTEGER
from tensorzero.templates.text_format import printf
from tensorzero.templates.values import (
    MAX_TEXT,
    Lazy,
    Safe,
    State,
    Undefined,
    Value,
    bounded,
    html_escaped,
    iterate,
    join_texts,
    kind_of,
    pretty_debug,
    to_text,
    too_long,
    truthy,
)

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?|inf|infinity|nan)",
    re.IGNORECASE,
)
_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_WORD = re.compile(f"[^{_WHITE_SPACE}{re.escape(punctuation)}]+")
_WHITE_SPACE_RUN = re.compile(f"[{_WHITE_SPACE}]+")


def _text(value: Value) -> str:
    if type(value) is Undefined:
        raise undefined_value()
    return to_text(value)


def _string(value: Value) -> str:
    if not isinstance(value, str):
        raise invalid("value is not a string")
    return str(value)


def _count(value: Value) -> int:
    """A non-negative integer argument."""
    if isinstance(value, int) and value >= 0:
        return int(value)
    if type(value) is float and value.is_integer() and value >= 0:
        return int(value)
    raise invalid(f"cannot convert {kind_of(value)} to usize")


def upper(_: State, value: Value, /) -> str:
    return to_text(value).upper()


def lower(_: State, value: Value, /) -> str:
    return to_text(value).lower()


def capitalize(_: State, value: Value, /) -> str:
    text = to_text(value)
    return text[:1].upper() + text[1:].lower()


def title(_: State, value: Value, /) -> str:
    """Each word's first character in upper case; words end at white space and ASCII punctuation."""
    return _WORD.sub(_titled, to_text(value))


def _titled(match: re.Match[str]) -> str:
    word = match[0]
    # Each character by itself: the lower case of a whole word would know a final sigma.
    return word[0].upper() + "".join(map(str.lower, word[1:]))


def trim(_: State, value: Value, chars: Value = None, /) -> str:
    text = to_text(value)
    return text.strip(_WHITE_SPACE if chars is None else to_text(chars))


def replace(_: State, value: Value, old: Value, new: Value, /) -> str:
    text, before, after = to_text(value), to_text(old), to_text(new)
    growth = len(after) - len(before)
    if growth > 0 and len(text) + growth * text.count(before) > MAX_TEXT:
        raise too_long()
    return text.replace(before, after)


def indent(
    _: State, value: Value, width: Value = 4, first: Value = False, blank: Value = False
) -> str:
    """Indent all lines but the first (``first``) and the blank ones (``blank``)."""
    text = _text(value)
    spaces = _count(width)
    lines = text.split("\n")
    if lines[-1] == "":
        # One trailing line end is dropped, with the carriage return before it.
        lines.pop()
    if spaces * len(lines) + len(text) > MAX_TEXT:
        raise too_long()
    prefix = " " * spaces
    indented = []
    for position, line in enumerate(lines):
        bare = line[:-1] if line.endswith("\r") and position == len(lines) - 1 else line
        wanted = truthy(first) if position == 0 else bool(bare.strip("\r")) or truthy(blank)
        indented.append(prefix + bare if wanted else bare)
    return "\n".join(indented)


def split(state: State, value: Value, separator: Value = None, limit: Value = None, /) -> Lazy:
    """Parts between ``separator`` (default: runs of white space), at most ``limit`` cuts."""
    text = _string(value)
    cuts = -1
    if limit is not None:
        if not isinstance(limit, int):
            raise invalid(f"cannot convert {kind_of(limit)} to i64")
        cuts = int(limit)
    if separator is None or type(separator) is Undefined:
        parts = _split_white_space(text, cuts)
    else:
        by = _string(separator)
        parts = text.split(by, cuts if cuts >= 0 else -1) if by else _split_characters(text, cuts)
    state.charge(len(parts))
    return Lazy(parts)


def _split_white_space(text: str, cuts: int) -> list[str]:
    parts = _WHITE_SPACE_RUN.split(text, maxsplit=0)
    if cuts < 0:
        return [part for part in parts if part]
    result: list[str] = []
    rest = text.lstrip(_WHITE_SPACE)
    while rest and len(result) < cuts:
        match = _WHITE_SPACE_RUN.search(rest)
        if match is None:
            break
        result.append(rest[: match.start()])
        rest = rest[match.end() :]
    return [*result, rest] if rest else result


def _split_characters(text: str, cuts: int) -> list[str]:
    pieces = ["", *text, ""]
    if cuts < 0 or cuts >= len(pieces) - 1:
        return pieces
    return [*pieces[:cuts], "".join(pieces[cuts:])]


def lines(state: State, value: Value, /) -> list[str]:
    parts = _string(value).split("\n")
    if parts[-1] == "":
        parts.pop()
    state.charge(len(parts))
    return [part[:-1] if part.endswith("\r") else part for part in parts]


def join(state: State, value: Value, separator: Value = "", /) -> str:
    """The printed items with ``separator`` between them; undefined items are empty."""
    if value is None or type(value) is Undefined:
        return ""
    if not isinstance(value, (str, list, dict)) and kind_of(value) != "map":
        raise invalid(f"cannot join value of type {kind_of(value)}")
    by = "" if separator is None else to_text(separator)
    return join_texts(
        ["" if type(item) is Undefined else to_text(item) for item in iterate(state, value)], by
    )


def format_(_: State, value: Value, /, *args: Value, **kwargs: Value) -> str:
    return printf(_string(value), args, kwargs)


def string(_: State, value: Value, /) -> Value:
    return value if isinstance(value, str) else to_text(value)


def safe(_: State, value: Value, /) -> Safe:
    return Safe(to_text(value))


def escape(state: State, value: Value, /) -> Safe:
    """Escape for the mode in force, for HTML if there is none. Safe text stays as it is."""
    if type(value) is Safe:
        return value
    if state.escape == "json":
        return Safe(json_text(value))
    return Safe(html_escaped("" if type(value) is Undefined else to_text(value)))


def tojson(_: State, value: Value, indent: Value = None) -> Safe:
    """JSON, with ``< > & '`` escaped; ``indent`` is a number of spaces, or true for two."""
    if indent is None or indent is False or type(indent) is Undefined:
        return Safe(json_for_html(value))
    return Safe(json_for_html(value, 2 if indent is True else min(_count(indent), MAX_TEXT)))


def pprint(_: State, value: Value, /) -> str:
    return bounded(pretty_debug(value))


def bool_(_: State, value: Value, /) -> bool:
    return truthy(value)


def int_(_: State, value: Value, /) -> int:
    """Text, numbers, booleans and none as an integer; cuts off the fraction."""
    if value is None:
        return 0
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        if _INTEGER.fullmatch(value) and len(value) <= 41:
            number = int(value)
            if MIN_INTEGER <= number <= MAX_INTEGER:
                return number
        return _truncated(_parsed_float(value))
    if type(value) is float:
        return _truncated(value)
    if type(value) is Undefined:
        raise undefined_value()
    raise invalid(f"cannot convert {kind_of(value)} to integer")


def _truncated(number: float) -> int:
    if math.isnan(number):
        return 0
    if math.isinf(number):
        return MAX_INTEGER if number > 0 else MIN_INTEGER
    return max(MIN_INTEGER, min(MAX_INTEGER, int(number)))


def _parsed_float(text: str) -> float:
    if not text:
        raise invalid("cannot parse float from empty string")
    if not _FLOAT.fullmatch(text):
        raise invalid("invalid float literal")
    return float(text)


def float_(_: State, value: Value, /) -> float:
    if value is None:
        return 0.0
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        return _parsed_float(value)
    if type(value) is Undefined:
        raise undefined_value()
    raise invalid(f"cannot convert {kind_of(value)} to float")


def abs_(_: State, value: Value, /) -> Value:
    if type(value) is int or type(value) is float:
        return abs(value)
    raise invalid("cannot get absolute value")


def round_(_: State, value: Value, precision: Value = 0, /) -> Value:
    """Round half away from zero to ``precision`` decimal places; integers stay as they are."""
    if isinstance(precision, float) and precision.is_integer():
        precision = int(precision)
    if not isinstance(precision, int):
        raise invalid(f"cannot convert {kind_of(precision)} to i32")
    if type(value) is int:
        return value
    if type(value) is not float:
        raise invalid(f"cannot round value ({kind_of(value)})")
    try:
        factor = 10.0 ** int(precision)
    except OverflowError:
        factor = math.inf
    if factor == 0.0:
        return math.nan
    scaled = value * factor
    if math.isinf(scaled) or math.isnan(scaled):
        return (
            value
            if math.isinf(value) or math.isnan(value)
            else math.copysign(math.nan if math.isinf(factor) else math.inf, value)
        )
    # `floor(x + 0.5)` would be off for the double just below one half.
    rounded = math.trunc(scaled)
    if abs(scaled - rounded) >= 0.5:
        rounded += 1 if scaled > 0 else -1
    return math.copysign(float(rounded), scaled) / factor


FILTERS: Mapping[str, Callable[..., Value]] = {
    "abs": abs_,
    "bool": bool_,
    "capitalize": capitalize,
    "e": escape,
    "escape": escape,
    "float": float_,
    "format": format_,
    "indent": indent,
    "int": int_,
    "join": join,
    "lines": lines,
    "lower": lower,
    "pprint": pprint,
    "replace": replace,
    "round": round_,
    "safe": safe,
    "split": split,
    "string": string,
    "title": title,
    "tojson": tojson,
    "trim": trim,
    "upper": upper,
}
