cdef struct RequestHead:
    Py_ssize_t method_end        # the method is p[0:method_end]
    Py_ssize_t target_start
    Py_ssize_t path_end          # the target up to "?" is p[target_start:path_end]
    Py_ssize_t target_end
    Py_ssize_t fields_start
    int minor                    # HTTP/1.minor
    long long content_length     # -1: none given
    bint chunked
    bint close                   # Connection: close
    bint upgrade                 # Upgrade: websocket, asked for by Connection: upgrade
    bint expect_continue
    bint odd                     # legal, but only the general parser shall read it
    Py_ssize_t encoding_start    # Content-Encoding, 0 if there is none
    Py_ssize_t encoding_end
    int status                   # what to refuse it with, 0 if it is well-formed
    const char *fault            # why, in words


cdef struct ResponseHead:
    int status
    int minor
    Py_ssize_t reason_start
    Py_ssize_t reason_end
    Py_ssize_t fields_start
    long long content_length     # -1: none given
    bint chunked
    bint close
    bint keep_alive
    Py_ssize_t encoding_start    # Content-Encoding, 0 if there is none
    Py_ssize_t encoding_end
    const char *fault            # NULL if it is well-formed


cdef Py_ssize_t find_head_end(const char *p, Py_ssize_t n, Py_ssize_t *line_start,
                              bint lenient) noexcept nogil
cdef void parse_request_head(const char *p, Py_ssize_t end, int max_headers,
                             RequestHead *head) noexcept nogil
cdef void parse_response_head(const char *p, Py_ssize_t end, int max_headers,
                              ResponseHead *head) noexcept nogil
cdef bytes find_field(const char *p, Py_ssize_t start, Py_ssize_t end, bytes name)
cdef list list_fields(const char *p, Py_ssize_t start, Py_ssize_t end)
