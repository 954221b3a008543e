"""Files in messages: given by URL, by data, or as a pointer into the object store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

Detail = Literal["low", "high", "auto"]


@dataclass(frozen=True, slots=True)
class StoragePath:
    """Where a file lies: the store (``kind``, the resolved config section) and the path in it."""

    kind: dict[str, Any]
    path: str

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "path": self.path}


@dataclass(frozen=True, slots=True)
class FileData:
    """A file's content: bare base64 text (no ``data:`` prefix) and its MIME type."""

    data: str
    mime_type: str


class FileResolver(Protocol):
    """Fetches a file once and keeps it, for providers and for the record alike."""

    async def resolve(self, file: File) -> FileData:
        """Return the content; raises ``BadFileFetch`` where it cannot be had."""


@dataclass(slots=True)
class File:
    """A file block. Exactly one of ``url``, ``data``, ``storage_path`` tells where it is.

    ``data`` is base64 text; ``storage_path`` is set for pointers, and for the others once the
    content is known. ``source_url`` is what the client gave as origin, if anything.
    """

    url: str | None = None
    data: str | None = None
    mime_type: str | None = None
    storage_path: StoragePath | None = None
    source_url: str | None = None
    detail: Detail | None = None
    filename: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The stored form: never the data, always where it lies."""
        out: dict[str, Any] = {
            "type": "file",
            "source_url": self.source_url if self.source_url is not None else self.url,
            "mime_type": self.mime_type,
            "storage_path": None if self.storage_path is None else self.storage_path.to_json(),
        }
        if self.detail is not None:
            out["detail"] = self.detail
        if self.filename is not None:
            out["filename"] = self.filename
        return out
