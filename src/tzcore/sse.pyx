"""Event streams (``text/event-stream``, WHATWG HTML 9.2): splitting into events, and framing.

Cost: one pass over the bytes with ``memchr``, one copy of each payload. What is complete in one
piece is read in place; only a line that is cut by the end of a piece is kept back.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from libc.string cimport memchr, memcmp, memcpy


cdef class SSEParser:
    """Splits an event stream into the ``data`` payloads of its events.

    Several ``data:`` lines of one event are joined with LF; comments, other fields and events
    without data are skipped; LF, CR LF and CR end a line; a byte order mark at the start is
    skipped. The bytes may arrive in any pieces.
    """

    def __cinit__(self, Py_ssize_t max_event_bytes=33554432):
        if max_event_bytes < 1:
            raise ValueError("max_event_bytes must be at least 1")
        self.max_event_bytes = max_event_bytes
        self.tail = bytearray()

    def feed(self, bytes data not None):
        """The payloads of the events that ``data`` completes; ``ValueError`` if one is too long."""
        return self.split(data)

    cdef list split(self, bytes data):
        cdef list events = []
        cdef Py_ssize_t used
        if PyByteArray_GET_SIZE(self.tail) == 0:
            used = self.read(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), events)
            if used < PyBytes_GET_SIZE(data):
                self.tail += data[used:] if used else data
        else:
            self.tail += data
            used = self.read(PyByteArray_AS_STRING(self.tail), PyByteArray_GET_SIZE(self.tail),
                             events)
            if used:
                del self.tail[:used]
        if PyByteArray_GET_SIZE(self.tail) + self.event_bytes > self.max_event_bytes:
            self.refuse()
        return events

    def close(self):
        """The payload of an event that the end of the stream cut off before its blank line."""
        cdef list events = []
        cdef bytes rest
        if PyByteArray_GET_SIZE(self.tail):
            # A lone CR or BOM prefix is no line; anything else is read as if a line end followed.
            rest = bytes(self.tail) + b"\n"
            self.tail = bytearray()
            self.searched = 0
            self.read(PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest), events)
        self.dispatch(events)
        return events

    cdef int refuse(self) except -1:
        raise ValueError(
            f"an event of the stream is larger than {self.max_event_bytes} bytes")

    cdef int dispatch(self, list events) except -1:
        if self.data is not None:
            if self.more is None:
                events.append(self.data)
            else:
                self.more.insert(0, self.data)
                events.append(b"\n".join(self.more))
                self.more = None
            self.data = None
        self.event_bytes = 0
        return 0

    cdef Py_ssize_t read(self, const char *p, Py_ssize_t n, list events) except -1:
        """Read the complete lines of ``p[0:n]``; the number of bytes that need not be seen again."""
        cdef Py_ssize_t at = 0, from_, length
        cdef const char *end
        cdef const char *carriage
        if not self.started and n:
            # The mark may be cut: wait for its third byte while what is there is its beginning.
            if memcmp(p, b"\xef\xbb\xbf", n if n < 3 else 3) == 0:
                if n < 3:
                    return 0
                at = 3
            self.started = True
        from_ = at if at > self.searched else self.searched
        self.searched = 0
        while at < n:
            if self.skip_newline:
                self.skip_newline = False
                if p[at] == c'\n':
                    at += 1
                    from_ = at
                    continue
            end = <const char *>memchr(p + from_, c'\n', n - from_)
            carriage = <const char *>memchr(
                p + from_, c'\r', (end - (p + from_)) if end != NULL else n - from_)
            if carriage != NULL:
                end = carriage
            elif end == NULL:
                self.searched = n - at
                return at
            length = end - (p + at)
            self.line(p + at, length, events)
            at += length + 1
            from_ = at
            if end[0] == c'\r':
                self.skip_newline = True
        return n

    cdef int line(self, const char *p, Py_ssize_t n, list events) except -1:
        cdef bytes value
        if n == 0:
            return self.dispatch(events)
        if n < 4 or memcmp(p, b"data", 4) != 0 or (n > 4 and p[4] != c':'):
            return 0
        if n <= 5:
            value = b""
        elif p[5] == c' ':
            value = PyBytes_FromStringAndSize(p + 6, n - 6)
        else:
            value = PyBytes_FromStringAndSize(p + 5, n - 5)
        self.event_bytes += n
        if self.event_bytes > self.max_event_bytes:
            self.refuse()
        if self.data is None:
            self.data = value
        elif self.more is None:
            self.more = [value]
        else:
            self.more.append(value)
        return 0


def frame(bytes data not None):
    """``data`` as one event; a payload of several lines becomes several ``data:`` lines."""
    cdef Py_ssize_t n = PyBytes_GET_SIZE(data)
    cdef const char *p = PyBytes_AS_STRING(data)
    cdef bytes framed
    cdef char *out
    if memchr(p, c'\n', n) != NULL or memchr(p, c'\r', n) != NULL:
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        return b"".join([b"data: " + line + b"\n" for line in lines]) + b"\n"
    framed = PyBytes_FromStringAndSize(NULL, n + 8)
    out = PyBytes_AS_STRING(framed)
    memcpy(out, b"data: ", 6)
    memcpy(out + 6, p, n)
    memcpy(out + 6 + n, b"\n\n", 2)
    return framed
