# cython: language_level=3
"""A growing buffer of JSON text in UTF-8, filled without Python objects in between.

Used by the serializers of this package (``cimport``); not for Python code. Strings are escaped
as ``orjson`` escapes them: quotes, backslashes and control characters, nothing else.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

import orjson

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* 0: as it is; 1: behind a backslash; 2: a control byte */
    static const unsigned char tz_escape[256] = {
        2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2, 2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,
        0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0, 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
        0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0, 0,0,0,0,0,0,0,0,0,0,0,0,1,0,0,0,
    };
    static size_t tz_control(char *o, unsigned char c) {
        static const char hex[] = "0123456789abcdef";
        o[0] = 92;
        o[2] = '0';
        switch (c) {
            case 8: o[1] = 'b'; return 2;
            case 9: o[1] = 't'; return 2;
            case 10: o[1] = 'n'; return 2;
            case 12: o[1] = 'f'; return 2;
            case 13: o[1] = 'r'; return 2;
        }
        o[1] = 'u';
        o[3] = '0';
        o[4] = hex[c >> 4];
        o[5] = hex[c & 15];
        return 6;
    }

    /* Writes the inside of a JSON string, at most six bytes for one; returns how many.
       Eight bytes at a time where none of them is a quote, a backslash or below 0x20 (a byte
       from 0x80 on may be suspected by a borrow: it then takes the slow way, to the same end). */
    static size_t tz_escape_into(char *out, const unsigned char *p, size_t n) {
        char *o = out;
        size_t i = 0;
        const uint64_t ones = 0x0101010101010101ULL, high = 0x8080808080808080ULL;
        while (i < n) {
            size_t stop = n;
            if (i + 8 <= n) {
                uint64_t w, quote, slash, found;
                memcpy(&w, p + i, 8);
                quote = w ^ (ones * 0x22);
                slash = w ^ (ones * 0x5C);
                found = ((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote)
                    | ((slash - ones) & ~slash);
                if (!(found & high)) {
                    memcpy(o, p + i, 8);
                    o += 8;
                    i += 8;
                    continue;
                }
                stop = i + 8;
            }
            for (; i < stop; i++) {
                unsigned char c = p[i];
                unsigned char kind = tz_escape[c];
                if (kind == 2) {
                    o += tz_control(o, c);
                } else {
                    o[0] = 92;
                    o[kind] = (char)c;
                    o += 1 + kind;
                }
            }
        }
        return (size_t)(o - out);
    }
    """
    size_t tz_escape_into(char *out, const unsigned char *p, size_t n) noexcept nogil

cdef enum:
    KEPT_BYTES = 1048576        # a larger buffer is given back after use


cdef class Buffer:
    """Bytes that grow; ``take`` hands them out and empties the buffer."""

    def __cinit__(self):
        self.capacity = 4096
        self.data = <char *>malloc(self.capacity)
        if self.data == NULL:
            raise MemoryError
        self.size = 0

    def __dealloc__(self):
        free(self.data)

    cdef int room(self, Py_ssize_t wanted) except -1:
        """Make sure that ``wanted`` more bytes fit."""
        cdef Py_ssize_t capacity = self.capacity
        cdef char *data
        if self.size + wanted > capacity:
            while self.size + wanted > capacity:
                capacity *= 2
            data = <char *>realloc(self.data, capacity)
            if data == NULL:
                raise MemoryError
            self.data = data
            self.capacity = capacity
        return 0

    cdef int put(self, const char *data, Py_ssize_t size) except -1:
        self.room(size)
        memcpy(self.data + self.size, data, size)
        self.size += size
        return 0

    cdef int put_bytes(self, bytes data) except -1:
        return self.put(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int put_byte(self, char c) except -1:
        self.room(1)
        self.data[self.size] = c
        self.size += 1
        return 0

    cdef int put_number(self, int64_t value) except -1:
        cdef char digits[24]
        cdef int n = 0
        cdef uint64_t rest = <uint64_t>value
        self.room(24)
        if value < 0:
            self.data[self.size] = b"-"
            self.size += 1
            rest = 0 - rest
        while True:
            digits[n] = <char>(48 + rest % 10)
            n += 1
            rest //= 10
            if rest == 0:
                break
        while n:
            n -= 1
            self.data[self.size] = digits[n]
            self.size += 1
        return 0

    cdef int put_escaped(self, const char *data, Py_ssize_t size) except -1:
        """The inside of a JSON string. Takes it in pieces: room is made for the worst case."""
        cdef Py_ssize_t piece
        while size:
            piece = size if size < 16384 else 16384
            self.room(6 * piece)
            self.size += <Py_ssize_t>tz_escape_into(
                self.data + self.size, <const unsigned char *>data, piece)
            data += piece
            size -= piece
        return 0

    cdef int put_string(self, str value) except -1:
        """A JSON string. Raises ``UnicodeEncodeError`` for a lone surrogate."""
        cdef Py_ssize_t size
        cdef const char *data = PyUnicode_AsUTF8AndSize(value, &size)
        self.put_byte(b'"')
        self.put_escaped(data, size)
        return self.put_byte(b'"')

    cdef int put_optional_string(self, value) except -1:
        if value is None:
            return lit(self, b"null")
        return self.put_string(<str?>value)

    cdef int put_optional_number(self, value) except -1:
        if value is None:
            return lit(self, b"null")
        return self.put_number(<int64_t>value)

    cdef int put_json(self, value) except -1:
        """Any JSON value, by ``orjson``."""
        return self.put_bytes(<bytes>orjson.dumps(value))

    cdef int put_embedded(self, Buffer inner) except -1:
        """The text of ``inner`` as a JSON string."""
        self.put_byte(b'"')
        self.put_escaped(inner.data, inner.size)
        return self.put_byte(b'"')

    cdef bytes take(self):
        cdef bytes out = PyBytes_FromStringAndSize(self.data, self.size)
        self.clear()
        return out

    cdef int clear(self) except -1:
        self.size = 0
        if self.capacity > KEPT_BYTES:
            free(self.data)
            self.data = <char *>malloc(4096)
            if self.data == NULL:
                self.capacity = 0
                raise MemoryError
            self.capacity = 4096
        return 0
