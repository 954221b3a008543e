"""Reads the query of a GET; whatever is wrong with one is ``InvalidRequest``."""

from __future__ import annotations

from urllib.parse import parse_qsl

from tensorzero.types.errors import InvalidRequest

_LARGEST = 2**32 - 1


class QueryString:
    """Fields by name; those that are not known are ignored, an empty text is a value."""

    def __init__(self, query: bytes) -> None:
        """Raises ``InvalidRequest``: no UTF-8, or a field is given twice."""
        self._fields: dict[str, str] = {}
        try:
            pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            raise _fault("it is not UTF-8, percent-encoded") from None
        for name, value in pairs:
            if name in self._fields:
                raise _fault(f"duplicate field `{name[:64]}`")
            self._fields[name] = value

    def string(self, name: str) -> str | None:
        return self._fields.get(name)

    def integer(self, name: str) -> int | None:
        """A whole number of 32 bits without sign; raises ``InvalidRequest``."""
        text = self._fields.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST):
            raise _fault(f"{name}: `{text[:64]}` is not a whole number from 0 to {_LARGEST}")
        return int(text)


def _fault(detail: str) -> InvalidRequest:
    return InvalidRequest(f"Failed to read the query string: {detail}")
