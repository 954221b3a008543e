"""Regular expressions of evaluators: RE2's language, searched in linear time.

The engine is the one behind ``jsonschema-rs`` (no look-around, no back-references). It reads
ECMAScript's dialect, so what RE2 means otherwise is spelled out before: ``.`` and the flag ``s``,
and the classes ``\\d``, ``\\s``, ``\\w``, which are Unicode's. Where the engine's wheel is missing,
Python's own serves, which would accept more.
"""

from __future__ import annotations

import re
from collections.abc import Callable

try:
    import jsonschema_rs
except ImportError:  # no wheel for this platform
    jsonschema_rs = None  # type: ignore[assignment]  # the seam below asks for None

_WORD = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}"
_IN_CLASS = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "s": r"\p{White_Space}",
    "S": r"\P{White_Space}",
    "w": _WORD,
}
_OUTSIDE = {**_IN_CLASS, "w": f"[{_WORD}]", "W": f"[^{_WORD}]"}
_ANY = r"[\p{White_Space}\P{White_Space}]"
_FLAGS = re.compile(r"\(\?([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])")


def to_ecmascript(text: str) -> str:
    """The expression in the engine's dialect."""
    out: list[str] = []
    dot_all, groups, in_class, at = False, [], False, 0
    while at < len(text):
        char = text[at]
        flags = None if in_class else _FLAGS.match(text, at)
        if char == "\\" and at + 1 < len(text):
            following = text[at + 1]
            meaning = (_IN_CLASS if in_class else _OUTSIDE).get(following)
            out.append(char + following if meaning is None else meaning)
            at += 2
            continue
        if flags is not None:
            if flags[3] == ":":
                groups.append(dot_all)
            dot_all = (dot_all or "s" in flags[1]) and "s" not in (flags[2] or "")
            out.append(flags[0])
            at = flags.end()
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            for opening in ("[^]", "[]"):  # a bracket that comes first stands for itself
                if text.startswith(opening, at):
                    out.append(opening.replace("]", r"\]"))
                    at += len(opening)
                    break
            else:
                out.append(char)
                at += 1
            continue
        elif char == "(":
            groups.append(dot_all)
        elif char == ")" and groups:
            dot_all = groups.pop()
        elif char == ".":
            out.append(_ANY if dot_all else r"[^\n]")
            at += 1
            continue
        out.append(char)
        at += 1
    return "".join(out)


class Pattern:
    """A compiled expression."""

    __slots__ = ("_search", "text")
    _search: Callable[[str], bool]

    def __init__(self, text: str) -> None:
        """Compile; raises ``ValueError`` for an expression that is none."""
        self.text = text
        if jsonschema_rs is None:
            try:
                compiled = re.compile(text)
            except re.error as error:
                raise ValueError(f"`{text}` is not a regular expression: {error}") from None
            self._search = lambda value: compiled.search(value) is not None
            return
        try:
            validator = jsonschema_rs.validator_for(
                {"type": "string", "pattern": to_ecmascript(text)},
                pattern_options=jsonschema_rs.RegexOptions(),
            )
        except ValueError:
            raise ValueError(
                f"`{text}` is not a regular expression of RE2 (look-around and back-references "
                "are not part of it)"
            ) from None
        self._search = validator.is_valid

    def search(self, value: str) -> bool:
        """Whether the expression matches anywhere in the text."""
        return self._search(value)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"
