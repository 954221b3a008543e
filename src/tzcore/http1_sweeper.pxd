cdef class Swept:
    """A connection with time limits."""

    cdef int check(self, double now) except -1


cdef class Sweeper:
    cdef object loop
    cdef double interval
    cdef set connections
    cdef object timer

    cdef int add(self, Swept connection) except -1
    cdef int remove(self, Swept connection) except -1
