from tzcore.client_connection cimport Connection, OriginBase


cdef class Origin(OriginBase):
    cdef readonly str scheme
    cdef readonly str host
    cdef readonly int port
    cdef object proxy
    cdef list idle              # the last one used is taken first
    cdef int count              # open and opening
    cdef object waiters

    cdef Connection take(self)
    cdef int free_place(self) except -1
    cdef str place(self)
