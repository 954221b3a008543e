"""Heads of HTTP/1.1 messages (RFC 9112): start line and header fields, in place, in C.

A request head is read in the strict common form only. Whatever is legal but uncommon is marked
``odd``, so that the caller can leave it to a general parser; whatever two parsers could read
differently (two lengths, a length and a transfer coding, folded lines, bare CR or LF, blanks
before a colon, control bytes) gets the status it has to be refused with. A response head is read
as user agents do: bare LF is a line end, repeated equal lengths count once.
"""

from libc.string cimport memchr, memset

from tzcore.chunked cimport is_token_char


cdef Py_ssize_t find_head_end(const char *p, Py_ssize_t n, Py_ssize_t *line_start,
                              bint lenient) noexcept nogil:
    """The offset behind the blank line that ends a head, -1 if it isn't there yet.

    ``line_start`` is where the line begins that the last call found incomplete (0 at first).
    -2: a line ends in a bare LF, and ``lenient`` is off.
    """
    cdef Py_ssize_t at = line_start[0], length
    cdef const char *newline
    while at < n:
        newline = <const char *>memchr(p + at, c'\n', n - at)
        if newline == NULL:
            break
        length = newline - (p + at)
        if length > 0 and newline[-1] == c'\r':
            length -= 1
        elif not lenient:
            return -2
        if length == 0:
            return newline - p + 1
        at = newline - p + 1
        line_start[0] = at
    return -1


cdef inline bint equals(const char *p, Py_ssize_t n, const char *lower, Py_ssize_t size) noexcept nogil:
    """Whether ``p[0:n]`` is the lower-case text ``lower`` in any case (letters and dashes only)."""
    cdef Py_ssize_t i
    if n != size:
        return False
    for i in range(n):
        if (p[i] | 0x20) != lower[i]:
            return False
    return True


cdef inline void trim(const char *p, Py_ssize_t *start, Py_ssize_t *end) noexcept nogil:
    while start[0] < end[0] and (p[start[0]] == c' ' or p[start[0]] == c'\t'):
        start[0] += 1
    while end[0] > start[0] and (p[end[0] - 1] == c' ' or p[end[0] - 1] == c'\t'):
        end[0] -= 1


cdef inline bint has_control(const char *p, Py_ssize_t n) noexcept nogil:
    """Whether a byte that no field value may have is among ``p[0:n]``; written to be vectorised."""
    cdef Py_ssize_t i
    cdef unsigned char c
    cdef unsigned char bad = 0
    for i in range(n):
        c = <unsigned char>p[i]
        bad |= ((c < 0x20) & (c != c'\t')) | (c == 0x7f)
    return bad != 0


cdef long long parse_length(const char *p, Py_ssize_t n) noexcept nogil:
    """A decimal number of at most 18 digits, -1 if it is anything else."""
    cdef long long value = 0
    cdef Py_ssize_t i
    if n < 1 or n > 18:
        return -1
    for i in range(n):
        if not (c'0' <= p[i] <= c'9'):
            return -1
        value = value * 10 + (p[i] - c'0')
    return value


cdef bint has_token(const char *p, Py_ssize_t n, const char *lower, Py_ssize_t size) noexcept nogil:
    """Whether the comma-separated list ``p[0:n]`` names the token ``lower``."""
    cdef Py_ssize_t start = 0, end, item_start, item_end
    while start <= n:
        end = start
        while end < n and p[end] != c',':
            end += 1
        item_start = start
        item_end = end
        trim(p, &item_start, &item_end)
        if equals(p + item_start, item_end - item_start, lower, size):
            return True
        start = end + 1
    return False


cdef inline void refuse(RequestHead *head, int status, const char *fault) noexcept nogil:
    head.status = status
    head.fault = fault


cdef Py_ssize_t parse_request_line(const char *p, Py_ssize_t end, RequestHead *head) noexcept nogil:
    """Read ``METHOD target HTTP/1.x CRLF``; the offset of the next line, 0 if it was refused."""
    cdef Py_ssize_t at = 0
    cdef unsigned char c
    while at < end and is_token_char(<unsigned char>p[at]):
        at += 1
    if at == 0 or at > 32 or p[at] != c' ':
        refuse(head, 400, b"the request line does not begin with a method and one space")
        return 0
    head.method_end = at
    at += 1
    head.target_start = at
    head.path_end = 0
    while at < end:
        c = <unsigned char>p[at]
        if c <= 0x20 or c >= 0x7f:
            break
        if c == c'#':
            refuse(head, 400, b"the request target has a fragment")
            return 0
        if c == c'?' and head.path_end == 0:
            head.path_end = at
        at += 1
    if at == head.target_start or p[at] != c' ':
        refuse(head, 400, b"the request target is malformed")
        return 0
    head.target_end = at
    if head.path_end == 0:
        head.path_end = at
    if p[head.target_start] != c'/':
        head.odd = True
    at += 1
    # A head ends in CR LF CR LF, so the bytes compared here are inside it wherever they match.
    if not (at + 10 <= end and p[at] == c'H' and p[at + 1] == c'T' and p[at + 2] == c'T'
            and p[at + 3] == c'P' and p[at + 4] == c'/' and c'0' <= p[at + 5] <= c'9'
            and p[at + 6] == c'.' and c'0' <= p[at + 7] <= c'9'
            and p[at + 8] == c'\r' and p[at + 9] == c'\n'):
        refuse(head, 400, b"the request line does not end in HTTP/1.1")
        return 0
    if p[at + 5] != c'1' or p[at + 7] > c'1':
        refuse(head, 505, b"this server speaks HTTP/1.1")
        return 0
    head.minor = p[at + 7] - c'0'
    if head.minor == 0:
        head.odd = True
    return at + 10


cdef void parse_request_head(const char *p, Py_ssize_t end, int max_headers,
                             RequestHead *head) noexcept nogil:
    """Read the head ``p[0:end]``, which ``find_head_end`` (strict) has found complete."""
    cdef Py_ssize_t at, name_end, start, stop
    cdef Py_ssize_t size
    cdef const char *newline
    cdef int count = 0
    cdef bint has_host = False, has_length = False, wants_upgrade = False, websocket = False
    memset(head, 0, sizeof(RequestHead))
    head.content_length = -1
    at = parse_request_line(p, end, head)
    if head.status:
        return
    head.fields_start = at
    while p[at] != c'\r' or p[at + 1] != c'\n':
        newline = <const char *>memchr(p + at, c'\n', end - at)
        name_end = at
        while is_token_char(<unsigned char>p[name_end]):
            name_end += 1
        size = name_end - at
        if size == 0 or p[name_end] != c':':
            if p[at] == c' ' or p[at] == c'\t':
                refuse(head, 400, b"a header field is folded over two lines")
            else:
                refuse(head, 400, b"a header field has no valid name before its colon")
            return
        count += 1
        if count > max_headers:
            refuse(head, 431, b"the request has too many header fields")
            return
        start = name_end + 1
        stop = newline - p - 1
        trim(p, &start, &stop)
        if has_control(p + start, stop - start):
            refuse(head, 400, b"a header field has a control byte in its value")
            return
        if size == 4:
            if equals(p + at, 4, b"host", 4):
                if has_host:
                    refuse(head, 400, b"the request has more than one Host")
                    return
                has_host = True
                if memchr(p + start, c' ', stop - start) or memchr(p + start, c',', stop - start):
                    refuse(head, 400, b"Host is not one host")
                    return
        elif size == 14:
            if equals(p + at, 14, b"content-length", 14):
                if has_length:
                    refuse(head, 400, b"the request has more than one Content-Length")
                    return
                has_length = True
                head.content_length = parse_length(p + start, stop - start)
                if head.content_length < 0 or memchr(p + at, c'\t', newline - (p + at)) != NULL:
                    refuse(head, 400, b"Content-Length is not a decimal number")
                    return
        elif size == 17:
            if equals(p + at, 17, b"transfer-encoding", 17):
                # Parsers disagree on tabs here: llhttp does not take "chunked<TAB>" for chunked.
                if (head.chunked or not equals(p + start, stop - start, b"chunked", 7)
                        or memchr(p + at, c'\t', newline - (p + at)) != NULL):
                    refuse(head, 400, b"the only transfer coding this server reads is chunked, once")
                    return
                head.chunked = True
        elif size == 10:
            if equals(p + at, 10, b"connection", 10):
                if has_token(p + start, stop - start, b"close", 5):
                    head.close = True
                if has_token(p + start, stop - start, b"upgrade", 7):
                    wants_upgrade = True
        elif size == 16:
            if equals(p + at, 16, b"content-encoding", 16):
                if head.encoding_start:
                    head.odd = True
                head.encoding_start = start
                head.encoding_end = stop
        elif size == 7:
            if equals(p + at, 7, b"upgrade", 7):
                websocket = websocket or has_token(p + start, stop - start, b"websocket", 9)
        elif size == 6:
            if equals(p + at, 6, b"expect", 6):
                # The dash and the digits of "100-continue" have bit 0x20 set: equals() holds.
                if equals(p + start, stop - start, b"100-continue", 12):
                    head.expect_continue = True
                else:
                    head.odd = True
        at = newline - p + 1
    if has_length and head.chunked:
        refuse(head, 400, b"the request has both Content-Length and Transfer-Encoding")
    elif head.minor == 0 and head.chunked:
        refuse(head, 400, b"HTTP/1.0 has no Transfer-Encoding")
    elif head.minor == 1 and not has_host:
        refuse(head, 400, b"the request has no Host")
    head.upgrade = wants_upgrade and websocket


cdef void parse_response_head(const char *p, Py_ssize_t end, int max_headers,
                              ResponseHead *head) noexcept nogil:
    """Read the head ``p[0:end]``, which ``find_head_end`` (lenient) has found complete."""
    cdef Py_ssize_t at, line_end, name_end, start, stop, size
    cdef const char *newline
    cdef long long length
    cdef int count = 0
    memset(head, 0, sizeof(ResponseHead))
    head.content_length = -1
    newline = <const char *>memchr(p, c'\n', end)
    line_end = newline - p
    if line_end and p[line_end - 1] == c'\r':
        line_end -= 1
    if not (line_end >= 12 and p[0] == c'H' and p[1] == c'T' and p[2] == c'T' and p[3] == c'P'
            and p[4] == c'/' and p[5] == c'1' and p[6] == c'.' and (p[7] == c'0' or p[7] == c'1')
            and p[8] == c' ' and c'1' <= p[9] <= c'9' and c'0' <= p[10] <= c'9'
            and c'0' <= p[11] <= c'9' and (line_end == 12 or p[12] == c' ')):
        head.fault = b"the answer does not begin with an HTTP/1.1 status line"
        return
    head.minor = p[7] - c'0'
    head.status = (p[9] - c'0') * 100 + (p[10] - c'0') * 10 + (p[11] - c'0')
    head.reason_start = 13 if line_end > 12 else 12
    head.reason_end = line_end
    at = newline - p + 1
    head.fields_start = at
    while p[at] != c'\n' and (p[at] != c'\r' or p[at + 1] != c'\n'):
        newline = <const char *>memchr(p + at, c'\n', end - at)
        stop = newline - p
        if stop > at and p[stop - 1] == c'\r':
            stop -= 1
        name_end = at
        while is_token_char(<unsigned char>p[name_end]):
            name_end += 1
        size = name_end - at
        if size == 0 or p[name_end] != c':':
            head.fault = b"the answer has a malformed header field"
            return
        count += 1
        if count > max_headers:
            head.fault = b"the answer has too many header fields"
            return
        start = name_end + 1
        trim(p, &start, &stop)
        if has_control(p + start, stop - start):
            head.fault = b"the answer has a control byte in a header field"
            return
        if size == 14:
            if equals(p + at, 14, b"content-length", 14):
                length = parse_length(p + start, stop - start)
                if length < 0 or (head.content_length >= 0 and head.content_length != length):
                    head.fault = b"the answer has an invalid Content-Length"
                    return
                head.content_length = length
        elif size == 17:
            if equals(p + at, 17, b"transfer-encoding", 17):
                if head.chunked or not equals(p + start, stop - start, b"chunked", 7):
                    head.fault = b"the answer has a transfer coding other than chunked"
                    return
                head.chunked = True
        elif size == 10:
            if equals(p + at, 10, b"connection", 10):
                if has_token(p + start, stop - start, b"close", 5):
                    head.close = True
                if has_token(p + start, stop - start, b"keep-alive", 10):
                    head.keep_alive = True
        elif size == 16:
            if equals(p + at, 16, b"content-encoding", 16):
                if head.encoding_start:
                    head.fault = b"the answer has more than one Content-Encoding"
                    return
                head.encoding_start = start
                head.encoding_end = stop
        at = newline - p + 1


cdef bytes find_field(const char *p, Py_ssize_t start, Py_ssize_t end, bytes name):
    """The value of the first field ``name`` (lower case) among the lines of ``p[start:end]``."""
    cdef Py_ssize_t at = start, value_start, value_end, i
    cdef Py_ssize_t size = len(name)
    cdef const char *lower = name
    cdef const char *newline
    cdef char c
    while at < end:
        newline = <const char *>memchr(p + at, c'\n', end - at)
        if newline == NULL:
            return None
        if newline - (p + at) > size and p[at + size] == c':':
            for i in range(size):
                c = p[at + i]
                if c'A' <= c <= c'Z':
                    c |= 0x20
                if c != lower[i]:
                    break
            else:
                value_start = at + size + 1
                value_end = newline - p
                if p[value_end - 1] == c'\r':
                    value_end -= 1
                trim(p, &value_start, &value_end)
                return p[value_start:value_end]
        at = newline - p + 1
    return None


cdef list list_fields(const char *p, Py_ssize_t start, Py_ssize_t end):
    """All fields of ``p[start:end]`` as ``(lower-case name, value)``, in their order."""
    cdef list fields = []
    cdef Py_ssize_t at = start, value_start, value_end
    cdef const char *newline
    cdef const char *colon
    while at < end:
        newline = <const char *>memchr(p + at, c'\n', end - at)
        if newline == NULL:
            break
        colon = <const char *>memchr(p + at, c':', newline - (p + at))
        if colon != NULL:
            value_start = colon - p + 1
            value_end = newline - p
            if p[value_end - 1] == c'\r':
                value_end -= 1
            trim(p, &value_start, &value_end)
            fields.append((p[at:colon - p].lower(), p[value_start:value_end]))
        at = newline - p + 1
    return fields
