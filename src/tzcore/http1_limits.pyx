# cython: language_level=3
"""Limits of the server's connections. For ``tzcore.http1``."""


cdef class Limits:
    """What one connection may cost. Durations in seconds, sizes in bytes; all must be positive."""

    def __init__(
        self,
        *,
        Py_ssize_t max_head_bytes=65536,
        int max_headers=100,
        long long max_body_bytes=104857600,
        Py_ssize_t max_buffered_bytes=4194304,
        Py_ssize_t max_pipelined_bytes=65536,
        double head_timeout_s=10.0,
        double body_timeout_s=60.0,
        double idle_timeout_s=75.0,
        double write_timeout_s=75.0,
        double linger_s=5.0,
    ):
        given = {
            name: value for name, value in locals().items() if name != "self"
        }
        for name, value in given.items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, not {value}")
        self.max_head_bytes = max_head_bytes
        self.max_headers = max_headers
        self.max_body_bytes = max_body_bytes
        self.max_buffered_bytes = max_buffered_bytes
        self.max_pipelined_bytes = max_pipelined_bytes
        self.head_timeout_s = head_timeout_s
        self.body_timeout_s = body_timeout_s
        self.idle_timeout_s = idle_timeout_s
        self.write_timeout_s = write_timeout_s
        self.linger_s = linger_s
