"""Chunked transfer coding (RFC 9112, 7.1): decoding, byte by byte if need be.

One ``ChunkDecoder`` reads one message body. It holds no payload itself: payload bytes are
appended to a ``bytearray`` of the caller (or only counted), so memory is the caller's decision.
The strict form is what a server may accept without two parsers reading it differently: CRLF line
ends only, at most 16 size digits, well-formed extensions of at most 256 bytes, trailer fields
that are valid header fields. ``lenient`` (for answers of upstream servers) also takes blanks
after a size and extensions of any visible bytes.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy


cdef enum:
    MAX_SIZE_DIGITS = 16
    MAX_EXTENSION_BYTES = 256

cdef enum State:
    SIZE
    EXT_NAME_START
    EXT_NAME
    EXT_VALUE_START
    EXT_VALUE
    EXT_QUOTED
    EXT_ESCAPE
    EXT_AFTER_QUOTED
    EXT_ANY
    SIZE_LF
    DATA
    DATA_CR
    DATA_LF
    TRAILER_START
    TRAILER_NAME
    TRAILER_VALUE
    TRAILER_LF
    END_LF
    DONE
    FAILED


# Fields that frame or route a message; parsers disagree on what they do in a trailer section.
cdef frozenset FORBIDDEN_TRAILERS = frozenset((
    b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"host", b"expect",
    b"content-encoding",
))


cdef class ChunkDecoder:
    """Decodes one chunked body.

    ``total`` is the number of payload bytes so far, ``done`` is true once the last line has been
    read, ``error`` says what is wrong with a malformed body (and stays ``None`` otherwise).
    """

    def __cinit__(self, bint lenient=False, Py_ssize_t max_trailer_bytes=65536):
        self.state = SIZE
        self.lenient = lenient
        self.max_trailer_bytes = max_trailer_bytes

    def feed(self, bytes data not None, bytearray out=None):
        """Read ``data``, append its payload to ``out``, return how many bytes were consumed.

        Fewer than ``len(data)`` are consumed only when the body has ended (``done``) or is
        malformed (``error``).
        """
        return self.consume(<const unsigned char *>PyBytes_AS_STRING(data),
                            PyBytes_GET_SIZE(data), out)

    cdef Py_ssize_t fail(self, str message, Py_ssize_t at) noexcept:
        self.state = FAILED
        self.error = message
        return at

    cdef bint forbidden(self):
        """Whether the trailer field that has just been named may not be one."""
        return not self.lenient and self.name[:self.name_size] in FORBIDDEN_TRAILERS

    cdef Py_ssize_t consume(self, const unsigned char *p, Py_ssize_t n, bytearray out) except -1:
        cdef Py_ssize_t i = 0, take, old
        cdef unsigned char c
        cdef int digit
        cdef int state = self.state
        if state == FAILED or state == DONE:
            return 0
        while i < n:
            if state == DATA:
                take = n - i
                if <unsigned long long>take > self.remaining:
                    take = <Py_ssize_t>self.remaining
                if out is not None:
                    old = PyByteArray_GET_SIZE(out)
                    PyByteArray_Resize(out, old + take)
                    memcpy(PyByteArray_AS_STRING(out) + old, p + i, take)
                i += take
                self.total += take
                self.remaining -= <unsigned long long>take
                if self.remaining == 0:
                    state = DATA_CR
                continue
            c = p[i]
            if state == SIZE:
                if c'0' <= c <= c'9':
                    digit = c - c'0'
                elif c'a' <= c <= c'f':
                    digit = c - c'a' + 10
                elif c'A' <= c <= c'F':
                    digit = c - c'A' + 10
                else:
                    if self.digits == 0:
                        return self.fail("a chunk size is missing or not hexadecimal", i)
                    if c == c'\r':
                        state = SIZE_LF
                    elif self.lenient and (c == c' ' or c == c'\t' or c == c';'):
                        self.line_bytes = 0
                        state = EXT_ANY
                    elif c == c';':
                        self.line_bytes = 0
                        state = EXT_NAME_START
                    else:
                        return self.fail("a chunk size is not hexadecimal", i)
                    i += 1
                    continue
                self.digits += 1
                if self.digits > MAX_SIZE_DIGITS:
                    return self.fail("a chunk size has too many digits", i)
                self.remaining = (self.remaining << 4) | <unsigned long long>digit
                if self.remaining >> 60:
                    return self.fail("a chunk size is too large", i)
            elif state == SIZE_LF:
                if c != c'\n':
                    return self.fail("a chunk size does not end in CR LF", i)
                self.digits = 0
                state = DATA if self.remaining else TRAILER_START
            elif state == DATA_CR:
                if c != c'\r':
                    return self.fail("a chunk is longer than its size", i)
                state = DATA_LF
            elif state == DATA_LF:
                if c != c'\n':
                    return self.fail("a chunk does not end in CR LF", i)
                state = SIZE
            elif state < SIZE_LF:
                self.line_bytes += 1
                if self.line_bytes > MAX_EXTENSION_BYTES:
                    return self.fail("a chunk extension is too long", i)
                if state == EXT_ANY:
                    if c == c'\r':
                        state = SIZE_LF
                    elif (c < 0x20 and c != c'\t') or c == 0x7f:
                        return self.fail("a chunk extension has an invalid byte", i)
                elif state == EXT_QUOTED:
                    if c == c'"':
                        state = EXT_AFTER_QUOTED
                    elif c == c'\\':
                        state = EXT_ESCAPE
                    elif (c < 0x20 and c != c'\t') or c == 0x7f:
                        return self.fail("a chunk extension has an invalid byte", i)
                elif state == EXT_ESCAPE:
                    if (c < 0x20 and c != c'\t') or c == 0x7f:
                        return self.fail("a chunk extension has an invalid byte", i)
                    state = EXT_QUOTED
                elif state == EXT_NAME_START:
                    if not is_token_char(c):
                        return self.fail("a chunk extension has no name", i)
                    state = EXT_NAME
                elif state == EXT_VALUE_START:
                    if c == c'"':
                        state = EXT_QUOTED
                    elif is_token_char(c):
                        state = EXT_VALUE
                    else:
                        return self.fail("a chunk extension has no value", i)
                elif c == c';':
                    state = EXT_NAME_START
                elif c == c'\r':
                    state = SIZE_LF
                elif state == EXT_NAME and c == c'=':
                    state = EXT_VALUE_START
                elif state == EXT_AFTER_QUOTED or not is_token_char(c):
                    return self.fail("a chunk extension has an invalid byte", i)
            else:
                self.trailer_bytes += 1
                if self.trailer_bytes > self.max_trailer_bytes:
                    return self.fail("the trailer section is too long", i)
                if state == TRAILER_START:
                    if c == c'\r':
                        state = END_LF
                    elif is_token_char(c):
                        self.name[0] = <char>(c | 0x20)
                        self.name_size = 1
                        state = TRAILER_NAME
                    else:
                        return self.fail("a trailer field has an invalid name", i)
                elif state == TRAILER_NAME:
                    if c == c':':
                        if self.forbidden():
                            return self.fail("a trailer field frames the message", i)
                        state = TRAILER_VALUE
                    elif not is_token_char(c):
                        return self.fail("a trailer field has an invalid name", i)
                    elif self.name_size < 20:
                        self.name[self.name_size] = <char>(c | 0x20)
                        self.name_size += 1
                elif state == TRAILER_VALUE:
                    if c == c'\r':
                        state = TRAILER_LF
                    elif (c < 0x20 and c != c'\t') or c == 0x7f:
                        return self.fail("a trailer field has an invalid value", i)
                elif state == TRAILER_LF:
                    if c != c'\n':
                        return self.fail("a trailer field does not end in CR LF", i)
                    state = TRAILER_START
                elif state == END_LF:
                    if c != c'\n':
                        return self.fail("the body does not end in CR LF", i)
                    self.state = DONE
                    self.done = True
                    return i + 1
            i += 1
        self.state = state
        return n
