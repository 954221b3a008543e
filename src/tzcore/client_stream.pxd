from tzcore.client_response cimport Answer
from tzcore.task cimport Signal


cdef class Source:
    """What fills an inbox."""

    cdef object transport

    cdef int close(self) except -1
    cdef int hurry(self, double seconds) except -1


cdef class Inbox:
    cdef Source connection       # None once the body is complete or lost
    cdef list pieces
    cdef Py_ssize_t size
    cdef bint paused
    cdef bint finished
    cdef bint dropping           # nobody reads on, but the connection may yet serve again
    cdef object error
    cdef Signal waiter
    cdef ResponseStream pushed   # None where a reader takes the pieces itself

    cdef int wake(self, bint now) except -1
    cdef int put(self, bytes data) except -1
    cdef bytes take(self)
    cdef int settle(self, error) except -1
    cdef int abandon(self) except -1
    cdef int drop_rest(self, double seconds) except -1


cdef class ResponseStream(Answer):
    cdef Inbox inbox
    cdef object loop
    cdef object decoder
    cdef str label
    cdef object receiver
    cdef object context       # the receiver's
    cdef bint delivering

    cdef bytes decode(self, bytes data, bint last)
    cdef int deliver(self) except -1
    cdef int pass_on(self, bytes data, bint last) except -1
