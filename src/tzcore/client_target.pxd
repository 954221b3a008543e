cdef enum:
    JOIN_BYTES = 65536              # larger bodies are written beside their head, not copied


cdef class Target:
    cdef object pool
    cdef object server            # its Origin
    cdef str url
    cdef readonly str scheme
    cdef readonly str host
    cdef readonly int port
    cdef readonly bytes path
    cdef readonly tuple headers
    cdef readonly bytes static_head
    cdef frozenset removed        # lower-case names that must not come back as defaults


cdef str checked_name(str name)
cdef bytes checked_value(str name, str value)
cdef bytes render_head(Target target, bytes method, bytes headers, bytes body)
