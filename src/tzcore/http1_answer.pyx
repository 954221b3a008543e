# cython: language_level=3
"""Heads of the server's answers. For ``tzcore.http1``."""

import http

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

cdef dict STATUS_LINES = {
    status: b"HTTP/1.1 %d %s\r\n" % (
        status,
        http.HTTPStatus(status).phrase.encode()
        if status in http.HTTPStatus._value2member_map_ else b"")
    for status in range(100, 600)
}


cdef inline Py_ssize_t put(char *out, Py_ssize_t at, bytes piece) noexcept:
    memcpy(out + at, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece))
    return at + PyBytes_GET_SIZE(piece)


cdef Py_ssize_t put_number(char *out, Py_ssize_t at, Py_ssize_t value, int base) noexcept:
    cdef char digits[24]
    cdef int n = 0
    cdef int digit
    while True:
        digit = <int>(value % base)
        digits[n] = <char>(digit + (48 if digit < 10 else 87))
        n += 1
        value = value // base
        if value == 0:
            break
    while n:
        n -= 1
        out[at] = digits[n]
        at += 1
    return at


cdef bytes render_answer(int status, bytes shared, bytes content_type, bytes headers,
                         Py_ssize_t length, bint keep_alive, bytes body):
    """Status line and fields, with ``body`` behind them; ``length`` < 0 means chunked.

    ``shared`` and ``headers`` are lines, each ending in CR LF.
    """
    cdef bytes status_line = STATUS_LINES[status]
    cdef bytes out = PyBytes_FromStringAndSize(
        NULL,
        PyBytes_GET_SIZE(status_line) + PyBytes_GET_SIZE(shared)
        + PyBytes_GET_SIZE(content_type) + PyBytes_GET_SIZE(headers)
        + PyBytes_GET_SIZE(body) + 128)
    cdef char *p = PyBytes_AS_STRING(out)
    cdef Py_ssize_t at = put(p, 0, status_line)
    at = put(p, at, shared)
    if PyBytes_GET_SIZE(content_type):
        at = put(p, at, b"content-type: ")
        at = put(p, at, content_type)
        at = put(p, at, b"\r\n")
    if length >= 0:
        if status >= 200 and status != 204 and status != 304:
            at = put(p, at, b"content-length: ")
            at = put_number(p, at, length, 10)
            at = put(p, at, b"\r\n")
    else:
        at = put(p, at, b"transfer-encoding: chunked\r\n")
    at = put(p, at, headers)
    if not keep_alive:
        at = put(p, at, b"connection: close\r\n")
    at = put(p, at, b"\r\n")
    at = put(p, at, body)
    return out[:at]
