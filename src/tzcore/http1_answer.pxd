cdef Py_ssize_t put_number(char *out, Py_ssize_t at, Py_ssize_t value, int base) noexcept
cdef bytes render_answer(int status, bytes shared, bytes content_type, bytes headers,
                         Py_ssize_t length, bint keep_alive, bytes body)
