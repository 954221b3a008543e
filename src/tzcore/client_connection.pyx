# cython: language_level=3
"""One connection to an upstream server and the exchange under way on it. For ``tzcore.client``."""

import socket
import time

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport INFINITY
from libc.string cimport memcpy

from tzcore.chunked cimport ChunkDecoder
from tzcore.client_response cimport Answer, Response
from tzcore.client_stream cimport Inbox, ResponseStream, Source
from tzcore.client_target cimport JOIN_BYTES, Target, render_head
from tzcore.heads cimport ResponseHead, find_head_end, parse_response_head
from tzcore.task cimport Signal
from tzcore.client_coding import Undecodable, make_decoder
from tzcore.client_errors import (
    BodyTooLarge,
    ClientError,
    ClientTimeout,
    ConnectionLost,
    ProtocolError,
)

cdef object monotonic = time.monotonic

cdef enum:
    COMMIT_BYTES = 262144           # what must have arrived before a whole body is allocated
    MAX_HEAD_BYTES = 262144
    MAX_HEADERS = 512
    MAX_INTERIM_ANSWERS = 100


cdef class PoolBase:
    """What a pool is to its connections and origins."""

    cdef int watch(self, double deadline, double now) except -1:
        """Make the timer fire no later than ``deadline``."""
        raise NotImplementedError

    cdef object tls(self):
        """The context that verifies servers."""
        raise NotImplementedError


cdef class OriginBase:
    """What an origin is to its connections."""

    cdef int release(self, Connection connection) except -1:
        """``connection`` can serve the next request."""
        raise NotImplementedError

    cdef int forget(self, Connection connection) except -1:
        """``connection`` is closed: its place is free."""
        raise NotImplementedError


cdef class Connection(Source):
    """One connection to an origin and the exchange under way on it."""

    def __init__(self, OriginBase origin not None):
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
