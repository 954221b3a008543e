"""A real TCP server that reads whole HTTP requests and answers them byte for byte as told.

An answer is a list of steps: bytes are written, a number is slept (seconds), ``CLOSE`` ends the
connection, ``RESET`` breaks it, ``HANG`` waits until the client gives up.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import orjson

CLOSE = "close"
RESET = "reset"
HANG = "hang"

Step = bytes | float | str
Script = Sequence[Step]


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; ``connection`` numbers the connections from 0."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.split(": ", 1) for line in lines if line)
        return {name.lower(): value for name, value in pairs}


def answer(body: bytes | object, status: str = "200 OK", *headers: str) -> Script:
    """A whole answer with its length."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    head = [f"HTTP/1.1 {status}", f"content-length: {len(data)}", *headers]
    if not any(line.lower().startswith("content-type:") for line in headers):
        head.append("content-type: application/json")
    return ["\r\n".join([*head, "", ""]).encode() + data]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def stream(*pieces: bytes, end: Script = (b"0\r\n\r\n",)) -> Script:
    """An event stream, chunked; each piece is written by itself."""
    return [
        STREAM_HEAD + b"transfer-encoding: chunked\r\n\r\n",
        *(chunk(piece) for piece in pieces),
        *end,
    ]


def event(data: object) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else orjson.dumps(data)) + b"\n\n"


DONE = b"data: [DONE]\n\n"


class ScriptedServer:
    """Answers each request with what ``script`` makes of it; ``seen`` holds all requests.

    ``async with`` serves on the running loop; ``in_thread`` serves beside synchronous tests.
    """

    def __init__(self, script: Callable[[Seen], Script]) -> None:
        self.script = script
        self.seen: list[Seen] = []
        self.connections = 0
        self.given_up = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    def saying(cls, *scripts: Script) -> Self:
        """One script a request, the last one again and again."""
        left = list(scripts)
        return cls(lambda _: left.pop(0) if len(left) > 1 else left[0])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**26)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def in_thread(self) -> Self:
        """Start serving in a thread of its own that ends with the process."""
        started = threading.Event()

        async def serve() -> None:
            async with self:
                started.set()
                await asyncio.Event().wait()

        threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
        assert started.wait(10)
        return self

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = self.connections
        self.connections += 1
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.given_up += 1
        except asyncio.CancelledError:  # by __aexit__; asyncio would log it as a fault
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> bool:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return False
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        seen = Seen(head, await reader.readexactly(length), number)
        self.seen.append(seen)
        for step in self.script(seen):
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, (int, float)):
                await asyncio.sleep(step)
            elif step == HANG:
                await reader.read()
                self.given_up += 1
                return False
            elif step == RESET:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return False
            else:
                return False
        return True
