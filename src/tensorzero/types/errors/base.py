"""What every error has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tensorzero.types.usage import RawResponse


class GatewayError(Exception):
    """Base: ``kind`` is the name in ``error_json``, ``status`` the HTTP status."""

    kind: ClassVar[str] = "InternalError"
    status: int = 500
    retryable: bool = True
    errors: Sequence[GatewayError] = ()
    """Its causes, where it wraps several."""

    def __init__(self, text: str, /, **fields: Any) -> None:
        super().__init__(text)
        self.message = text
        self.fields = fields

    def __str__(self) -> str:
        return self.message

    def log_text(self) -> str:
        """What the log shows: never a prompt."""
        text = self.message
        for error in self.errors:
            text = text.replace(error.message, error.log_text())
        return text

    def to_json(self) -> Any:
        """``error_json``: the kind around its fields; a kind without fields is a bare string."""
        return {self.kind: self.fields} if self.fields else self.kind

    def raw_responses(self) -> list[RawResponse]:
        """Bodies of the failed attempts below this error, oldest first."""
        return []


class MessageError(GatewayError):
    """A kind whose only field is its message."""

    prefix: ClassVar[str] = ""

    def __init__(self, message: str) -> None:
        super().__init__(self.prefix + message, message=message)


class InternalError(MessageError):
    kind = "InternalError"
    prefix = "Internal error: "
