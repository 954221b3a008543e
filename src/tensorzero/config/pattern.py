"""Regular expressions of evaluators: RE2's language, searched in linear time.

The engine is the one behind ``jsonschema-rs`` (no look-around, no back-references, Unicode).
Where its wheel is missing, Python's own serves, which would accept more.
"""

from __future__ import annotations

import re
from collections.abc import Callable

try:
    import jsonschema_rs
except ImportError:  # no wheel for this platform
    jsonschema_rs = None  # type: ignore[assignment]  # the seam below asks for None


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
                {"type": "string", "pattern": text}, pattern_options=jsonschema_rs.RegexOptions()
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
