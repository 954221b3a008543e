cdef class SSEParser:
    cdef Py_ssize_t max_event_bytes
    cdef bytearray tail        # the beginning of a line whose end has not arrived
    cdef Py_ssize_t searched   # how far the tail has been searched for a line end
    cdef bytes data            # the first data line of the current event
    cdef list more             # its further data lines
    cdef Py_ssize_t event_bytes
    cdef bint skip_newline     # the last line ended in CR at the end of a piece
    cdef bint started

    cdef list split(self, bytes data)
    cdef int refuse(self) except -1
    cdef int dispatch(self, list events) except -1
    cdef Py_ssize_t read(self, const char *p, Py_ssize_t n, list events) except -1
    cdef int line(self, const char *p, Py_ssize_t n, list events) except -1
