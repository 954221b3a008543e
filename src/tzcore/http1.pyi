import asyncio
from collections.abc import Callable, Mapping
from typing import Any

class Limits:
    """What one connection may cost. Durations in seconds, sizes in bytes; all must be positive."""

    max_head_bytes: int
    """Request line and header fields; beyond it 431."""
    max_headers: int
    """Header fields; beyond it 431."""
    max_body_bytes: int
    """Beyond it the handler is called with ``body_too_large`` instead of the body."""
    max_buffered_bytes: int
    """Unsent bytes of a streamed answer; a reader that leaves more unread is cut off."""
    max_pipelined_bytes: int
    """Bytes read ahead while a request is being answered; beyond it reading pauses."""
    head_timeout_s: float
    """From the first byte of a head to its last; beyond it 408."""
    body_timeout_s: float
    """Without a byte of an unfinished body; beyond it 408."""
    idle_timeout_s: float
    """Without a request; beyond it the connection is closed."""
    write_timeout_s: float
    """Without the client reading a byte of what waits for it; beyond it the connection is cut."""
    linger_s: float
    """How long an early answer keeps the connection for a client that is still sending."""

    def __init__(
        self,
        *,
        max_head_bytes: int = 65536,
        max_headers: int = 100,
        max_body_bytes: int = 104857600,
        max_buffered_bytes: int = 4194304,
        max_pipelined_bytes: int = 65536,
        head_timeout_s: float = 10.0,
        body_timeout_s: float = 60.0,
        idle_timeout_s: float = 75.0,
        write_timeout_s: float = 75.0,
        linger_s: float = 5.0,
    ) -> None: ...

class Exchange:
    """One request and its answer. Belongs to its event loop's thread."""

    method: bytes
    path: bytes
    query: bytes
    """What follows the first ``?`` of the target, ``b""`` if there is none."""
    body: bytes
    """The whole body as sent (content codings are not undone)."""
    content_encoding: bytes | None
    body_too_large: bool
    """The body exceeds ``Limits.max_body_bytes``; ``body`` is empty, the connection will close."""
    received_at: float
    """``time.monotonic()`` when the last byte of the request was read."""
    closed: bool
    """The client has left, or was cut off, before the answer was complete."""
    on_close: Callable[[], None] | None
    """Called once when that happens."""

    @property
    def peer(self) -> tuple[Any, ...] | str | None:
        """The client's address as the socket gives it."""
    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """All header fields in order, names in lower case."""
    def header(self, name: bytes) -> bytes | None:
        """The value of the first field ``name`` (given in lower case)."""
    def respond(
        self,
        status: int,
        body: bytes,
        content_type: bytes = b"application/json",
        headers: bytes = b"",
    ) -> None:
        """Answer with a whole body. ``headers`` is a block of lines, each ending in CR LF.

        An empty ``content_type`` leaves the field out. A no-op when the client has left.
        Raises ``RuntimeError`` when the request has been answered already.
        """
    def start_stream(
        self,
        status: int = 200,
        content_type: bytes = b"text/event-stream",
        headers: bytes = b"",
    ) -> None:
        """Begin an answer of unknown length (chunked); ``send`` and ``end`` follow."""
    def send(self, data: bytes) -> bool:
        """Send one piece of a streamed answer; ``False`` once the client has left or was cut off.

        Raises ``RuntimeError`` when no stream is open.
        """
    def end(self) -> None:
        """Complete a streamed answer."""

Handler = Callable[[Exchange], None]

class ServerProtocol(asyncio.Protocol):
    """One connection; made by the factory that ``make_protocol`` returns."""

    def shutdown(self) -> None:
        """Close when idle, else after the current answer (called by uvicorn's graceful stop)."""

def make_protocol(
    routes: Mapping[tuple[bytes, bytes], Handler],
    *,
    limits: Limits | None = None,
    common_headers: bytes = b"",
) -> Callable[..., asyncio.Protocol]:
    """A protocol factory for ``uvicorn.Config(http=...)``.

    ``routes`` maps ``(method, path)`` to the handler of each hot route; every other request is
    handed to ``tzcore.http1_plain`` with its connection. ``common_headers`` is a block
    of header lines (each ending in CR LF) that every answer carries.
    Raises ``ValueError`` for a malformed route or block.
    """
