"""The filter ``format``: printf-style formatting of template values."""

from __future__ import annotations

import re

from tensorzero.templates.errors import RenderFault, invalid
from tensorzero.templates.values import MAX_TEXT, Undefined, Value, join_texts, to_text, too_long

_SPEC = re.compile(
    r"%(?:\((?P<key>[^)]*)\))?(?P<flags>[-+ #0]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?"
    r"(?P<conversion>.)?",
    re.DOTALL,
)
_DECIMAL = {"d": "decimal", "i": "decimal", "o": "octal", "x": "hexadecimal", "X": "hexadecimal"}
_FLOATS = {
    "f": "fixed-point notation",
    "F": "fixed-point notation",
    "e": "scientific notation",
    "E": "scientific notation",
    "g": "general notation",
    "G": "general notation",
}


def printf(pattern: str, args: tuple[Value, ...], kwargs: dict[str, Value]) -> str:
    """``pattern`` with its ``%`` specs replaced. Raises :class:`RenderFault` for a wrong one."""
    pieces: list[str] = []
    position = taken = 0
    named: dict[str, Value] = dict(args[0]) if args and type(args[0]) is dict else {}
    named.update(kwargs)
    while (start := pattern.find("%", position)) >= 0:
        pieces.append(pattern[position:start])
        match = _SPEC.match(pattern, start)
        assert match is not None  # everything after the % is optional
        conversion = match["conversion"]
        if conversion == "(" and match.end() == start + 2:
            raise invalid(
                f"incomplete format key at offset {len(pattern) - 1}; missing closing ')'"
            )
        if conversion is None:
            raise invalid(
                f"incomplete format spec at offset {len(pattern)}; missing conversion type"
            )
        position = match.end()
        if conversion == "%":
            pieces.append("%")
            continue
        offset = match.start("flags")  # behind the key, if there is one
        if conversion not in "diouxXeEfFgGcs" or conversion == "u":
            raise invalid(
                f"invalid conversion type '{conversion}' in format spec at offset {match.end() - 1}"
            )
        if match["key"] is not None:
            if match["key"] not in named:
                raise invalid(f"missing an argument for format spec at offset '{offset}'")
            value = named[match["key"]]
        else:
            if taken >= len(args):
                raise invalid(f"missing an argument for format spec at offset '{offset}'")
            value = args[taken]
            taken += 1
        pieces.append(_one(match, conversion, value, offset))
    pieces.append(pattern[position:])
    return join_texts(pieces)


def _one(match: re.Match[str], conversion: str, value: Value, offset: int) -> str:
    flags = match["flags"]
    # Nine digits already are more than the longest text; more would only cost time.
    if len(match["width"]) > 9 or len(match["precision"] or "") > 3:
        raise too_long()
    width = int(match["width"] or 0)
    if width > MAX_TEXT:
        raise too_long()
    precision = None if match["precision"] is None else int(match["precision"] or 0)
    if conversion == "s":
        text = "" if type(value) is Undefined else to_text(value)
        return _padded(text if precision is None else text[:precision], flags, width)
    if conversion == "c":
        return _padded(_character(value, offset), flags, width)
    if conversion in _DECIMAL:
        if not isinstance(value, int):
            raise _wrong_type(value, f"{_DECIMAL[conversion]} format", conversion, offset)
        return _signed(_digits(int(value), conversion, "#" in flags), value < 0, flags, width)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _wrong_type(value, _FLOATS[conversion], conversion, offset)
    places = 6 if precision is None else precision
    text = f"%{'#' if '#' in flags else ''}.{places}{conversion}" % abs(float(value))
    return _signed(text, value < 0, flags, width)


def _wrong_type(value: Value, what: str, conversion: str, offset: int) -> RenderFault:
    kind = "float" if type(value) is float else ("string" if isinstance(value, str) else "value")
    return invalid(
        f"invalid format spec at offset {offset}; '{kind}' cannot be formatted in"
        f" {what} ('{conversion}')"
    )


def _character(value: Value, offset: int) -> str:
    if isinstance(value, str) and len(value) == 1:
        return str(value)
    if type(value) is int:
        if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000:
            return chr(value)
        raise invalid("character format ('c') arg not in range(0x110000)")
    if type(value) is float:
        raise _wrong_type(value, "character format", "c", offset)
    raise invalid("character format ('c') requires integer or char")


def _digits(number: int, conversion: str, prefixed: bool) -> str:
    base = {"d": "d", "i": "d", "o": "o", "x": "x", "X": "X"}[conversion]
    prefix = {"o": "0o", "x": "0x", "X": "0X"}.get(base, "") if prefixed else ""
    return prefix + format(abs(number), base)


def _signed(text: str, negative: bool, flags: str, width: int) -> str:
    sign = "-" if negative else "+" if "+" in flags else " " if " " in flags else ""
    if "0" in flags and "-" not in flags:
        return sign + text.rjust(width - len(sign), "0")
    return _padded(sign + text, flags, width)


def _padded(text: str, flags: str, width: int) -> str:
    return text.ljust(width) if "-" in flags else text.rjust(width)
