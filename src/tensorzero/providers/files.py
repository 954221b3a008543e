"""The contents of files that a provider is sent, and what stands for them in records."""

from __future__ import annotations

from collections.abc import Callable

from tensorzero.types.content import Message
from tensorzero.types.errors import Serialization
from tensorzero.types.files import File, FileData
from tensorzero.types.model import ModelRequest

FileContents = dict[int, FileData]
"""Contents by ``id`` of the file block."""


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


def numbered(files: FileContents) -> FileContents:
    """Each file's number in place of its data."""
    return {
        key: FileData(f"<TENSORZERO_FILE_{index}>", content.mime_type)
        for index, (key, content) in enumerate(files.items())
    }
