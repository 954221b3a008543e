"""The engine's exception texts: code, message, row; and what a code means for an insert."""

from __future__ import annotations

import re
from typing import Final

from tensorzero.storage.database.errors import QueryError, RowsRejected, SinkUnavailable

_CODE: Final = re.compile(r"Code: (\d+)\.")
_ROW: Final = re.compile(r"\(at row (\d+)\)")
_STACK: Final = re.compile(r"\n*Stack trace.*", re.DOTALL)
_UNKNOWN_FIELD: Final = re.compile(r"Unknown field")
_LIMIT: Final = 2000

REJECTING_CODES: Final[frozenset[int]] = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED: not JSON, or another token than the type's
        33,  # CANNOT_READ_ALL_DATA: the last row is cut
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND: a decimal with too many digits
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA: null in a String, duplicate key
        130,  # CANNOT_READ_ARRAY_FROM_TEXT
        131,  # TOO_LARGE_STRING_SIZE: longer than its FixedString
        306,  # TOO_DEEP_RECURSION: nesting of one value
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        376,  # CANNOT_PARSE_UUID
        407,  # DECIMAL_OVERFLOW
        467,  # CANNOT_PARSE_BOOL
        691,  # UNKNOWN_ELEMENT_OF_ENUM
    }
)
"""Codes by which the engine refuses a *row*; they arise while the block is parsed, that is
before anything is written. Codes of the table or the server (60 UNKNOWN_TABLE, 241 memory,
243 disk, 242 read-only replica, 252 too many parts, 497 access …) are not a row's fault: the
batch waits and is sent again."""


def parse_exception(text: str, code: int | None = None) -> QueryError:
    """QueryError from an exception text; ``code`` from a header wins over the text's."""
    text = _STACK.sub("", text).strip()
    found = _CODE.search(text)
    if code is None:
        code = int(found.group(1)) if found else 0
    # Wrappers of the library come before the first "Code:"; they say nothing a user needs.
    message = text[found.start() :] if found else text
    if len(message) > _LIMIT:
        message = message[:_LIMIT] + " …"
    return QueryError(code, message or "the database gave no reason")


def insert_error(error: QueryError, table: str) -> RowsRejected | SinkUnavailable:
    """Classify the engine's answer to a row insert.

    An unknown field is not its row's fault: our rows have fixed columns, so the table is older
    than this gateway. The rows wait until it is migrated.
    """
    if error.code in REJECTING_CODES and not _UNKNOWN_FIELD.search(error.message):
        row = _ROW.search(error.message)
        return RowsRejected(
            f"{table}: {error.message}", int(row.group(1)) - 1 if row is not None else None
        )
    return SinkUnavailable(f"{table}: {error.message}", error.code)
