"""A short text that matches a regular expression, for ``pattern`` in schemas."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

# The only form in which Python offers a parsed expression; typeshed does not know them.
codes: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

_CATEGORIES = {
    codes.CATEGORY_DIGIT: "0",
    codes.CATEGORY_NOT_DIGIT: "a",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_NOT_SPACE: "a",
    codes.CATEGORY_WORD: "a",
    codes.CATEGORY_NOT_WORD: "-",
}


class _Unsupported(Exception):
    """A part of an expression that this does not write a text for."""


def matching_text(pattern: str, limit: int) -> str | None:
    """A text of at most ``limit`` characters that should match, or ``None``.

    It is not tried out here: a hostile expression could take for ever.
    """
    try:
        return _sequence(parser.parse(pattern), {}, limit)
    except (re.error, _Unsupported, RecursionError, OverflowError):
        return None


def _sequence(nodes: Any, groups: dict[int, str], limit: int) -> str:
    out = ""
    for code, argument in nodes:
        out += _node(code, argument, groups, limit)
        if len(out) > limit:
            raise _Unsupported
    return out


def _node(code: Any, argument: Any, groups: dict[int, str], limit: int) -> str:
    if code is codes.LITERAL:
        return chr(argument)
    if code is codes.NOT_LITERAL:
        return "a" if argument != ord("a") else "b"
    if code is codes.ANY:
        return "a"
    if code is codes.AT:
        return ""
    if code is codes.IN:
        return _member(argument)
    if code is codes.BRANCH:
        return _sequence(argument[1][0], groups, limit)
    if code is codes.SUBPATTERN:
        text = _sequence(argument[3], groups, limit)
        if argument[0] is not None:
            groups[argument[0]] = text
        return text
    if code is codes.GROUPREF:
        return groups.get(argument, "")
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        least, _, inner = argument
        text = _sequence(inner, groups, limit)
        if len(text) * int(least) > limit:
            raise _Unsupported
        return text * int(least)
    raise _Unsupported


def _member(parts: Any) -> str:
    """One character of a class."""
    if parts[0][0] is codes.NEGATE:
        refused = re.compile("[" + "".join(_written(*part) for part in parts[1:]) + "]")
        for candidate in "a0 -_.Zx#\u00e9":
            if refused.match(candidate) is None:
                return candidate
        raise _Unsupported
    code, argument = parts[0]
    if code is codes.LITERAL:
        return chr(argument)
    if code is codes.RANGE:
        return chr(argument[0])
    if code is codes.CATEGORY and argument in _CATEGORIES:
        return _CATEGORIES[argument]
    raise _Unsupported


def _written(code: Any, argument: Any) -> str:
    if code is codes.LITERAL:
        return re.escape(chr(argument))
    if code is codes.RANGE:
        return f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
    letters = {
        codes.CATEGORY_DIGIT: r"\d",
        codes.CATEGORY_NOT_DIGIT: r"\D",
        codes.CATEGORY_SPACE: r"\s",
        codes.CATEGORY_NOT_SPACE: r"\S",
        codes.CATEGORY_WORD: r"\w",
        codes.CATEGORY_NOT_WORD: r"\W",
    }
    if code is codes.CATEGORY and argument in letters:
        return letters[argument]
    raise _Unsupported
