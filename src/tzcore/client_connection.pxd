from tzcore.chunked cimport ChunkDecoder
from tzcore.client_response cimport Answer
from tzcore.client_stream cimport Inbox, Source
from tzcore.client_target cimport Target
from tzcore.outbox cimport Outbox
from tzcore.task cimport Signal

cdef enum Phase:
    IDLE
    WAIT            # request written, no byte of the answer yet
    HEAD
    BODY_LENGTH
    BODY_CHUNKED
    BODY_CLOSE      # the body ends with the connection
    CLOSED


cdef class PoolBase:
    """What a pool is to its connections and origins."""

    cdef object loop
    cdef Outbox outbox
    cdef set connections
    cdef int max_connections
    cdef double idle_timeout_s
    cdef double connect_timeout_s
    cdef long long max_body_bytes
    cdef double timer_at
    cdef bint closed

    cdef int watch(self, double deadline, double now) except -1
    cdef object tls(self)


cdef class OriginBase:
    """What an origin is to its connections."""

    cdef PoolBase pool
    cdef readonly str label     # for messages and absolute targets: scheme://host[:port]

    cdef int release(self, Connection connection) except -1
    cdef int forget(self, Connection connection) except -1


cdef class Connection(Source):
    cdef OriginBase origin
    cdef PoolBase pool
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

    cdef int go_on(self, Inbox inbox) except -1
    cdef int receive(self, bytes data) except -1
    cdef Signal start(self, Target target, bytes method, bytes headers, bytes body, double deadline, double timeout_s, bint streaming)
    cdef bint head_has_ended(self) except -1
    cdef Py_ssize_t read_head(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1
    cdef int open_stream(self) except -1
    cdef int succeed(self, Answer result) except -1
    cdef bint within_limit(self, long long size) except -1
    cdef int collect(self, bytes data) except -1
    cdef Py_ssize_t read_body(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1
    cdef Py_ssize_t read_chunks(self, bytes data, Py_ssize_t at, Py_ssize_t n) except -1
    cdef int complete(self, bytes body) except -1
    cdef int forget_exchange(self) except -1
    cdef int fail(self, error) except -1
    cdef int ended(self, error) except -1
    cdef int close(self) except -1
    cdef int hurry(self, double seconds) except -1
    cdef int check(self, double now) except -1
