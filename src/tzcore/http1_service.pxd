from tzcore.http1_limits cimport Limits
from tzcore.http1_sweeper cimport Sweeper


cdef class Route:
    cdef bytes method
    cdef bytes path
    cdef object handler


cdef class Service:
    cdef dict routes             # b"POST /inference" -> Route
    cdef Limits limits
    cdef bytes common_headers
    cdef object rendered_from    # uvicorn's list of default headers (a new one every second) ...
    cdef bytes rendered          # ... and its lines together with the common ones
    cdef Sweeper sweeper

    cdef bytes shared_headers(self, list default_headers)
    cdef Sweeper sweeper_of(self, loop)
