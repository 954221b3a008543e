"""HTTP/1.1 client: a pool of keep-alive connections to upstream servers on one event loop.

A request costs one write, one future and the objects it returns; its head is rendered from parts
prepared in a ``Target``, the answer's head stays raw bytes until a field is asked for. One timer
serves all time limits of a pool: it is set to the earliest deadline and looks at every connection
when it fires, so a request that is answered in time never touches it.

No Accept-Encoding is sent (compressing costs both sides more than it saves next to a model's
answer time); a coding that a server uses anyway, or that a caller asks for, is undone.
"""

import asyncio
import base64
import os
import socket
import ssl
import time
from collections import deque
from urllib.parse import quote, unquote, urljoin, urlsplit

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from libc.math cimport INFINITY
from libc.string cimport memcpy

from tzcore.chunked cimport ChunkDecoder, is_token_char
from tzcore.heads cimport (
    ResponseHead, find_field, find_head_end, list_fields, parse_response_head,
)
from tzcore.outbox cimport Outbox, outbox_of
from tzcore.task cimport Signal, PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from tzcore.client_coding import DecodedTooLarge, Undecodable, make_decoder
from tzcore.client_connect import open_socket
from tzcore.client_proxy import TunnelRefused, open_tunnel, proxy_from_environment

cdef object monotonic = time.monotonic

cdef enum:
    JOIN_BYTES = 65536              # larger bodies are written beside their head, not copied
    COMMIT_BYTES = 262144           # what must have arrived before a whole body is allocated
    MAX_HEAD_BYTES = 262144
    MAX_HEADERS = 512
    MAX_INTERIM_ANSWERS = 100
    MAX_REDIRECTS = 10
    MAX_ORIGINS = 1024              # remembered, unless more have connections
    STREAM_PAUSE_BYTES = 1048576    # unread bytes of a stream at which reading pauses ...
    STREAM_RESUME_BYTES = 262144    # ... and at which it goes on

cdef enum Phase:
    IDLE
    WAIT            # request written, no byte of the answer yet
    HEAD
    BODY_LENGTH
    BODY_CHUNKED
    BODY_CLOSE      # the body ends with the connection
    CLOSED

FRAMING_FIELDS = frozenset((
    "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te",
    "trailer", "upgrade", "expect",
))
# What must not travel to another origin with a redirect.
SECRET_FIELDS = frozenset((
    "authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-goog-api-key",
    "x-amz-security-token",
))


class ClientError(Exception):
    """An exchange with an upstream server failed. The text names the server, never a header."""


class ConnectFailed(ClientError):
    """No connection: not resolved, refused, unreachable, certificate not accepted, too slow."""


class ClientTimeout(ClientError):
    """The time given to a request has passed."""


class ConnectTimeout(ClientTimeout):
    """It passed while connecting."""


class PoolTimeout(ClientTimeout):
    """It passed while all connections to the server were in use."""


class ConnectionLost(ClientError):
    """The server closed the connection before its answer was complete."""

    def __init__(self, message, partial=b"", unanswered=False):
        super().__init__(message)
        self.partial = partial
        self.unanswered = unanswered


class ProtocolError(ClientError):
    """The answer is not HTTP/1.1, or its body is not what its fields say."""


class BodyTooLarge(ClientError):
    """The answer's body, as sent or decoded, exceeds the pool's limit."""


cdef str checked_name(str name):
    """``name`` if it is a valid field name that callers may set."""
    cdef bytes raw
    cdef unsigned char c
    try:
        raw = name.encode("ascii")
    except UnicodeEncodeError:
        raw = b""
    if not raw:
        raise ValueError(f"{name[:60]!r} is not a valid header name")
    for c in raw:
        if not is_token_char(c):
            raise ValueError(f"{name[:60]!r} is not a valid header name")
    if name.lower() in FRAMING_FIELDS:
        raise ValueError(f"the header {name!r} is set by the HTTP client itself")
    return name


cdef bytes checked_value(str name, str value):
    """``value`` as bytes; the error does not repeat it, because it may be a secret."""
    cdef bytes raw = value.strip(" \t").encode("utf-8")
    cdef unsigned char c
    for c in raw:
        if (c < 0x20 and c != c'\t') or c == 0x7F:
            raise ValueError(f"the value of the header {name!r} has a control character")
    return raw


cdef class Target:
    """Where requests go: a URL with its static header fields, rendered once."""

    cdef Pool pool
    cdef Origin server
    cdef str url
    cdef readonly str scheme
    cdef readonly str host
    cdef readonly int port
    cdef readonly bytes path
    cdef readonly tuple headers
    cdef readonly bytes static_head
    cdef frozenset removed        # lower-case names that must not come back as defaults

    def __repr__(self):
        return f"Target({self.server.label})"

    def with_headers(self, set, remove):
        """A target whose fields named in ``set`` or ``remove`` are replaced or gone."""
        removed = {name.lower() for name in remove}
        given = [name.lower() for name, _ in set]
        kept = [(name, value) for name, value in self.headers
                if name.lower() not in removed and name.lower() not in given]
        return self.pool.make_target(self.url, kept + list(set), self.removed | removed)

    def adding(self, fields):
        """A target with further fields, rendered without reading the URL again."""
        cdef Target target = Target.__new__(Target)
        cdef list lines = [self.static_head]
        for name, value in fields:
            checked_name(name)
            lines.append(name.encode() + b": " + checked_value(name, value) + b"\r\n")
        target.pool = self.pool
        target.server = self.server
        target.url = self.url
        target.scheme = self.scheme
        target.host = self.host
        target.port = self.port
        target.path = self.path
        target.headers = self.headers + tuple(fields)
        target.removed = self.removed
        target.static_head = b"".join(lines)
        return target


cdef class Origin:
    """The connections to one scheme, host and port."""

    cdef Pool pool
    cdef readonly str scheme
    cdef readonly str host
    cdef readonly int port
    cdef readonly str label     # for messages and absolute targets: scheme://host[:port]
    cdef object proxy
    cdef list idle              # the last one used is taken first
    cdef int count              # open and opening
    cdef object waiters

    def __cinit__(self, Pool pool, str scheme, str host, int port, proxy):
        self.pool = pool
        self.scheme = scheme
        self.host = host
        self.port = port
        name = f"[{host}]" if ":" in host else host
        self.label = f"{scheme}://{name}"
        if port != (443 if scheme == "https" else 80):
            self.label += f":{port}"
        self.proxy = proxy
        self.idle = []
        self.waiters = deque()

    cdef Connection take(self):
        """An idle connection, ``None`` if there is none."""
        cdef Connection connection
        while self.idle:
            connection = <Connection>self.idle.pop()
            if connection.phase == IDLE and not connection.transport.is_closing():
                return connection
        return None

    cdef int release(self, Connection connection) except -1:
        """``connection`` can serve the next request."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                connection.deadline = INFINITY
                waiter.set_result(connection)
                return 0
        self.idle.append(connection)
        return 0

    cdef int forget(self, Connection connection) except -1:
        """``connection`` is closed: its place is free."""
        if connection in self.idle:
            self.idle.remove(connection)
        self.free_place()
        return 0

    cdef int free_place(self) except -1:
        self.count -= 1
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break
        return 0

    async def acquire(self, double deadline, bint fresh):
        """A connection: an idle one unless ``fresh``, a new one, or the next to become free."""
        cdef Connection connection
        while True:
            if not fresh:
                connection = self.take()
                if connection is not None:
                    return connection
            if self.count < self.pool.max_connections:
                self.count += 1
                try:
                    return await self.connect(deadline)
                except BaseException:
                    self.free_place()
                    raise
            elif fresh and self.idle:
                # A place for the new connection: close one that waits for work.
                (<Connection>self.idle[0]).close()
                continue
            waiter = self.pool.loop.create_future()
            self.waiters.append(waiter)
            try:
                async with asyncio.timeout(
                        None if deadline == INFINITY else max(0.0, deadline - monotonic())):
                    connection = await waiter
            except BaseException as error:
                if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                    # Handed to us while we were leaving: pass it on.
                    if waiter.result() is not None:
                        self.release(<Connection>waiter.result())
                    else:
                        self.count += 1
                        self.free_place()
                if isinstance(error, TimeoutError):
                    raise PoolTimeout(
                        f"all {self.pool.max_connections} connections to {self.label} stayed "
                        "in use for the whole time of the request") from None
                raise
            if connection is None:
                continue
            if connection.phase == IDLE and not connection.transport.is_closing():
                return connection

    async def connect(self, double deadline):
        """A new connection, by TLS and through a proxy as the origin needs it."""
        cdef double limit = self.pool.connect_timeout_s
        cdef double left = deadline - <double>monotonic()
        cdef Connection connection
        proxy = self.proxy
        loop = self.pool.loop
        try:
            async with asyncio.timeout(min(limit, max(left, 0.0))):
                if proxy is not None and self.scheme == "https":
                    connection = await open_tunnel(
                        proxy, self.pool.tls(), self.host, self.port, self.pool.tls(),
                        lambda: Connection(self))
                else:
                    host, port = self.host, self.port
                    secure = self.scheme == "https"
                    if proxy is not None:
                        host, port = proxy.host, proxy.port
                        secure = proxy.scheme == "https"
                    sock = await open_socket(host, port)
                    try:
                        _, connection = await loop.create_connection(
                            lambda: Connection(self), sock=sock,
                            ssl=self.pool.tls() if secure else None,
                            server_hostname=host if secure else None)
                    except BaseException:
                        sock.close()
                        raise
        except TimeoutError as error:
            if error.errno is not None:
                raise ConnectFailed(
                    f"could not connect to {self.place()}: {os.strerror(error.errno)}") from None
            if left <= limit:
                raise ConnectTimeout(
                    f"the time of the request passed while connecting to {self.place()}"
                ) from None
            raise ConnectFailed(
                f"could not connect to {self.place()} within {limit:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise ConnectFailed(
                f"the TLS certificate of {self.place()} was not accepted: "
                f"{error.verify_message}") from None
        except ssl.SSLError as error:
            raise ConnectFailed(
                f"the TLS handshake with {self.place()} failed: "
                f"{error.reason or 'connection closed'}") from None
        except socket.gaierror as error:
            raise ConnectFailed(
                f"the name of {self.place()} could not be resolved: {error.strerror}") from None
        except OSError as error:
            raise ConnectFailed(
                f"could not connect to {self.place()}: "
                f"{os.strerror(error.errno) if error.errno else error}") from None
        except TunnelRefused as error:
            raise ConnectFailed(f"no tunnel to {self.label}: {error}") from None
        if self.pool.closed:
            connection.close()
            raise ClientError("the connection pool is closed")
        return connection

    cdef str place(self):
        if self.proxy is None:
            return self.label
        return f"{self.label} (by the proxy {self.proxy.host}:{self.proxy.port})"


cdef class Answer:
    """Status and head of an answer."""

    cdef bytes raw
    cdef Py_ssize_t reason_start
    cdef Py_ssize_t reason_end
    cdef Py_ssize_t fields_start
    cdef bytes encoding
    cdef readonly int status
    cdef readonly double sent_at
    cdef readonly double first_byte_at

    @property
    def reason(self):
        return self.raw[self.reason_start:self.reason_end]

    @property
    def headers(self):
        """All header fields in order, names in lower case."""
        return list_fields(PyBytes_AS_STRING(self.raw), self.fields_start,
                           PyBytes_GET_SIZE(self.raw))

    def header(self, bytes name not None):
        """The value of the first field ``name`` (given in lower case)."""
        return find_field(PyBytes_AS_STRING(self.raw), self.fields_start,
                          PyBytes_GET_SIZE(self.raw), name)


cdef class Response(Answer):
    """A whole answer."""

    cdef readonly bytes body
    cdef readonly double done_at

    @property
    def coded(self):
        return self.encoding is not None


cdef class Inbox:
    """What has arrived of a stream; the connection fills it, a ``ResponseStream`` empties it:
    by hand, or (``pushed`` is set) at the end of each callback that put something in."""

    cdef Connection connection   # None once the body is complete or lost
    cdef list pieces
    cdef Py_ssize_t size
    cdef bint paused
    cdef bint finished
    cdef bint dropping           # nobody reads on, but the connection may yet serve again
    cdef object error
    cdef Signal waiter
    cdef ResponseStream pushed   # None where a reader takes the pieces itself

    cdef int wake(self, bint now) except -1:
        """Let the reader go on. ``now``: before this returns."""
        cdef Signal waiter = self.waiter
        cdef ResponseStream pushed = self.pushed
        if pushed is not None:
            if now:
                pushed.deliver()
            else:
                pushed.loop.call_soon(pushed.go_on)
        elif waiter is not None:
            self.waiter = None
            if not waiter.set:
                waiter.fire(None, None, now)
        return 0

    cdef int put(self, bytes data) except -1:
        if self.dropping:
            return 0
        self.pieces.append(data)
        self.size += PyBytes_GET_SIZE(data)
        if self.size > STREAM_PAUSE_BYTES and not self.paused:
            self.paused = True
            self.connection.transport.pause_reading()
        return 0

    cdef bytes take(self):
        cdef bytes data = <bytes>self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        self.pieces.clear()
        self.size = 0
        if self.paused:
            self.paused = False
            if self.connection is not None:
                self.connection.transport.resume_reading()
        return data

    cdef int settle(self, error) except -1:
        """The body is complete (``None``) or lost."""
        self.connection = None
        self.error = error
        self.finished = True
        return 0

    cdef int abandon(self) except -1:
        """Nobody reads on: an unfinished answer closes its connection."""
        cdef Connection connection = self.connection
        self.pushed = None
        if self.dropping:
            return 0
        self.connection = None
        self.pieces.clear()
        self.size = 0
        if not self.finished:
            self.finished = True
            self.error = ClientError("the stream was closed before its end")
            self.wake(False)
        if connection is not None:
            connection.close()
        return 0

    cdef int drop_rest(self, double seconds) except -1:
        """Nobody reads on, and the answer should end within ``seconds``."""
        cdef Connection connection = self.connection
        self.pushed = None
        self.pieces.clear()
        self.size = 0
        self.dropping = True
        if connection is not None:
            if self.paused:
                self.paused = False
                connection.transport.resume_reading()
            connection.hurry(seconds)
        return 0


cdef class ResponseStream(Answer):
    """An answer whose body is read as it arrives; iterate, ``read()``, ``push()`` or ``close()``
    it."""

    cdef Inbox inbox
    cdef object loop
    cdef object decoder
    cdef str label
    cdef object receiver
    cdef object context       # the receiver's
    cdef bint delivering

    def __del__(self):
        if self.inbox is not None:
            self.inbox.abandon()

    def __aiter__(self):
        return self

    async def __anext__(self):
        cdef Inbox inbox = self.inbox
        cdef Signal waiter
        cdef bytes data
        while True:
            if inbox.pieces:
                data = inbox.take()
                if self.decoder is not None:
                    data = self.decode(data, False)
                if data:
                    return data
                continue
            if inbox.finished:
                if inbox.error is not None:
                    raise inbox.error
                if self.decoder is not None:
                    data = self.decode(b"", True)
                    self.decoder = None
                    if data:
                        return data
                raise StopAsyncIteration
            if inbox.waiter is not None:
                raise RuntimeError("two readers wait for the same stream")
            waiter = Signal.__new__(Signal)
            waiter.loop = self.loop
            inbox.waiter = waiter
            try:
                await waiter
            finally:
                if inbox.waiter is waiter:
                    inbox.waiter = None

    cdef bytes decode(self, bytes data, bint last):
        try:
            return self.decoder.finish() if last else self.decoder.feed(data)
        except Undecodable as error:
            failure = ProtocolError(f"{self.label}: {error}")
        except DecodedTooLarge:
            failure = BodyTooLarge(f"the decoded answer of {self.label} is too large")
        self.decoder = None
        self.inbox.abandon()
        self.inbox.error = failure
        raise failure

    def push(self, receiver not None):
        """Give what arrives to ``receiver``, in the current context: pieces to its ``feed``, the
        end or the error to its ``ended``."""
        cdef Inbox inbox = self.inbox
        if self.receiver is not None or inbox.waiter is not None:
            raise RuntimeError("two readers wait for the same stream")
        self.receiver = receiver
        self.context = PyContext_CopyCurrent()
        inbox.pushed = self
        self.deliver()

    def go_on(self):
        """Called by the loop: deliver what is there."""
        self.deliver()

    cdef int deliver(self) except -1:
        """Give the receiver what has arrived, until nothing is left or it wants no more."""
        cdef Inbox inbox = self.inbox
        context = self.context
        if self.delivering or inbox.pushed is None:
            return 0
        self.delivering = True
        PyContext_Enter(context)
        try:
            while inbox.pushed is not None:
                if inbox.pieces:
                    self.pass_on(inbox.take(), False)
                elif inbox.finished:
                    if inbox.error is None and self.decoder is not None:
                        self.pass_on(b"", True)
                        self.decoder = None
                        continue
                    inbox.pushed = None
                    receiver, self.receiver = self.receiver, None
                    receiver.ended(inbox.error)
                else:
                    break
        except BaseException:
            inbox.abandon()
            raise
        finally:
            PyContext_Exit(context)
            self.delivering = False
            if inbox.pushed is None:
                self.receiver = None
                self.context = None
        return 0

    cdef int pass_on(self, bytes data, bint last) except -1:
        if self.decoder is not None:
            try:
                data = self.decode(data, last)
            except ClientError:
                self.inbox.pushed = self    # decode() has given the stream up; it says why
                return 0
        if PyBytes_GET_SIZE(data):
            self.receiver.feed(data)
        return 0

    async def read(self):
        """The rest of the body."""
        cdef list pieces = []
        async for data in self:
            pieces.append(data)
        return b"".join(pieces)

    def finish(self, double linger_s=1.0):
        """The caller has all it needs: what is left is dropped, so that the connection can serve
        again. It is closed if the answer does not end within ``linger_s`` seconds."""
        self.inbox.drop_rest(linger_s)

    def close(self):
        """Close an unfinished stream and its connection; harmless on a finished one."""
        self.inbox.abandon()
        if not self.delivering:
            self.receiver = None
            self.context = None

    async def aclose(self):
        """``close()``, for those who call it with ``await``."""
        self.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, traceback):
        self.inbox.abandon()


cdef class Connection:
    """One connection to an origin and the exchange under way on it."""

    cdef Origin origin
    cdef Pool pool
    cdef object transport
    cdef int phase
    cdef bint served              # it has completed an exchange: the peer may close it any time
    cdef bint keep_alive
    cdef bint streaming           # the caller wants a ResponseStream
    cdef bint bodiless            # the request was HEAD
    cdef bint large_request
    cdef int interim_answers
    cdef double deadline          # of the exchange, or of the idle connection
    cdef double timeout_s
    cdef double sent_at
    cdef double first_byte_at     # 0 until then
    cdef Signal future            # of the exchange under way, until its result is known
    cdef Signal ready             # what fires at the end of a callback, with ``result``
    cdef Answer result
    cdef Answer answer
    cdef Inbox inbox
    cdef bytearray buffer         # a head that came in pieces
    cdef Py_ssize_t line_start
    cdef bytes body               # allocated for the whole body, filled up to body_at
    cdef long long body_at
    cdef long long body_size
    cdef bytearray body_part      # a large body before it is allocated, or one of unknown length
    cdef ChunkDecoder chunks
    cdef object __weakref__

    def __init__(self, Origin origin not None):
        self.origin = origin
        self.pool = origin.pool
        self.phase = IDLE
        self.deadline = INFINITY

    # --- called by the event loop

    def connection_made(self, transport):
        self.transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A model may think for minutes: find out when the peer's machine is gone.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_KEEPIDLE"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        self.pool.connections.add(self)

    def connection_lost(self, error):
        cdef Inbox inbox = self.inbox
        self.ended(error)
        self.go_on(inbox)

    def eof_received(self):
        cdef Inbox inbox = self.inbox
        self.ended(None)
        self.go_on(inbox)
        return None

    def pause_writing(self):
        pass

    def resume_writing(self):
        pass

    def data_received(self, bytes data not None):
        cdef Inbox inbox = self.inbox
        self.receive(data)
        self.go_on(inbox)

    cdef int go_on(self, Inbox inbox) except -1:
        """Let whoever waits go on, at the end of a callback: the connection may serve the next
        exchange before this returns."""
        cdef Signal ready = self.ready
        cdef Answer result
        if ready is not None:
            result = self.result
            self.ready = None
            self.result = None
            ready.fire(result, None, True)
        elif inbox is not None and (inbox.pieces or inbox.finished):
            inbox.wake(True)
        return 0

    cdef int receive(self, bytes data) except -1:
        cdef Py_ssize_t at = 0, n = PyBytes_GET_SIZE(data)
        try:
            if self.phase == WAIT:
                self.first_byte_at = monotonic()
                self.phase = HEAD
            elif self.phase == IDLE:
                # Nothing was asked: an early 408, or a peer out of step.
                self.close()
                return 0
            if self.phase == HEAD:
                if self.buffer is not None:
                    self.buffer += data
                    if not self.head_has_ended():
                        return 0
                    data = bytes(self.buffer)
                    self.buffer = None
                    n = PyBytes_GET_SIZE(data)
                while self.phase == HEAD and at < n:
                    at = self.read_head(data, at, n)
            if self.phase == BODY_LENGTH:
                at = self.read_body(data, at, n)
            elif self.phase == BODY_CHUNKED:
                at = self.read_chunks(data, at, n)
            elif self.phase == BODY_CLOSE and at < n:
                self.body_at += n - at
                if self.within_limit(self.body_at):
                    self.collect(data[at:] if at else data)
                at = n
            if self.phase == IDLE and at < n:
                self.close()
        except ClientError as error:
            self.fail(error)
        return 0

    # --- the exchange

    cdef Signal start(self, Target target, bytes method, bytes headers, bytes body,
                      double deadline, double timeout_s, bint streaming):
        """Write a request; the future of its ``Response`` or ``ResponseStream``."""
        cdef bytes head = render_head(target, method, headers, body)
        cdef double now = monotonic()
        cdef Signal future = Signal.__new__(Signal)
        future.loop = self.pool.loop
        self.future = future
        self.phase = WAIT
        self.streaming = streaming
        self.bodiless = method == b"HEAD"
        self.keep_alive = True
        self.interim_answers = 0
        self.first_byte_at = 0.0
        self.sent_at = now
        self.timeout_s = timeout_s
        self.deadline = deadline
        if deadline < self.pool.timer_at:
            self.pool.watch(deadline, now)
        self.large_request = PyBytes_GET_SIZE(body) > JOIN_BYTES
        if self.large_request:
            self.transport.writelines((head, body))
        else:
            self.pool.outbox.put(self.transport, head)
        return future

    cdef bint head_has_ended(self) except -1:
        cdef Py_ssize_t size = PyByteArray_GET_SIZE(self.buffer)
        if find_head_end(PyByteArray_AS_STRING(self.buffer), size, &self.line_start, True) > 0:
            return True
        if size > MAX_HEAD_BYTES:
            raise ProtocolError(f"the answer of {self.origin.label} has too large a head")
        return False

    cdef Py_ssize_t read_head(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1:
        """Read one head at ``data[at:]``; where to go on."""
        cdef const char *p = PyBytes_AS_STRING(data) + at
        cdef Py_ssize_t mark = 0
        cdef Py_ssize_t size = find_head_end(p, n - at, &mark, True)
        cdef ResponseHead head
        cdef Answer answer
        if size < 0:
            if n >= 5 and at == 0 and data[:5] != b"HTTP/":
                raise ProtocolError(f"the answer of {self.origin.label} is not HTTP/1.1")
            self.buffer = bytearray(data[at:])
            self.line_start = mark
            self.head_has_ended()
            return n
        parse_response_head(p, size, MAX_HEADERS, &head)
        if head.fault != NULL:
            raise ProtocolError(f"{self.origin.label}: {head.fault.decode()}")
        if head.status < 200:
            self.interim_answers += 1
            if head.status == 101 or self.interim_answers > MAX_INTERIM_ANSWERS:
                raise ProtocolError(
                    f"{self.origin.label} sent an interim answer nobody asked for")
            return at + size
        if self.streaming:
            answer = ResponseStream.__new__(ResponseStream)
        else:
            answer = Response.__new__(Response)
        answer.raw = p[:size]
        answer.status = head.status
        answer.reason_start = head.reason_start
        answer.reason_end = head.reason_end
        answer.fields_start = head.fields_start
        answer.sent_at = self.sent_at
        answer.first_byte_at = self.first_byte_at
        if head.encoding_end > head.encoding_start:
            answer.encoding = p[head.encoding_start:head.encoding_end]
        if head.close or (head.minor == 0 and not head.keep_alive) or (
                head.chunked and head.content_length >= 0):
            self.keep_alive = False
        self.answer = answer
        self.body_at = 0
        if self.bodiless or head.status == 204 or head.status == 304:
            self.body_size = 0
            self.phase = BODY_LENGTH
        elif head.chunked:
            self.chunks = ChunkDecoder(True)
            self.body_part = bytearray()
            self.phase = BODY_CHUNKED
        elif head.content_length >= 0:
            self.body_size = head.content_length
            self.within_limit(self.body_size)
            self.phase = BODY_LENGTH
        else:
            self.keep_alive = False
            self.body_part = bytearray()
            self.phase = BODY_CLOSE
        if self.streaming:
            self.open_stream()
        return at + size

    cdef int open_stream(self) except -1:
        """The head of a streamed answer is complete: give it to the caller."""
        cdef ResponseStream stream = <ResponseStream>self.answer
        cdef Inbox inbox = Inbox.__new__(Inbox)
        inbox.connection = self
        inbox.pieces = []
        stream.inbox = inbox
        stream.loop = self.pool.loop
        stream.label = self.origin.label
        if stream.encoding is not None and not self.bodiless:
            try:
                stream.decoder = make_decoder(stream.encoding, self.pool.max_body_bytes)
            except Undecodable as error:
                raise ProtocolError(f"{self.origin.label}: {error}") from None
        self.inbox = inbox
        self.answer = None
        self.succeed(stream)
        return 0

    cdef int succeed(self, Answer result) except -1:
        """The exchange's result is known; the caller gets it at the end of the callback."""
        cdef Signal future = self.future
        self.future = None
        if future is not None and not future.set:
            self.ready = future
            self.result = result
        return 0

    cdef bint within_limit(self, long long size) except -1:
        if size > self.pool.max_body_bytes:
            raise BodyTooLarge(
                f"the answer of {self.origin.label} is larger than "
                f"{self.pool.max_body_bytes} bytes")
        return True

    cdef int collect(self, bytes data) except -1:
        """Payload of a body whose length is not known."""
        if self.inbox is not None:
            self.inbox.put(data)
        else:
            self.body_part += data
        return 0

    cdef Py_ssize_t read_body(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1:
        cdef Py_ssize_t take = n - at
        cdef bytes body
        if take > self.body_size - self.body_at:
            take = <Py_ssize_t>(self.body_size - self.body_at)
        if self.inbox is not None:
            self.body_at += take
            if take:
                self.inbox.put(data[at:at + take] if take < n else data)
            if self.body_at == self.body_size:
                self.complete(None)
            return at + take
        if take == self.body_size:
            # The common case: the whole body came with the head.
            self.complete(data[at:at + take])
            return at + take
        if self.body is None:
            if self.body_size <= COMMIT_BYTES:
                self.body = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>self.body_size)
            elif self.body_part is None:
                self.body_part = bytearray()
        if self.body is None:
            self.body_part += data[at:at + take]
            if PyByteArray_GET_SIZE(self.body_part) >= COMMIT_BYTES:
                self.body = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>self.body_size)
                memcpy(PyBytes_AS_STRING(self.body), PyByteArray_AS_STRING(self.body_part),
                       PyByteArray_GET_SIZE(self.body_part))
                self.body_part = None
        else:
            memcpy(PyBytes_AS_STRING(self.body) + self.body_at, PyBytes_AS_STRING(data) + at, take)
        self.body_at += take
        if self.body_at == self.body_size:
            body = self.body
            self.complete(body)
        return at + take

    cdef Py_ssize_t read_chunks(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1:
        cdef ChunkDecoder chunks = self.chunks
        cdef bytes piece
        if at == n:
            return n
        at += chunks.consume(<const unsigned char *>PyBytes_AS_STRING(data) + at, n - at,
                             self.body_part)
        self.within_limit(chunks.total)
        if self.inbox is not None and PyByteArray_GET_SIZE(self.body_part):
            piece = bytes(self.body_part)
            self.body_part.clear()
            self.inbox.put(piece)
        if chunks.error is not None:
            raise ProtocolError(f"{self.origin.label}: {chunks.error}")
        if chunks.done:
            self.complete(None if self.inbox is not None else bytes(self.body_part))
        return at

    cdef int complete(self, bytes body) except -1:
        """The answer has been read to its end."""
        cdef Response response
        cdef Inbox inbox = self.inbox
        cdef double now = monotonic()
        if inbox is None:
            response = <Response>self.answer
            response.body = body
            response.done_at = now
            self.succeed(response)
        self.forget_exchange()
        self.served = True
        if self.keep_alive and not (
                self.large_request and self.transport.get_write_buffer_size()):
            self.phase = IDLE
            self.deadline = now + self.pool.idle_timeout_s
            if self.deadline < self.pool.timer_at:
                self.pool.watch(self.deadline, now)
            if inbox is not None and inbox.paused:
                self.transport.resume_reading()
            self.origin.release(self)
        else:
            self.close()
        if inbox is not None:
            inbox.settle(None)
        return 0

    cdef int forget_exchange(self) except -1:
        self.future = None
        self.answer = None
        self.inbox = None
        self.buffer = None
        self.body = None
        self.body_part = None
        self.chunks = None
        return 0

    cdef int fail(self, error) except -1:
        """The exchange under way has failed."""
        cdef Inbox inbox = self.inbox
        cdef Signal future = self.future
        self.close()
        if inbox is not None:
            inbox.settle(error)
            inbox.wake(False)
        if future is not None and not future.set:
            future.fire(None, error, False)
        return 0

    cdef int ended(self, error) except -1:
        """The peer has closed the connection."""
        cdef bytes partial = b""
        if self.phase == CLOSED:
            return 0
        if self.phase == IDLE:
            return self.close()
        if self.phase == BODY_CLOSE and error is None:
            self.complete(None if self.inbox is not None else bytes(self.body_part))
            return 0
        if self.phase == WAIT:
            message = "before it answered"
        elif self.phase == HEAD:
            message = "within the head of its answer"
        else:
            message = "within the body of its answer"
            if self.inbox is None:
                if self.body_part is not None:
                    partial = bytes(self.body_part)
                elif self.body is not None:
                    partial = self.body[:self.body_at]
        self.fail(ConnectionLost(f"{self.origin.label} closed the connection {message}", partial,
                                 self.phase == WAIT))
        return 0

    cdef int close(self) except -1:
        """Drop the connection; what it was doing is the caller's to settle."""
        if self.phase == CLOSED:
            return 0
        self.phase = CLOSED
        self.forget_exchange()
        self.pool.connections.discard(self)
        self.origin.forget(self)
        if self.transport is not None:
            self.transport.abort()
        return 0

    cdef int hurry(self, double seconds) except -1:
        """Bring the deadline of the exchange forward."""
        cdef double now = monotonic()
        if now + seconds < self.deadline:
            self.deadline = now + seconds
            if self.deadline < self.pool.timer_at:
                self.pool.watch(self.deadline, now)
        return 0

    cdef int check(self, double now) except -1:
        """Enforce the deadline; called by the pool's timer."""
        if now < self.deadline:
            return 0
        if self.phase == IDLE:
            self.close()
        elif self.phase != CLOSED:
            self.fail(ClientTimeout(
                f"no complete answer from {self.origin.label} within {self.timeout_s:g} s"))
        return 0


cdef bytes render_head(Target target, bytes method, bytes headers, bytes body):
    """The request's head, with its body behind it unless that is large."""
    cdef Py_ssize_t n = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t joined = n if n <= JOIN_BYTES else 0
    cdef Py_ssize_t size
    cdef bytes length = b"\r\n"
    cdef bytes out
    cdef char *p
    if n or (method != b"GET" and method != b"HEAD"):
        length = b"content-length: %d\r\n\r\n" % n
    size = (PyBytes_GET_SIZE(method) + PyBytes_GET_SIZE(target.static_head)
            + PyBytes_GET_SIZE(headers) + PyBytes_GET_SIZE(length) + joined)
    out = PyBytes_FromStringAndSize(NULL, size)
    p = PyBytes_AS_STRING(out)
    memcpy(p, PyBytes_AS_STRING(method), PyBytes_GET_SIZE(method))
    p += PyBytes_GET_SIZE(method)
    memcpy(p, PyBytes_AS_STRING(target.static_head), PyBytes_GET_SIZE(target.static_head))
    p += PyBytes_GET_SIZE(target.static_head)
    memcpy(p, PyBytes_AS_STRING(headers), PyBytes_GET_SIZE(headers))
    p += PyBytes_GET_SIZE(headers)
    memcpy(p, PyBytes_AS_STRING(length), PyBytes_GET_SIZE(length))
    p += PyBytes_GET_SIZE(length)
    memcpy(p, PyBytes_AS_STRING(body), joined)
    return out


cdef class Pool:
    """Keep-alive connections to upstream servers, for one event loop. HTTP/1.1 only."""

    cdef bytes user_agent
    cdef int max_connections
    cdef double idle_timeout_s
    cdef double connect_timeout_s
    cdef long long max_body_bytes
    cdef object ssl_context
    cdef bint trust_env
    cdef dict origins
    cdef set connections
    cdef object loop
    cdef Outbox outbox
    cdef object timer
    cdef double timer_at
    cdef bint closed
    cdef object __weakref__

    def __init__(self, *, bytes user_agent not None, int max_connections=4096,
                 double idle_timeout_s=60.0, double connect_timeout_s=30.0,
                 long long max_body_bytes=268435456, ssl_context=None, bint trust_env=True):
        if not (max_connections > 0 and idle_timeout_s > 0 and connect_timeout_s > 0
                and max_body_bytes > 0):
            raise ValueError("the limits of a pool must be positive")
        self.user_agent = checked_value("user-agent", user_agent.decode())
        self.max_connections = max_connections
        self.idle_timeout_s = idle_timeout_s
        self.connect_timeout_s = connect_timeout_s
        self.max_body_bytes = max_body_bytes
        self.ssl_context = ssl_context
        self.trust_env = trust_env
        self.origins = {}
        self.connections = set()
        self.timer_at = INFINITY

    def origin(self, str url not None):
        """``target(url, [])``."""
        return self.make_target(url, [], frozenset())

    def target(self, str url not None, headers):
        """Parse a URL and render its static header fields."""
        return self.make_target(url, list(headers), frozenset())

    cdef Target make_target(self, str url, list headers, frozenset removed):
        cdef Target target = Target.__new__(Target)
        cdef Origin server
        # The URL is not repeated in errors: its query may carry a key.
        if any(c <= " " or c == "\x7f" for c in url):
            raise ValueError("a URL has a blank or control character")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"a URL is malformed: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("a URL must begin with http:// or https:// and a host")
        if not host.isascii():
            try:
                host = host.encode("idna").decode()
            except UnicodeError:
                raise ValueError("a URL's host is not a valid name") from None
        if port is None:
            port = 443 if parts.scheme == "https" else 80
        key = (parts.scheme, host, port)
        if key not in self.origins:
            if len(self.origins) >= MAX_ORIGINS:
                self.forget_origins()
            proxy = proxy_from_environment(*key) if self.trust_env else None
            self.origins[key] = Origin(self, parts.scheme, host, port, proxy)
        server = self.origins[key]
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        if parts.query:
            path += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]")
        target.pool = self
        target.server = server
        target.url = url
        target.scheme = parts.scheme
        target.host = host
        target.port = port
        target.path = path.encode()
        names = set()
        lines = []
        for name, value in headers:
            names.add(checked_name(name).lower())
            lines.append(name.encode() + b": " + checked_value(name, value) + b"\r\n")
        if "host" not in names:
            lines.insert(0, b"host: " + server.label.partition("://")[2].encode() + b"\r\n")
        if "user-agent" not in names and "user-agent" not in removed and self.user_agent:
            lines.append(b"user-agent: " + self.user_agent + b"\r\n")
        if parts.username is not None and not {"authorization"} & (names | removed):
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            lines.append(
                b"authorization: Basic " + base64.b64encode(pair.encode()) + b"\r\n")
        line = b" " + target.path + b" HTTP/1.1\r\n"
        if server.proxy is not None and parts.scheme == "http":
            line = b" " + server.label.encode() + target.path + b" HTTP/1.1\r\n"
            if server.proxy.authorization:
                lines.append(b"proxy-authorization: " + server.proxy.authorization + b"\r\n")
        target.headers = tuple(headers)
        target.removed = removed
        target.static_head = line + b"".join(lines)
        return target

    cdef int forget_origins(self) except -1:
        """Drop those without connections: hosts of files come from requests, and could be any."""
        for key, server in list(self.origins.items()):
            if (<Origin>server).count == 0 and not (<Origin>server).waiters:
                del self.origins[key]
        return 0

    async def request(self, Target target not None, bytes body not None, *,
                      bytes method not None=b"POST", bytes headers not None=b"", timeout_s=None):
        """Send a request, return its whole answer; redirects are followed."""
        cdef Response response
        cdef double seconds = INFINITY if timeout_s is None else timeout_s
        cdef double deadline = INFINITY if timeout_s is None else <double>monotonic() + seconds
        cdef int redirects = 0
        while True:
            response = await self.exchange(target, method, headers, body, deadline, seconds,
                                           False)
            if response.encoding is not None and response.body:
                self.decode(target, response)
            if 300 <= response.status < 400:
                onward = self.redirect(target, method, headers, body, response)
                if onward is not None:
                    redirects += 1
                    if redirects > MAX_REDIRECTS:
                        raise ProtocolError(
                            f"{target.server.label} redirected more than {MAX_REDIRECTS} times")
                    target, method, headers, body = onward
                    continue
            return response

    def begin(self, Target target not None, bytes body not None, double timeout_s, receiver):
        """POST on a connection that is idle; ``False`` when there is none.

        ``receiver`` is called once, with the answer and ``None`` or with ``None`` and the error.
        """
        cdef Connection connection
        cdef Signal signal
        if self.closed:
            return False
        connection = target.server.take()
        if connection is None:
            return False
        signal = connection.start(target, b"POST", b"", body, <double>monotonic() + timeout_s,
                                  timeout_s, False)
        signal.receiver = receiver
        return True

    def decoded(self, Target target not None, Response response not None):
        """``response`` without its content coding."""
        if response.encoding is not None and response.body:
            self.decode(target, response)
        return response

    async def stream(self, Target target not None, bytes body not None, *,
                     bytes method not None=b"POST", bytes headers not None=b"", timeout_s=None):
        """Send a request, return as soon as the answer's head has arrived."""
        cdef ResponseStream response
        cdef double seconds = INFINITY if timeout_s is None else timeout_s
        cdef double deadline = INFINITY if timeout_s is None else <double>monotonic() + seconds
        cdef int redirects = 0
        while True:
            response = await self.exchange(target, method, headers, body, deadline, seconds,
                                           True)
            if 300 <= response.status < 400:
                onward = self.redirect(target, method, headers, body, response)
                if onward is not None:
                    response.inbox.abandon()
                    redirects += 1
                    if redirects > MAX_REDIRECTS:
                        raise ProtocolError(
                            f"{target.server.label} redirected more than {MAX_REDIRECTS} times")
                    target, method, headers, body = onward
                    continue
            return response

    async def exchange(self, Target target, bytes method, bytes headers, bytes body,
                       double deadline, double seconds, bint streaming):
        """One request and its answer, redirects not followed.

        A connection that has served before may have been closed by the server just as this
        request was written: if it ends without a byte, the request is sent once more, on a new
        connection.
        """
        cdef Origin server = target.server
        cdef Connection connection
        cdef Signal future
        cdef bint fresh = False
        cdef bint reused
        running = asyncio.get_running_loop()
        if running is not self.loop:
            self.bind(running)
        while True:
            if self.closed:
                raise ClientError("the connection pool is closed")
            connection = None if fresh else server.take()
            if connection is None:
                connection = await server.acquire(deadline, fresh)
            reused = connection.served
            future = connection.start(target, method, headers, body, deadline, seconds, streaming)
            try:
                return await future
            except ConnectionLost:
                if fresh or not reused or connection.first_byte_at > 0.0:
                    raise
                fresh = True
            except BaseException:
                if connection.future is future:
                    connection.close()
                raise

    async def send(self, Target target not None, bytes method not None, bytes headers not None,
                   bytes body not None, *, connect_s=None, read_s=None):
        """One request as it is, and a limit for each phase, as clients on top of a pool want it."""
        cdef Origin server = target.server
        cdef Connection connection
        cdef ResponseStream response
        cdef Signal future
        cdef bint fresh = False
        cdef bint reused
        cdef double read_limit = INFINITY if read_s is None else read_s
        cdef double deadline = (
            INFINITY if connect_s is None else <double>monotonic() + <double>connect_s)
        running = asyncio.get_running_loop()
        if running is not self.loop:
            self.bind(running)
        while True:
            if self.closed:
                raise ClientError("the connection pool is closed")
            connection = None if fresh else server.take()
            if connection is None:
                connection = await server.acquire(deadline, fresh)
            reused = connection.served
            future = connection.start(target, method, headers, body,
                                      <double>monotonic() + read_limit, read_limit, True)
            try:
                response = await future
            except ConnectionLost:
                if fresh or not reused or connection.first_byte_at > 0.0:
                    raise
                fresh = True
                continue
            except BaseException:
                if connection.future is future:
                    connection.close()
                raise
            if connection.inbox is response.inbox:
                # The limit was the head's; the caller sets one for each piece of the body.
                connection.deadline = INFINITY
            return response

    cdef int bind(self, loop) except -1:
        """Serve ``loop``; connections of a former one (tests, forked workers) are dropped."""
        if self.loop is not None:
            for server in self.origins.values():
                (<Origin>server).idle.clear()
                (<Origin>server).count = 0
                (<Origin>server).waiters.clear()
            self.connections.clear()
            self.timer = None
            self.timer_at = INFINITY
        self.loop = loop
        self.outbox = outbox_of(loop)
        return 0

    cdef int decode(self, Target target, Response response) except -1:
        try:
            decoder = make_decoder(response.encoding, self.max_body_bytes)
            if decoder is not None:
                response.body = decoder.feed(response.body) + decoder.finish()
            response.encoding = None
        except Undecodable as error:
            raise ProtocolError(f"{target.server.label}: {error}") from None
        except DecodedTooLarge:
            raise BodyTooLarge(
                f"the decoded answer of {target.server.label} is larger than "
                f"{self.max_body_bytes} bytes") from None
        return 0

    cdef tuple redirect(self, Target target, bytes method, bytes headers, bytes body,
                        Answer answer):
        """What to send where after a redirect; ``None`` if the answer is none to follow."""
        cdef Target onward
        cdef bint same_origin
        location = answer.header(b"location")
        if answer.status not in (301, 302, 303, 307, 308) or not location:
            return None
        dropped = set()
        if (answer.status == 303 and method != b"HEAD") or (
                answer.status in (301, 302) and method == b"POST"):
            method = b"GET"
            body = b""
            dropped.update(("content-type", "content-encoding"))
        try:
            url = urljoin(target.url, location.decode("utf-8").strip())
            onward = self.make_target(url, [], target.removed)
            same_origin = (onward.port == target.port and onward.host == target.host
                           and onward.scheme == target.scheme)
            if not same_origin:
                dropped.update(SECRET_FIELDS)
                dropped.add("host")
            onward = self.make_target(
                url, [pair for pair in target.headers if pair[0].lower() not in dropped],
                target.removed)
        except ValueError:
            raise ProtocolError(
                f"{target.server.label} redirected to a malformed address") from None
        if dropped:
            headers = b"".join([
                line + b"\r\n" for line in headers.split(b"\r\n")
                if line and line.partition(b":")[0].decode("latin-1").lower() not in dropped])
        return onward, method, headers, body

    cdef object tls(self):
        """The context that verifies servers; built once, because reading the trust store is slow."""
        if self.ssl_context is None:
            context = ssl.create_default_context()
            folder = ssl.get_default_verify_paths().capath
            if not context.cert_store_stats()["x509_ca"] and not (folder and os.listdir(folder)):
                # A system without a trust store, such as a minimal container.
                import certifi

                context.load_verify_locations(certifi.where())
            context.set_alpn_protocols(["http/1.1"])
            self.ssl_context = context
        return self.ssl_context

    cdef int watch(self, double deadline, double now) except -1:
        """Make the timer fire no later than ``deadline``."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer_at = deadline
        self.timer = self.loop.call_later(max(0.0, deadline - now), self.enforce)
        return 0

    def enforce(self):
        """Called by the timer: end what is overdue, set the timer to the next deadline."""
        cdef Connection connection
        cdef double now = monotonic()
        cdef double next_at = INFINITY
        self.timer = None
        self.timer_at = INFINITY
        for entry in list(self.connections):
            connection = <Connection>entry
            connection.check(now)
            if connection.phase != CLOSED and connection.deadline < next_at:
                next_at = connection.deadline
        if next_at < self.timer_at:
            self.watch(next_at, now)

    async def aclose(self):
        """Close all connections; requests under way fail with ``ClientError``."""
        cdef Connection connection
        self.closed = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        for entry in list(self.connections):
            connection = <Connection>entry
            connection.fail(ClientError("the connection pool is closed"))
        for server in self.origins.values():
            while (<Origin>server).waiters:
                waiter = (<Origin>server).waiters.popleft()
                if not waiter.done():
                    waiter.set_exception(ClientError("the connection pool is closed"))
        # Transports close in the next turn of the loop.
        await asyncio.sleep(0)
