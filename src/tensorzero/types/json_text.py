"""JSON from outside: parsed within a bound on its nesting.

What is parsed here is written again (rows, answers, provider bodies), and writers give up at a
depth that parsers still take. The bound is the reference's.
"""

from __future__ import annotations

from typing import Any

import orjson

from tzcore.nesting import nesting

MAX_DEPTH = 127
"""Arrays and objects that may be open at once."""


class TooDeep(ValueError):
    """JSON that nests deeper than ``MAX_DEPTH``."""

    def __init__(self) -> None:
        super().__init__(f"recursion limit exceeded: nested deeper than {MAX_DEPTH} levels")


def loads(text: bytes | str) -> Any:
    """The value; raises ``ValueError`` with the reason."""
    value = orjson.loads(text)
    if isinstance(text, str):
        if text.count("{") + text.count("[") > MAX_DEPTH and nesting(text.encode()) > MAX_DEPTH:
            raise TooDeep
    elif text.count(b"{") + text.count(b"[") > MAX_DEPTH and nesting(text) > MAX_DEPTH:
        raise TooDeep
    return value


def dumps_exactly(value: Any) -> bytes:
    """JSON for those who keep many: what orjson returns holds on to several times its length."""
    return bytes(memoryview(orjson.dumps(value)))
