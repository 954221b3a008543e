"""What can go wrong between us and the database.

Two questions decide the class: may the statement have had an effect (then an insert is sent
again, byte for byte, with the same token), and whose fault is it (a row's, the statement's,
the connection's).
"""

from __future__ import annotations

_NOT_ENOUGH_SPACE = 243
_NO_SPACE = "No space left on device"


class DatabaseError(Exception):
    """Base of everything this package raises on purpose; its text is fit for a user."""


class DatabaseURLError(DatabaseError, ValueError):
    """The database URL is not one we can use; the text says what would be right."""


class SinkUnavailable(DatabaseError):
    """The batch was not acknowledged: not sent, refused, or in doubt. Send it again unchanged.

    ``code`` is ClickHouse's number when the engine answered, else 0.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code

    @property
    def disk_full(self) -> bool:
        """The engine itself ran out of disk, maybe in the middle of writing a part."""
        return self.code == _NOT_ENOUGH_SPACE or (self.code != 0 and _NO_SPACE in str(self))


class DatabaseUnavailable(SinkUnavailable):
    """Not reached, refused, or no answer in time: the outcome is unknown or nothing was sent."""


class QueryError(DatabaseError):
    """The engine answered with an exception.

    ``code`` is ClickHouse's number (60 = UNKNOWN_TABLE, 0 = it gave none), ``message`` its text
    without stack trace.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RowsRejected(DatabaseError):
    """A definite parse or type error: nothing of the batch was inserted, and never will be.

    ``row_index`` is the 0-based row in the batch that the engine named, None if it named none.
    """

    def __init__(self, message: str, row_index: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.row_index = row_index


class DatabaseLocked(DatabaseError):
    """Another process holds the embedded database; the text names it."""


class EmbeddedEngineMissing(DatabaseError):
    """The embedded database is needed, but chDB is not installed."""
