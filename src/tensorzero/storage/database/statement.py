"""Just enough of ClickHouse's grammar to run a statement that arrives as bytes.

The embedded engine takes SQL as text and insert data apart from it, while the HTTP interface
sends both as one body; and the engine's shell habits (several statements, ``INTO OUTFILE``)
have no place behind a network interface. So a request is split, not parsed: words at nesting
depth zero, with strings, quoted names and comments skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tensorzero.storage.database.errors import QueryError

SYNTAX_ERROR: Final = 62
NOT_IMPLEMENTED: Final = 48

_TOKEN: Final = re.compile(
    rb"""
    (?P<skip>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<name>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<semicolon>;)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

STREAMABLE_FORMATS: Final = frozenset(
    {
        "tabseparated",
        "tsv",
        "tabseparatedraw",
        "tsvraw",
        "csv",
        "jsoneachrow",
        "jsonlines",
        "ndjson",
        "jsoncompacteachrow",
        "jsonstringseachrow",
        "rowbinary",
        "native",
    }
)
"""Formats without head, tail or counters: the pieces of a result add up to the whole."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, ready for the engine.

    ``verb`` is its first word in capitals. An insert with data of a named format has ``data``
    (``sql`` ends before ``SETTINGS`` and ``FORMAT``, ``settings_clause`` holds the former);
    everything else is run as the text ``sql``.
    """

    verb: str
    sql: str
    format: str | None = None
    data: memoryview | None = None
    settings_clause: str = ""

    @property
    def is_read(self) -> bool:
        """Has a result and no effect: may be streamed, cancelled, run again."""
        return self.verb in ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS")


def split_statement(body: bytes) -> Statement:
    """Split a request's SQL from its data. Raises QueryError (62) on what can't be one."""
    tokens = _words(body)
    first = next(tokens, None)
    if first is None or first.kind == "semicolon":
        raise QueryError(SYNTAX_ERROR, "Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR)")
    verb = first.text.upper()
    if verb == "INSERT":
        return _split_insert(body, tokens)
    return _split_query(body, verb, first, tokens)


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int
    depth: int


def _words(body: bytes) -> Iterator[_Token]:
    """Tokens of ``body`` but blanks and comments; lazy, so that insert data is never read."""
    depth = 0
    position = 0
    while position < len(body):
        found = _TOKEN.match(body, position)
        if found is None or found.lastgroup is None:
            raise QueryError(
                SYNTAX_ERROR, "Code: 62. DB::Exception: Unclosed comment. (SYNTAX_ERROR)"
            )
        kind = found.lastgroup
        position = found.end()
        if kind == "skip":
            continue
        if kind == "close":
            depth -= 1
        text = found.group().decode("latin-1") if kind == "word" else ""
        yield _Token(kind, text, found.start(), position, depth)
        if kind == "open":
            depth += 1


def _split_insert(body: bytes, tokens: Iterator[_Token]) -> Statement:
    previous = ""
    settings_start: int | None = None
    for token in tokens:
        if token.kind != "word" or token.depth != 0:
            previous = ""
            continue
        word = token.text.upper()
        if word == "INFILE":
            raise _refused("INSERT … FROM INFILE")
        if word in ("VALUES", "SELECT", "WITH"):
            break
        if previous == "FORMAT":
            data_start = _data_start(body, token.end)
            if token.text.upper() == "VALUES":
                break
            end = _format_start(body, token.start)
            return Statement(
                "INSERT",
                _text(body[: settings_start if settings_start is not None else end]),
                token.text,
                memoryview(body)[data_start:],
                _text(body[settings_start:end]) if settings_start is not None else "",
            )
        if word == "SETTINGS" and settings_start is None and previous not in ("INTO", "TABLE"):
            settings_start = token.start
        previous = word
    return Statement("INSERT", _text(body))


def _format_start(body: bytes, name_start: int) -> int:
    """Where the word FORMAT before a format's name begins."""
    return body.upper().rindex(b"FORMAT", 0, name_start)


def _data_start(body: bytes, end: int) -> int:
    """Data begins after the format's name, blanks, and one line end."""
    while end < len(body) and body[end : end + 1] in (b" ", b"\t"):
        end += 1
    if body[end : end + 2] == b"\r\n":
        return end + 2
    if body[end : end + 1] == b"\n":
        return end + 1
    return end


def _split_query(body: bytes, verb: str, first: _Token, tokens: Iterator[_Token]) -> Statement:
    format_name: str | None = None
    previous = first.text.upper()
    ended = False
    for token in tokens:
        if token.kind == "semicolon" and token.depth == 0:
            ended = True
            continue
        if ended:
            raise QueryError(
                SYNTAX_ERROR,
                "Code: 62. DB::Exception: Multi-statements are not allowed. (SYNTAX_ERROR)",
            )
        if token.depth != 0:
            previous = ""
            continue
        word = token.text.upper()
        if previous == "INTO" and word == "OUTFILE":
            raise _refused("SELECT … INTO OUTFILE")
        if previous == "FORMAT" and token.kind == "word":
            format_name = token.text
        elif format_name is not None and word not in ("SETTINGS",) and token.kind == "open":
            # `format(…)` further on: it was a function or an alias, not the clause.
            format_name = None
        previous = word
    return Statement(verb, _text(body), format_name)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise QueryError(
            SYNTAX_ERROR, "Code: 62. DB::Exception: The query is not UTF-8. (SYNTAX_ERROR)"
        ) from None


def _refused(what: str) -> QueryError:
    return QueryError(
        NOT_IMPLEMENTED,
        f"Code: 48. DB::Exception: {what} is not available over HTTP. (NOT_IMPLEMENTED)",
    )
