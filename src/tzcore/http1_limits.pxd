cdef class Limits:
    cdef readonly Py_ssize_t max_head_bytes
    cdef readonly int max_headers
    cdef readonly long long max_body_bytes
    cdef readonly Py_ssize_t max_buffered_bytes
    cdef readonly Py_ssize_t max_pipelined_bytes
    cdef readonly double head_timeout_s
    cdef readonly double body_timeout_s
    cdef readonly double idle_timeout_s
    cdef readonly double write_timeout_s
    cdef readonly double linger_s
