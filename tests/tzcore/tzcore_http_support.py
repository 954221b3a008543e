"""Real servers on loopback for the tests of the HTTP engines."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any

import uvicorn
import uvloop

from tzcore.http1 import Exchange, Limits, make_protocol
from tzcore.http1_plain import plain_protocol

LOOPS = ["asyncio", "uvloop"]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(main: Coroutine[Any, Any, None], loop: str = "uvloop", limit_s: float = 20.0) -> None:
    """Run ``main`` on the given kind of event loop; no test may hang."""

    async def bounded() -> None:
        async with asyncio.timeout(limit_s):
            await main

    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(bounded())


async def cold_app(scope: Any, receive: Any, send: Any) -> None:
    """Answers what was handed over: ``cold METHOD path body``."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    text = f"cold {scope['method']} {scope['path']} ".encode() + body
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", str(len(text)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": text})


class Served(uvicorn.Server):
    """A running uvicorn server; ``port`` is where."""

    port: int


def configure(
    routes: Mapping[tuple[bytes, bytes], Callable[[Exchange], None]],
    *,
    limits: Limits | None = None,
    common_headers: bytes = b"",
    plain: bool = False,
    app: Any = cold_app,
    **options: Any,
) -> Served:
    if plain:
        protocol: Any = plain_protocol(limits or Limits())
    else:
        protocol = make_protocol(routes, limits=limits, common_headers=common_headers)
    config = uvicorn.Config(
        app,
        http=protocol,
        host="127.0.0.1",
        port=0,
        lifespan="off",
        log_level="critical",
        access_log=False,
        **options,
    )
    config.load()
    return Served(config)


@contextlib.asynccontextmanager
async def serve(
    routes: Mapping[tuple[bytes, bytes], Callable[[Exchange], None]], **options: Any
) -> AsyncIterator[Served]:
    """uvicorn's own start without its main loop, whose ticks would make every test slow."""
    server = configure(routes, **options)
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    await server.on_tick(0)
    server.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def scripted(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that does to each connection what ``script`` says; yields its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One request of known length: its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head, await reader.readexactly(length)


async def read_response(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """One answer, of known length or chunked: status, head, body."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status == 100:
        return status, head, b""
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        body = b""
        while True:
            size = int((await reader.readuntil(b"\r\n"))[:-2], 16)
            body += (await reader.readexactly(size + 2))[:-2]
            if size == 0:
                return status, head, body
    length = 0
    for line in lower.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, head, await reader.readexactly(length)


def post(path: str = "/hot", body: bytes = b"", *extra: str, framed: bool = True) -> bytes:
    """A request in the common form."""
    lines = [f"POST {path} HTTP/1.1", "Host: a.example", *extra]
    if framed:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Later:
    """A handler that answers when told to."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.arrived = asyncio.Event()

    def __call__(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        self.arrived.set()

    async def take(self, number: int = 1) -> Exchange:
        while len(self.exchanges) < number:
            self.arrived.clear()
            await self.arrived.wait()
        return self.exchanges[number - 1]


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)
