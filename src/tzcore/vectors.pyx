# cython: language_level=3
"""Vectors of single-precision numbers as JSON.

A vector is the bytes of its numbers, in native byte order. Each number is written with the fewest
of seven to nine digits that stand for the same 32-bit number, which takes about a microsecond; the
interpreter's lock is not held meanwhile.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport isfinite
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc, strtof
from libc.string cimport memchr

cdef enum:
    LONGEST = 20


cdef Py_ssize_t write_number(char* out, float value) noexcept nogil:
    cdef int digits
    cdef Py_ssize_t size = 0
    for digits in range(7, 10):
        size = snprintf(out, LONGEST, b"%.*g", digits, <double>value)
        if digits == 9 or strtof(out, NULL) == value:
            break
    # A whole number stays a decimal: readers tell the two apart, and -0 is an integer.
    if memchr(out, b".", size) is NULL and memchr(out, b"e", size) is NULL:
        out[size] = b"."
        out[size + 1] = b"0"
        size += 2
    return size


cdef Py_ssize_t write_numbers(char* out, const float* values, Py_ssize_t count) noexcept nogil:
    """The size of what was written, or -1 for a number that JSON has no form for."""
    cdef Py_ssize_t at
    cdef Py_ssize_t size = 1
    out[0] = b"["
    for at in range(count):
        if not isfinite(values[at]):
            return -1
        if at:
            out[size] = b","
            size += 1
        size += write_number(out + size, values[at])
    out[size] = b"]"
    return size + 1


def vector_json(bytes vector):
    """``vector`` as a JSON array; raises ``ValueError`` for infinities and what is no number."""
    cdef Py_ssize_t count = len(vector) // 4
    cdef const char* data = vector
    cdef Py_ssize_t size
    cdef char* out
    if len(vector) % 4:
        raise ValueError("a vector of single-precision numbers takes four bytes for each")
    out = <char*>malloc(count * (LONGEST + 1) + 2)
    if out is NULL:
        raise MemoryError
    try:
        with nogil:
            size = write_numbers(out, <const float*>data, count)
        if size < 0:
            raise ValueError("a number of the vector is not finite")
        return PyBytes_FromStringAndSize(out, size)
    finally:
        free(out)
