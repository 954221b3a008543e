cdef class Answer:
    cdef bytes raw
    cdef Py_ssize_t reason_start
    cdef Py_ssize_t reason_end
    cdef Py_ssize_t fields_start
    cdef bytes encoding
    cdef readonly int status
    cdef readonly double sent_at
    cdef readonly double first_byte_at


cdef class Response(Answer):
    cdef readonly bytes body
    cdef readonly double done_at
