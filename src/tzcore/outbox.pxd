cdef class Outbox:
    cdef object loop
    cdef object flush_later
    cdef list transports
    cdef list pieces
    cdef bint scheduled

    cdef int put(self, transport, bytes data) except -1
    cdef int send(self) except -1


cdef Outbox outbox_of(loop)
