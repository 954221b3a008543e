"""Strings as they print inside lists and maps."""

from __future__ import annotations

import unicodedata

_QUOTE_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}

# Unicode categories that print as \u{…}: control, format, surrogate, private use, unassigned,
# separators other than the space, and combining marks.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Mn", "Me"})

# Spacing marks that count as combining all the same (Unicode's property Other_Grapheme_Extend).
_EXTENDING = frozenset(
    "\u09be\u09d7\u0b3e\u0b57\u0bbe\u0bd7\u0cc0\u0cc2\u0cc7\u0cc8\u0cca\u0ccb\u0cd5\u0cd6\u0d3e"
    "\u0d57\u0dcf\u0ddf\u1715\u1734\u1b35\u1b3b\u1b3d\u1b43\u1b44\u1baa\u1bf2\u1bf3\u302e\u302f"
    "\ua953\ua9c0\uff9e\uff9f\U000111c0\U00011235\U0001133e\U0001134d\U00011357\U000114b0"
    "\U000114bd\U000115af\U000116b6\U00011930\U0001193d\U00016ff0\U00016ff1\U0001d165"
    "\U0001d166\U0001d16d\U0001d16e\U0001d16f\U0001d170\U0001d171\U0001d172"
)


def quoted(text: str) -> str:
    """A string inside a list or map: double quotes, escapes for what can't be seen."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{text.translate(_QUOTES)}"'


def _quote_character(character: str) -> str:
    if character == " ":
        return character
    escape = _QUOTE_ESCAPES.get(character)
    if escape is not None:
        return escape
    if character not in _EXTENDING and unicodedata.category(character) not in _ESCAPED_CATEGORIES:
        return character
    return f"\\u{{{ord(character):x}}}"


class _Quotes(dict[int, str]):
    """Characters by code point as they print inside quotes, worked out when first met."""

    def __missing__(self, code: int) -> str:
        text = _quote_character(chr(code))
        if len(self) < 10_000:  # arguments choose the characters: they must not fill memory
            self[code] = text
        return text


_QUOTES = _Quotes()
