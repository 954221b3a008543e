cdef extern from "Python.h":
    object PyContext_CopyCurrent()
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1


cdef class EagerTask:
    cdef object coroutine
    cdef object loop
    cdef object context
    cdef object waiting          # the Signal or asyncio future it is suspended on
    cdef object running          # the set it belongs to while it runs
    cdef list joiners
    cdef int cancels
    cdef bint must_cancel
    cdef bint finished

    cdef int step(self, error) except -1
    cdef int run(self, error) except -1
    cdef int suspend(self, awaited) except -1
    cdef int finish(self) except -1
    cdef int resume(self, Signal signal) except -1


cdef class Signal:
    cdef object value
    cdef object error
    cdef object loop
    cdef EagerTask task          # what waits, if it is one of ours
    cdef object future           # what waits, if it is not
    cdef object receiver         # what is called, if nothing waits: receiver(value, error)
    cdef bint set

    cdef int fire(self, value, error, bint now) except -1
