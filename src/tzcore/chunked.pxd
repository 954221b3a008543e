cdef inline bint is_token_char(unsigned char c) noexcept nogil:
    """True for ``tchar`` of RFC 9110, 5.6.2."""
    if c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9':
        return True
    return (c == c'-' or c == c'_' or c == c'.' or c == c'!' or c == c'#' or c == c'$'
            or c == c'%' or c == c'&' or c == 0x27 or c == c'*' or c == c'+' or c == c'^'
            or c == c'`' or c == c'|' or c == c'~')


cdef class ChunkDecoder:
    cdef int state
    cdef int digits
    cdef bint lenient
    cdef unsigned long long remaining
    cdef Py_ssize_t line_bytes
    cdef Py_ssize_t trailer_bytes
    cdef Py_ssize_t max_trailer_bytes
    cdef char name[20]           # the trailer field's name so far, lower case, cut to its size
    cdef int name_size
    cdef readonly long long total
    cdef readonly bint done
    cdef readonly str error

    cdef Py_ssize_t consume(self, const unsigned char *p, Py_ssize_t n, bytearray out) except -1
    cdef bint forbidden(self)
    cdef Py_ssize_t fail(self, str message, Py_ssize_t at) noexcept
