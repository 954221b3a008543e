"""The contents of files that a provider is sent, and what stands for them in records."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

import orjson

from tensorzero.types.content import Message
from tensorzero.types.errors import Serialization
from tensorzero.types.files import File, FileData
from tensorzero.types.model import ModelRequest

FileContents = dict[int, FileData]
"""Contents by ``id`` of the file block."""

MARK = f"<{token_hex(16)}:"
"""Begins the mark of a file in a body; nobody outside can know it."""


async def file_contents(
    request: ModelRequest, messages: list[Message], inlines: Callable[[File, ModelRequest], bool]
) -> FileContents:
    """What is sent by content; raises ``GatewayError`` for a file that cannot be had."""
    contents: FileContents = {}
    for message in messages:
        for block in message.content:
            if type(block) is File and inlines(block, request):
                if request.files is None:
                    raise Serialization("This call has no way to read files")
                contents[id(block)] = await request.files.resolve(block)
    return contents


def marked(files: FileContents) -> FileContents:
    """Each file's mark in place of its data: a body is built once, with these."""
    return {
        key: FileData(f"{MARK}{index}>", content.mime_type)
        for index, (key, content) in enumerate(files.items())
    }


def unmarked(body: bytes, files: FileContents) -> tuple[bytes, bytes]:
    """A serialized body of ``marked`` files as it is sent, and as it is recorded: with each file's
    number. Raises ``TypeError`` for data that is no text."""
    contents = [orjson.dumps(content.data)[1:-1] for content in files.values()]
    head, *pieces = body.split(MARK.encode())
    sent, recorded = [head], [head]
    for piece in pieces:
        index, _, rest = piece.partition(b">")
        sent += [contents[int(index)], rest]
        recorded += [b"<TENSORZERO_FILE_%b>" % index, rest]
    return b"".join(sent), b"".join(recorded)
