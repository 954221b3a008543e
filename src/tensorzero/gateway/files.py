"""Files of an inference: fetched once, stored content-addressed, never in the row."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import mimetypes
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from blake3 import blake3
from msgspec.structs import replace

from tensorzero.types.content import Input, InputMessage, Message
from tensorzero.types.errors import (
    BadFileFetch,
    InvalidMessage,
    ObjectStoreUnconfigured,
    ObjectStoreWrite,
)
from tensorzero.types.files import File, FileData, StoragePath
from tensorzero.types.mime import sniff_mime_type
from tzcore.client import ClientError, Pool

log = logging.getLogger(__name__)

RECORD_WAIT_S = 5.0
"""How long an answer waits for its files to be fetched and stored."""
LATE: set[asyncio.Task[None]] = set()
"""Files that are being stored; kept here, since an event loop holds its tasks weakly."""

M = TypeVar("M", InputMessage, Message)

EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "audio/mpeg": ".mp3",
    "audio/mp3": ".mp3",
    "audio/m4a": ".m4a",
    "audio/mp4": ".m4a",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "audio/x-flac": ".flac",
}


class ObjectStore(Protocol):
    """Where files lie. ``kind`` is what pointers carry."""

    kind: Mapping[str, Any]

    async def put(self, path: str, data: bytes) -> None:
        """Create if absent; an existing object is success."""

    async def get(self, path: str) -> bytes:
        """The object; raises ``KeyError`` when there is none."""


def storage_path(kind: Mapping[str, Any], content: FileData) -> StoragePath:
    """The content address: BLAKE3 of the base64 text."""
    digest = blake3(content.data.encode()).hexdigest()
    extension = EXTENSIONS.get(content.mime_type)
    if extension is None:
        extension = mimetypes.guess_extension(content.mime_type) or ""
    return StoragePath(dict(kind), f"observability/files/{digest}{extension}")


def file_blocks(given: Input) -> list[File]:
    return [block for message in given.messages for block in message.content if type(block) is File]


class RequestFiles:
    """The files of one request; each is fetched at most once and shared by all who ask."""

    def __init__(self, pool: Pool, store: ObjectStore | None, max_bytes: int) -> None:
        self.pool = pool
        self.store = store
        self.max_bytes = max_bytes
        self._fetches: dict[int, asyncio.Task[FileData]] = {}

    def prepare(self, given: Input, *, decided: bool, records: bool) -> None:
        """Refuse what could not be stored, and begin to fetch what the record needs.

        ``decided``: a store is there, or the config says that files are not stored. Raises
        ``ObjectStoreUnconfigured``.
        """
        files = file_blocks(given)
        for file in files:
            if file.storage_path is None and self.store is None and not decided:
                raise ObjectStoreUnconfigured("file")
        if records:
            for file in files:
                if file.url is not None:
                    self._fetch_of(file)

    async def resolve(self, file: File) -> FileData:
        return await asyncio.shield(self._fetch_of(file))

    def _fetch_of(self, file: File) -> asyncio.Task[FileData]:
        task = self._fetches.get(id(file))
        if task is None:
            task = asyncio.ensure_future(self._load(file))
            # A failure that nobody comes to ask for is no fault of ours.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._fetches[id(file)] = task
        return task

    async def _load(self, file: File) -> FileData:
        if file.data is not None:
            return FileData(file.data, file.mime_type or "application/octet-stream")
        if file.url is not None:
            return await self._fetch(file.url, file.mime_type)
        pointer = file.storage_path
        where = "" if pointer is None else pointer.path
        if pointer is None or self.store is None or pointer.kind != dict(self.store.kind):
            raise BadFileFetch(where, "the object store of this pointer is not configured here")
        try:
            data = await self.store.get(where)
        except (KeyError, OSError) as error:
            raise BadFileFetch(where, f"not in the object store: {error}") from None
        return FileData(base64.b64encode(data).decode(), file.mime_type or "")

    async def _fetch(self, url: str, mime_type: str | None) -> FileData:
        try:
            target = self.pool.target(url, [("accept", "*/*")])
            response = await self.pool.request(target, b"", method=b"GET", timeout_s=60.0)
        except (ClientError, ValueError) as error:
            raise BadFileFetch(url, str(error)) from None
        if not 200 <= response.status < 300:
            raise BadFileFetch(url, f"HTTP status {response.status}")
        if len(response.body) > self.max_bytes:
            raise BadFileFetch(url, f"larger than {self.max_bytes} bytes")
        header = response.header(b"content-type")
        named = None if header is None else header.decode("latin-1").split(";")[0].strip()
        sniffed = sniff_mime_type(response.body[:64])
        if mime_type is None and sniffed is not None and named and named != sniffed:
            log.warning("a file's content says %s, its server %s", sniffed, named)
        chosen = mime_type or sniffed or named
        if not chosen:
            raise BadFileFetch(url, "its MIME type is unknown; give `mime_type`")
        return FileData(base64.b64encode(response.body).decode(), chosen)

    async def store_all(self, given: Input) -> None:
        """Make every file block a pointer, and write what is not stored yet.

        A file that cannot be fetched or written, or not soon enough, costs a log line, not the
        row: the answer waits for this. A write that has begun goes on all the same.
        """
        # The others are pointers, or content that came out of a store.
        new = [file for file in file_blocks(given) if file.storage_path is None]
        if not new:
            return
        tasks = {asyncio.ensure_future(self._store(file)) for file in new}
        LATE.update(tasks)
        for task in tasks:
            task.add_done_callback(LATE.discard)
        _, late = await asyncio.wait(tasks, timeout=RECORD_WAIT_S)
        if late:
            log.error("recording does not wait for %d files any longer", len(late))

    async def store_or_refuse(self, given: Input) -> None:
        """As ``store_all``, for a row that must not lack a file: raises ``BadFileFetch``,
        ``ObjectStoreWrite``, and ``InvalidMessage`` for data that is not base64."""
        new = [file for file in file_blocks(given) if file.storage_path is None]
        for content in [(file, await self.resolve(file)) for file in new]:
            try:
                await self._store_one(*content)
            except binascii.Error as error:
                raise InvalidMessage(f"The `data` of a file is not base64: {error}") from None
            except (OSError, RuntimeError, ValueError) as error:
                raise ObjectStoreWrite(f"A file could not be stored: {error}") from None

    async def _store(self, file: File) -> None:
        try:
            content = await self.resolve(file)
            await self._store_one(file, content)
        except BadFileFetch as error:
            log.error("recording without a file: %s", error)
        except (OSError, RuntimeError, ValueError) as error:
            log.error("a file could not be stored: %s", error)

    @staticmethod
    def recorded(messages: list[M]) -> list[M]:
        """The messages without the files that could not be had: a row holds pointers only."""
        return [
            replace(
                message,
                content=[
                    block
                    for block in message.content
                    if type(block) is not File or block.storage_path is not None
                ],
            )
            for message in messages
        ]

    async def _store_one(self, file: File, content: FileData) -> None:
        kind: Mapping[str, Any] = {"type": "disabled"} if self.store is None else self.store.kind
        file.mime_type = content.mime_type
        file.storage_path = storage_path(kind, content)
        if self.store is not None:
            await self.store.put(file.storage_path.path, base64.b64decode(content.data))
