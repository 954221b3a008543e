import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

class ClientError(Exception):
    """An exchange with an upstream server failed. The text names the server, never a header."""

class ConnectFailed(ClientError):
    """No connection: name not resolved, refused, unreachable, certificate not accepted, too slow."""

class ClientTimeout(ClientError):
    """The time given to a request has passed."""

class ConnectTimeout(ClientTimeout):
    """It passed while connecting."""

class PoolTimeout(ClientTimeout):
    """It passed while all connections to the server were in use."""

class ConnectionLost(ClientError):
    """The server closed the connection before its answer was complete."""

    unanswered: bool
    """Whether not a byte of an answer had come."""
    partial: bytes
    """The body so far, as sent (content codings not undone); of a stream always empty."""

class ProtocolError(ClientError):
    """The answer is not HTTP/1.1, or its body is not what its fields say."""

class BodyTooLarge(ClientError):
    """The answer's body, as sent or decoded, exceeds ``Pool``'s ``max_body_bytes``."""

class Target:
    """Where requests go: a URL with its static header fields, rendered once."""

    scheme: str
    host: str
    port: int
    path: bytes
    """Path and query as they are sent."""
    headers: tuple[tuple[str, str], ...]
    """The static fields, without Host and User-Agent unless they were given."""
    static_head: bytes
    """Everything of a request head between its method and its per-request fields."""

    def with_headers(self, set: list[tuple[str, str]], remove: list[str]) -> Target:
        """A target whose fields named in ``set`` or ``remove`` are replaced or gone.

        Names compare without case. Raises ``ValueError`` for an invalid name or value and for
        fields that frame a message (Content-Length, Transfer-Encoding, Connection …).
        """

    def adding(self, fields: Sequence[tuple[str, str]]) -> Target:
        """A target with further fields, of names that it does not have yet: a fraction of the
        cost of ``with_headers``. Raises ``ValueError`` as that does.
        """

class Response:
    """A whole answer."""

    status: int
    reason: bytes
    body: bytes
    """Decoded: chunking and content codings are undone."""
    sent_at: float
    """``time.monotonic()`` when the request was written."""
    first_byte_at: float
    done_at: float

    coded: bool
    """Whether the body still has a content coding (``Pool.begin``)."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """All header fields in order, names in lower case."""
    def header(self, name: bytes) -> bytes | None:
        """The value of the first field ``name`` (given in lower case)."""

class Receiver(Protocol):
    """What a stream is pushed to."""

    def feed(self, data: bytes) -> None:
        """The next piece of the body, decoded; what it raises closes the stream."""
    def ended(self, error: ClientError | None) -> None:
        """The body is complete, or lost."""

class ResponseStream:
    """An answer whose body is read as it arrives; iterate, ``read()``, ``push()`` or ``close()`` it.

    Iteration yields what has arrived since the last step, decoded. An unfinished stream that is
    closed or dropped closes its connection. Reading raises ``ClientTimeout``,
    ``ConnectionLost``, ``ProtocolError`` or ``BodyTooLarge``, after what arrived before it.
    """

    status: int
    reason: bytes
    sent_at: float
    first_byte_at: float

    @property
    def headers(self) -> list[tuple[bytes, bytes]]: ...
    def header(self, name: bytes) -> bytes | None: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> bytes: ...
    async def read(self) -> bytes:
        """The rest of the body."""
    def finish(self, linger_s: float = 1.0) -> None:
        """End reading early without losing the connection: never waits, drops what is left.

        The connection is closed if the answer does not end within ``linger_s`` seconds.
        """
    def push(self, receiver: Receiver) -> None:
        """Give what arrives to ``receiver`` from now on, in the current context, within the
        connection's callback: no task is resumed for a piece. What is there already is given before
        this returns. After ``finish`` or ``close`` the receiver hears nothing more.
        """
    def close(self) -> None:
        """Close an unfinished stream and its connection; harmless on a finished one."""
    async def aclose(self) -> None:
        """``close()``, for those who call it with ``await``."""
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

class Pool:
    """Keep-alive connections to upstream servers, for one event loop. HTTP/1.1 only."""

    def __init__(
        self,
        *,
        user_agent: bytes,
        max_connections: int = 4096,
        idle_timeout_s: float = 60.0,
        connect_timeout_s: float = 30.0,
        max_body_bytes: int = 268435456,
        ssl_context: ssl.SSLContext | None = None,
        trust_env: bool = True,
    ) -> None:
        """``max_connections`` is per origin; further requests wait for one to become free.

        ``ssl_context`` verifies servers (and an https:// proxy); by default the system's trust
        store does. ``trust_env`` heeds HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.
        """
    def origin(self, url: str) -> Target:
        """``target(url, [])``."""
    def target(self, url: str, headers: list[tuple[str, str]]) -> Target:
        """Parse a URL and render its static header fields.

        Raises ``ValueError`` for a malformed URL, field or proxy setting.
        """
    async def request(
        self,
        target: Target,
        body: bytes,
        *,
        method: bytes = b"POST",
        headers: bytes = b"",
        timeout_s: float | None = None,
    ) -> Response:
        """Send a request, return its whole answer. Redirects are followed, at most 10.

        ``headers`` is a block of further lines, each ending in CR LF. ``timeout_s`` covers
        everything from the wait for a connection to the end of the body. Raises ``ClientError``.
        """
    def begin(
        self,
        target: Target,
        body: bytes,
        timeout_s: float,
        receiver: Callable[[Response | None, ClientError | None], None],
    ) -> bool:
        """POST at once on a connection that is idle; ``False`` when there is none.

        ``receiver`` is called once, from the event loop, with the answer as it came (neither
        redirected nor decoded) or with the error, and must not raise.
        """
    def decoded(self, target: Target, response: Response) -> Response:
        """``response`` with its content coding undone; raises ``ClientError``."""
    async def stream(
        self,
        target: Target,
        body: bytes,
        *,
        method: bytes = b"POST",
        headers: bytes = b"",
        timeout_s: float | None = None,
    ) -> ResponseStream:
        """Send a request, return as soon as the answer's head has arrived."""
    async def send(
        self,
        target: Target,
        method: bytes,
        headers: bytes,
        body: bytes,
        *,
        connect_s: float | None = None,
        read_s: float | None = None,
    ) -> ResponseStream:
        """Send a request as it is: redirects are not followed.

        ``connect_s`` limits the wait for a connection and its opening (``PoolTimeout``,
        ``ConnectTimeout``), ``read_s`` that for the answer's head (``ClientTimeout``); the body has
        no limit of its own. For clients on top of the pool (``tzcore.httpx_transport``).
        """
    async def aclose(self) -> None:
        """Close all connections; requests under way fail with ``ClientError``."""
