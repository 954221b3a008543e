"""HTTP/1.1 server protocol for uvicorn: hot routes answered here, the rest handed over.

``make_protocol`` gives a factory for ``uvicorn.Config(http=...)``. A connection reads requests in
the strict common form (``tzcore.heads``) and calls the handler of a hot route with an
``Exchange``, one at a time and in order. The first request that is anything else moves the
connection, unread bytes included, to uvicorn's own protocol (``tzcore.http1_plain``) for good.
Framing that two parsers could read differently is refused with 400 and never handed over.

Cost: one object and no timer per request. One sweep a second per event loop enforces all time
limits, so they are kept to about a second.
"""

import asyncio
import logging
import socket
import time

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from libc.string cimport memcpy

from tzcore.chunked cimport ChunkDecoder
from tzcore.http1_answer cimport put_number, render_answer
from tzcore.http1_limits cimport Limits
from tzcore.http1_service cimport Route, Service
from tzcore.http1_sweeper cimport Swept, Sweeper
from tzcore.outbox cimport Outbox, outbox_of
from tzcore.heads cimport (
    RequestHead, find_field, find_head_end, list_fields, parse_request_head,
)

from tzcore import http1_limits

# Part of the server's face; what is cimported is not a module's own.
globals().update(Limits=http1_limits.Limits)

cdef object monotonic = time.monotonic
cdef object logger = logging.getLogger("tzcore.http1")

cdef enum:
    JOIN_BYTES = 65536          # larger bodies are written beside their head, not copied behind it
    COMMIT_BYTES = 262144       # what a client must send before its whole body is allocated

cdef enum Phase:
    IDLE            # between requests
    HEAD            # a head has begun
    BODY_LENGTH     # a body of known length is being read
    BODY_CHUNKED
    HANDLING        # the handler has the request, the answer is not complete
    LINGER          # answered early: discarding what the client still sends
    CLOSED          # closing, closed or handed over

cdef enum Answer:
    PENDING
    STREAMING
    COMPLETE

cdef bytes CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
cdef bytes INTERNAL_ERROR = b'{"error":"Internal error"}'


@cython.freelist(128)
cdef class Exchange:
    """One request and its answer. Belongs to its event loop's thread."""

    cdef ServerProtocol connection   # None once the answer is complete or the client has left
    cdef int answer
    cdef bytes raw                   # the head is raw[head_start:head_end]
    cdef Py_ssize_t fields_start
    cdef Py_ssize_t head_end
    cdef readonly bytes method
    cdef readonly bytes path
    cdef readonly bytes query
    cdef readonly bytes body
    cdef readonly bytes content_encoding
    cdef readonly bint body_too_large
    cdef readonly bint closed
    cdef readonly double received_at
    cdef readonly object peer
    cdef public object on_close

    @property
    def headers(self):
        """All header fields in order, names in lower case."""
        return list_fields(PyBytes_AS_STRING(self.raw), self.fields_start, self.head_end)

    def header(self, bytes name not None):
        """The value of the first field ``name`` (given in lower case)."""
        return find_field(PyBytes_AS_STRING(self.raw), self.fields_start, self.head_end, name)

    cdef bytes render(self, int status, bytes content_type, bytes headers, Py_ssize_t length,
                      bytes body):
        """Status line and fields, with ``body`` behind them; ``length`` < 0 means chunked."""
        cdef ServerProtocol connection = self.connection
        return render_answer(
            status, connection.service.shared_headers(connection.server_state.default_headers),
            content_type, headers, length, connection.keep_alive, body)

    cdef bint open_for(self, int answer) except -1:
        """Whether bytes can be sent; raises when the answer is not in the state ``answer``."""
        if self.closed:
            return False
        if self.answer != answer:
            raise RuntimeError(
                "the request has been answered already" if answer == PENDING
                else "no stream is open on this request")
        return self.connection.writable()

    def respond(self, int status, bytes body not None,
                bytes content_type not None=b"application/json", bytes headers not None=b""):
        """Answer with a whole body. ``headers`` is a block of lines, each ending in CR LF."""
        cdef ServerProtocol connection
        cdef Py_ssize_t n = PyBytes_GET_SIZE(body)
        if not self.open_for(PENDING):
            return
        connection = self.connection
        if status == 204 or status == 304:
            n = 0
            body = b""
        if n <= JOIN_BYTES:
            data = self.render(status, content_type, headers, n, body)
            self.answer = COMPLETE
            connection.outbox.put(connection.transport, data)
        else:
            data = self.render(status, content_type, headers, n, b"")
            self.answer = COMPLETE
            connection.outbox.send()
            connection.transport.writelines((data, body))
        connection.finish(self)

    def start_stream(self, int status=200, bytes content_type not None=b"text/event-stream",
                     bytes headers not None=b""):
        """Begin an answer of unknown length (chunked); ``send`` and ``end`` follow."""
        if not self.open_for(PENDING):
            return
        data = self.render(status, content_type, headers, -1, b"")
        self.answer = STREAMING
        self.connection.outbox.put(self.connection.transport, data)

    def send(self, bytes data not None):
        """Send one piece; ``False`` once the client has left or was cut off."""
        cdef Py_ssize_t n = PyBytes_GET_SIZE(data), at
        cdef ServerProtocol connection
        cdef bytes framed
        cdef char size[24]
        cdef char *p
        if not self.open_for(STREAMING):
            return False
        if n == 0:
            return True  # an empty chunk would end the body
        connection = self.connection
        if connection.write_paused and (
                <Py_ssize_t>connection.transport.get_write_buffer_size() + n
                > connection.service.limits.max_buffered_bytes):
            logger.warning("a client reads its stream too slowly and was cut off, peer %s",
                           self.peer)
            connection.cut()
            return False
        at = put_number(size, 0, n, 16)
        size[at] = c'\r'
        size[at + 1] = c'\n'
        at += 2
        if n <= JOIN_BYTES:
            framed = PyBytes_FromStringAndSize(NULL, n + at + 2)
            p = PyBytes_AS_STRING(framed)
            memcpy(p, size, at)
            memcpy(p + at, PyBytes_AS_STRING(data), n)
            p[at + n] = c'\r'
            p[at + n + 1] = c'\n'
            connection.outbox.put(connection.transport, framed)
        else:
            connection.outbox.send()
            connection.transport.writelines((size[:at], data, b"\r\n"))
        return not self.closed

    def end(self):
        """Complete a streamed answer."""
        if not self.open_for(STREAMING):
            return
        self.answer = COMPLETE
        self.connection.outbox.put(self.connection.transport, b"0\r\n\r\n")
        self.connection.finish(self)

    cdef int leave(self) except -1:
        """The client is gone before the answer was complete."""
        self.connection = None
        if self.closed or self.answer == COMPLETE:
            return 0
        self.closed = True
        callback, self.on_close = self.on_close, None
        if callback is not None:
            try:
                callback()
            except Exception:
                logger.exception("an on_close callback failed")
        return 0


cdef class ServerProtocol(Swept):
    """One connection; made by the factory that ``make_protocol`` returns."""

    cdef Service service
    cdef object config
    cdef object server_state
    cdef object app_state
    cdef object loop
    cdef object transport
    cdef object peer
    cdef Sweeper sweeper
    cdef Outbox outbox
    cdef int phase
    cdef bint keep_alive
    cdef bint advancing          # advance() is on the stack: answers must not call it again
    cdef bint stopping
    cdef bint unread_body        # the client is still sending a body that nobody will read
    cdef bint write_paused
    cdef bint read_paused
    cdef double deadline         # 0: none (IDLE: not stamped yet)
    cdef double stalled_since
    cdef Py_ssize_t stalled_at
    cdef bytearray buffer        # a head that has begun, or what came while a request was handled
    cdef Py_ssize_t line_start   # find_head_end's mark in the buffer
    cdef bytes backlog           # read but not parsed yet: backlog[backlog_at:], then the buffer
    cdef Py_ssize_t backlog_at
    cdef Exchange exchange       # the request being read or handled
    cdef Route route             # its route
    cdef bytes body              # allocated for the whole body, filled up to body_at
    cdef Py_ssize_t body_at
    cdef Py_ssize_t body_size
    cdef bytearray body_part     # a large body before it is allocated, or a chunked one
    cdef ChunkDecoder chunks
    cdef object __weakref__

    def __init__(self, Service service not None, config, server_state, app_state, loop):
        if not config.loaded:
            config.load()
        self.service = service
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.loop = loop if loop is not None else asyncio.get_running_loop()
        self.outbox = outbox_of(self.loop)
        self.phase = IDLE
        self.keep_alive = True
        self.buffer = bytearray()

    # --- called by the event loop

    def connection_made(self, transport):
        self.transport = transport
        self.peer = transport.get_extra_info("peername") or None
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                logger.debug("TCP_NODELAY could not be set: %s", error)
        self.server_state.connections.add(self)
        self.sweeper = self.service.sweeper_of(self.loop)
        self.sweeper.add(self)

    def connection_lost(self, error):
        self.vanish()
        self.sweeper.remove(self)
        self.server_state.connections.discard(self)
        self.transport = None

    def eof_received(self):
        # A client that has closed its side is gone: nobody tells a half-closed connection from
        # one whose program has ended, so both count as the latter (as in uvicorn and hyper).
        self.vanish()
        return None

    def pause_writing(self):
        self.write_paused = True
        self.stalled_since = 0.0

    def resume_writing(self):
        self.write_paused = False
        if self.phase == IDLE and not self.advancing:
            # Not from inside the transport's own flush.
            self.loop.call_soon(self.wake)

    def data_received(self, bytes data not None):
        if self.phase == IDLE and self.backlog is None:
            self.advance(data, 0)
        elif self.phase == HEAD:
            self.continue_head(data)
        elif self.phase == BODY_LENGTH or self.phase == BODY_CHUNKED:
            self.advance(data, 0)
        elif self.phase == HANDLING or self.phase == IDLE:
            if not self.unread_body:
                self.buffer += data
                self.bound_backlog()

    def shutdown(self):
        """Close when idle, else after the current answer."""
        self.stopping = True
        self.keep_alive = False
        if self.phase == IDLE or self.phase == HEAD or self.phase == LINGER:
            self.close()

    def wake(self):
        """Go on with what was read while a request was handled or writing was paused."""
        self.resume_backlog()

    # --- reading

    cdef int bound_backlog(self) except -1:
        cdef Py_ssize_t waiting = PyByteArray_GET_SIZE(self.buffer)
        if self.backlog is not None:
            waiting += PyBytes_GET_SIZE(self.backlog) - self.backlog_at
        if waiting > self.service.limits.max_pipelined_bytes and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()
        return 0

    cdef int resume_backlog(self) except -1:
        cdef bytes data
        cdef Py_ssize_t at = 0
        if self.phase != IDLE or self.advancing or self.write_paused:
            return 0
        if self.backlog is not None:
            data = self.backlog
            at = self.backlog_at
            self.backlog = None
            if PyByteArray_GET_SIZE(self.buffer):
                data = data[at:] + self.buffer
                at = 0
                self.buffer = bytearray()
        elif PyByteArray_GET_SIZE(self.buffer):
            data = bytes(self.buffer)
            self.buffer = bytearray()
        else:
            data = None
        if data is not None:
            self.advance(data, at)
        if self.read_paused and self.phase < HANDLING and self.backlog is None:
            self.read_paused = False
            self.transport.resume_reading()
        return 0

    cdef int continue_head(self, bytes data) except -1:
        """More of a head that came in pieces; kept in a bytearray so that no byte is copied twice."""
        cdef Py_ssize_t end
        cdef bytes whole
        self.buffer += data
        end = find_head_end(PyByteArray_AS_STRING(self.buffer), PyByteArray_GET_SIZE(self.buffer),
                            &self.line_start, False)
        if end == -1 and PyByteArray_GET_SIZE(self.buffer) <= self.service.limits.max_head_bytes:
            return 0
        whole = bytes(self.buffer)
        self.buffer = bytearray()
        self.phase = IDLE
        self.advance(whole, 0)
        return 0

    cdef int advance(self, bytes data, Py_ssize_t at) except -1:
        """Read requests from ``data[at:]`` until it is used up or an answer has to be awaited."""
        cdef Py_ssize_t n = PyBytes_GET_SIZE(data)
        self.advancing = True
        try:
            while True:
                if self.phase == BODY_LENGTH:
                    at = self.read_body(data, at, n)
                elif self.phase == BODY_CHUNKED:
                    at = self.read_chunks(data, at, n)
                elif self.phase == IDLE and at < n:
                    if self.write_paused:
                        # The client does not read its answers: no further requests until it does.
                        self.keep_unread(data, at, n)
                        return 0
                    at = self.read_head(data, at, n)
                else:
                    if self.phase == HANDLING and at < n and not self.unread_body:
                        self.keep_unread(data, at, n)
                    return 0
                if at >= n and self.phase != IDLE:
                    return 0
        finally:
            self.advancing = False

    cdef int keep_unread(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1:
        self.backlog = data
        self.backlog_at = at
        self.bound_backlog()
        return 0

    cdef Py_ssize_t read_head(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1:
        """Read one head at ``data[at:]``; where to go on (``n`` if nothing is left to do)."""
        cdef const char *p = PyBytes_AS_STRING(data) + at
        cdef Py_ssize_t mark = 0
        cdef Py_ssize_t size = find_head_end(p, n - at, &mark, False)
        cdef Limits limits = self.service.limits
        cdef RequestHead head
        cdef Route route
        if size == 2:
            return at + 2  # an empty line before a request line is skipped (RFC 9112, 2.2)
        if size == -2:
            self.refuse(400, b"a line of the request head ends in LF without CR")
            return n
        if size > limits.max_head_bytes or (size == -1 and n - at > limits.max_head_bytes):
            self.refuse(431, b"the request head is too large")
            return n
        if size == -1:
            self.buffer = bytearray(data[at:])
            self.line_start = mark
            self.phase = HEAD
            self.deadline = <double>monotonic() + limits.head_timeout_s
            return n
        parse_request_head(p, size, limits.max_headers, &head)
        if head.status:
            self.refuse(head.status, head.fault)
            return n
        route = <Route>self.service.routes.get(p[:head.path_end])
        if route is None or head.odd or head.upgrade or self.crowded():
            self.hand_over(data[at:])
            return n
        self.begin(route, data, at, size, &head)
        at += size
        if head.chunked:
            self.chunks = ChunkDecoder(False, limits.max_head_bytes)
            self.body_part = bytearray()
            self.phase = BODY_CHUNKED
        elif head.content_length > limits.max_body_bytes:
            self.reject_body()
            return n
        elif n - at >= head.content_length:
            if head.content_length > 0:
                size = <Py_ssize_t>head.content_length
                self.deliver(data[at:at + size] if at or size < n else data)
                return at + size
            self.deliver(b"")
            return at
        else:
            self.body_size = <Py_ssize_t>head.content_length
            self.body_at = 0
            if self.body_size <= COMMIT_BYTES:
                self.body = PyBytes_FromStringAndSize(NULL, self.body_size)
            else:
                self.body_part = bytearray()
            self.phase = BODY_LENGTH
        self.deadline = <double>monotonic() + limits.body_timeout_s
        if head.expect_continue and at == n:
            self.outbox.put(self.transport, CONTINUE)
        return at

    cdef bint crowded(self) except -1:
        """Whether uvicorn's ``limit_concurrency`` is reached; its own protocol then answers 503."""
        limit = self.config.limit_concurrency
        return limit is not None and (
            len(self.server_state.connections) >= limit or len(self.server_state.tasks) >= limit)

    cdef int begin(self, Route route, bytes data, Py_ssize_t at, Py_ssize_t size,
                   RequestHead *head) except -1:
        """Make the exchange of the head ``data[at:at + size]``."""
        cdef Exchange exchange = Exchange.__new__(Exchange)
        cdef const char *p = PyBytes_AS_STRING(data) + at
        exchange.connection = self
        exchange.method = route.method
        exchange.path = route.path
        exchange.peer = self.peer
        exchange.body = b""
        if head.target_end > head.path_end:
            exchange.query = p[head.path_end + 1:head.target_end]
        else:
            exchange.query = b""
        if head.encoding_end > head.encoding_start:
            exchange.content_encoding = p[head.encoding_start:head.encoding_end]
        if PyBytes_GET_SIZE(data) - size > 8192:
            # Do not keep a large body alive for its head's sake.
            exchange.raw = p[:size]
            exchange.fields_start = head.fields_start
            exchange.head_end = size
        else:
            exchange.raw = data
            exchange.fields_start = at + head.fields_start
            exchange.head_end = at + size
        if head.close:
            self.keep_alive = False
        self.exchange = exchange
        self.route = route
        return 0

    cdef Py_ssize_t read_body(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1:
        cdef Py_ssize_t take = self.body_size - self.body_at
        cdef Py_ssize_t collected
        cdef bytes body
        if take > n - at:
            take = n - at
        if take == 0:
            return n
        if self.body is None:
            self.body_part += data[at:at + take]
            self.body_at += take
            collected = PyByteArray_GET_SIZE(self.body_part)
            if collected >= COMMIT_BYTES:
                self.body = PyBytes_FromStringAndSize(NULL, self.body_size)
                memcpy(PyBytes_AS_STRING(self.body), PyByteArray_AS_STRING(self.body_part),
                       collected)
                self.body_part = None
        else:
            memcpy(PyBytes_AS_STRING(self.body) + self.body_at, PyBytes_AS_STRING(data) + at, take)
            self.body_at += take
        if self.body_at == self.body_size:
            body = self.body
            self.body = None
            self.deliver(body)
        else:
            self.deadline = <double>monotonic() + self.service.limits.body_timeout_s
        return at + take

    cdef Py_ssize_t read_chunks(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1:
        cdef ChunkDecoder chunks = self.chunks
        cdef bytes body
        if at == n:
            return n
        at += chunks.consume(<const unsigned char *>PyBytes_AS_STRING(data) + at, n - at,
                             self.body_part)
        if chunks.error is not None:
            self.drop_request()
            self.refuse(400, chunks.error.encode())
            return n
        if chunks.total > self.service.limits.max_body_bytes:
            self.reject_body()
            return n
        if chunks.done:
            body = bytes(self.body_part)
            self.deliver(body)
        else:
            self.deadline = <double>monotonic() + self.service.limits.body_timeout_s
        return at

    cdef int drop_request(self) except -1:
        """Forget a request that is being read."""
        if self.exchange is not None:
            self.exchange.connection = None
            self.exchange = None
        self.route = None
        self.body = None
        self.body_part = None
        self.chunks = None
        return 0

    cdef int reject_body(self) except -1:
        """The body is too large: the handler answers now, the connection closes after it."""
        self.exchange.body_too_large = True
        self.unread_body = True
        self.keep_alive = False
        self.deliver(b"")
        return 0

    cdef int deliver(self, bytes body) except -1:
        """The request is complete: call its handler."""
        cdef Exchange exchange = self.exchange
        cdef Route route = self.route
        self.body_part = None
        self.chunks = None
        self.route = None
        self.phase = HANDLING
        self.deadline = 0.0
        exchange.body = body
        exchange.received_at = monotonic()
        try:
            route.handler(exchange)
        except Exception:
            logger.exception("the handler of %s %s failed", route.method.decode(),
                             route.path.decode())
            if not exchange.closed and exchange.answer != COMPLETE:
                self.keep_alive = False
                if exchange.answer == PENDING:
                    exchange.respond(500, INTERNAL_ERROR)
                else:
                    self.cut()
        return 0

    cdef int hand_over(self, bytes unread) except -1:
        """Give the connection to uvicorn's own protocol, with everything not read yet."""
        from tzcore.http1_plain import PlainProtocol

        transport = self.transport
        self.outbox.send()
        self.phase = CLOSED
        self.sweeper.remove(self)
        self.server_state.connections.discard(self)
        self.transport = None
        successor = PlainProtocol(
            limits=self.service.limits, config=self.config, server_state=self.server_state, app_state=self.app_state,
            _loop=self.loop)
        transport.set_protocol(successor)
        successor.connection_made(transport)
        if self.write_paused:
            successor.pause_writing()
        if self.read_paused:
            transport.resume_reading()
        successor.data_received(unread)
        return 0

    # --- answering and closing

    cdef bint writable(self) except -1:
        return self.transport is not None and not self.transport.is_closing()

    cdef int finish(self, Exchange exchange) except -1:
        """The answer of ``exchange`` has been written."""
        exchange.connection = None
        exchange.on_close = None
        if self.exchange is exchange:
            self.exchange = None
        self.server_state.total_requests += 1
        if not self.keep_alive:
            if self.unread_body:
                self.linger()
            else:
                self.close()
            return 0
        self.phase = IDLE
        self.deadline = 0.0
        if not self.advancing and (
                self.backlog is not None or self.read_paused
                or PyByteArray_GET_SIZE(self.buffer)):
            self.resume_backlog()
        return 0

    cdef int refuse(self, int status, bytes fault) except -1:
        """Answer a request that no handler will see, and close."""
        cdef bytes body = b'{"error":"' + fault + b'"}'
        cdef Exchange exchange
        logger.debug("refused a request with %d: %s, peer %s", status, fault.decode(), self.peer)
        if not self.writable():
            self.vanish()
            return 0
        self.keep_alive = False
        exchange = Exchange.__new__(Exchange)
        exchange.connection = self
        self.outbox.put(
            self.transport, exchange.render(status, b"application/json", b"", len(body), body))
        exchange.connection = None
        self.linger()
        return 0

    cdef int linger(self) except -1:
        """Close so that a client that is still sending can read the answer first.

        Closing at once would make the kernel reset the connection, and the reset may overtake
        the answer.
        """
        self.phase = LINGER
        self.buffer = bytearray()
        self.backlog = None
        self.deadline = <double>monotonic() + self.service.limits.linger_s
        self.outbox.send()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        return 0

    cdef int close(self) except -1:
        self.phase = CLOSED
        self.deadline = 0.0
        self.buffer = bytearray()
        self.backlog = None
        if self.transport is not None:
            self.outbox.send()
            self.transport.close()
        return 0

    cdef int cut(self) except -1:
        """Drop the connection and what has not been sent."""
        transport = self.transport
        self.vanish()
        if transport is not None:
            transport.abort()
        return 0

    cdef int vanish(self) except -1:
        """The client is gone; safe to call twice."""
        cdef Exchange exchange = self.exchange
        self.phase = CLOSED
        self.buffer = bytearray()
        self.backlog = None
        self.drop_request()
        if exchange is not None:
            exchange.leave()
        return 0

    cdef int check(self, double now) except -1:
        """Enforce the time limits; called by the sweeper."""
        cdef Limits limits = self.service.limits
        cdef Py_ssize_t unsent
        if self.write_paused or self.phase == CLOSED:
            unsent = self.transport.get_write_buffer_size() if self.transport is not None else 0
            if self.stalled_since == 0.0 or unsent != self.stalled_at:
                self.stalled_since = now
                self.stalled_at = unsent
            elif now - self.stalled_since > limits.write_timeout_s:
                logger.warning("a client does not read its answer and was cut off, peer %s",
                               self.peer)
                self.cut()
            return 0
        if self.deadline == 0.0:
            if self.phase == IDLE:
                self.deadline = now + limits.idle_timeout_s
            return 0
        if now < self.deadline:
            return 0
        if self.phase == HEAD:
            self.refuse(408, b"the request head did not arrive in time")
        elif self.phase == BODY_LENGTH or self.phase == BODY_CHUNKED:
            self.drop_request()
            self.refuse(408, b"the request body did not arrive in time")
        elif self.phase == LINGER or self.transport.get_write_buffer_size():
            self.cut()
        else:
            self.close()
        return 0


def make_protocol(routes, *, Limits limits=None, bytes common_headers not None=b""):
    """A protocol factory for ``uvicorn.Config(http=...)`` that serves ``routes`` itself."""
    cdef Service service = Service(routes, limits if limits is not None else Limits(),
                                   common_headers)

    def protocol(*, config, server_state, app_state, _loop=None):
        return ServerProtocol(service, config, server_state, app_state, _loop)

    return protocol
