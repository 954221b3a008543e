from libc.stdint cimport int64_t
from libc.string cimport strlen


cdef class Buffer:
    cdef char *data
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity

    cdef int room(self, Py_ssize_t wanted) except -1
    cdef int put(self, const char *data, Py_ssize_t size) except -1
    cdef int put_bytes(self, bytes data) except -1
    cdef int put_byte(self, char c) except -1
    cdef int put_number(self, int64_t value) except -1
    cdef int put_escaped(self, const char *data, Py_ssize_t size) except -1
    cdef int put_string(self, str value) except -1
    cdef int put_optional_string(self, value) except -1
    cdef int put_optional_number(self, value) except -1
    cdef int put_json(self, value) except -1
    cdef int put_embedded(self, Buffer inner) except -1
    cdef bytes take(self)
    cdef int clear(self) except -1


cdef inline int lit(Buffer out, const char *text) except -1:
    """Put a literal; its length is known to the compiler."""
    return out.put(text, <Py_ssize_t>strlen(text))
