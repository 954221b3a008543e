# cython: language_level=3
"""Where the client's requests go, and the heads that are made of it. For ``tzcore.client``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from tzcore.chunked cimport is_token_char

FRAMING_FIELDS = frozenset((
    "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te",
    "trailer", "upgrade", "expect",
))


cdef str checked_name(str name):
    """``name`` if it is a valid field name that callers may set."""
    cdef bytes raw
    cdef unsigned char c
    try:
        raw = name.encode("ascii")
    except UnicodeEncodeError:
        raw = b""
    if not raw:
        raise ValueError(f"{name[:60]!r} is not a valid header name")
    for c in raw:
        if not is_token_char(c):
            raise ValueError(f"{name[:60]!r} is not a valid header name")
    if name.lower() in FRAMING_FIELDS:
        raise ValueError(f"the header {name!r} is set by the HTTP client itself")
    return name


cdef bytes checked_value(str name, str value):
    """``value`` as bytes; the error does not repeat it, because it may be a secret."""
    cdef bytes raw = value.strip(" \t").encode("utf-8")
    cdef unsigned char c
    for c in raw:
        if (c < 0x20 and c != c'\t') or c == 0x7F:
            raise ValueError(f"the value of the header {name!r} has a control character")
    return raw


cdef class Target:
    """Where requests go: a URL with its static header fields, rendered once."""

    def __repr__(self):
        return f"Target({self.server.label})"

    def with_headers(self, set, remove):
        """A target whose fields named in ``set`` or ``remove`` are replaced or gone."""
        removed = {name.lower() for name in remove}
        given = [name.lower() for name, _ in set]
        kept = [(name, value) for name, value in self.headers
                if name.lower() not in removed and name.lower() not in given]
        return self.pool.make_target(self.url, kept + list(set), self.removed | removed)

    def adding(self, fields):
        """A target with further fields, rendered without reading the URL again."""
        cdef Target target = Target.__new__(Target)
        cdef list lines = [self.static_head]
        for name, value in fields:
            checked_name(name)
            lines.append(name.encode() + b": " + checked_value(name, value) + b"\r\n")
        target.pool = self.pool
        target.server = self.server
        target.url = self.url
        target.scheme = self.scheme
        target.host = self.host
        target.port = self.port
        target.path = self.path
        target.headers = self.headers + tuple(fields)
        target.removed = self.removed
        target.static_head = b"".join(lines)
        return target


cdef bytes render_head(Target target, bytes method, bytes headers, bytes body):
    """The request's head, with its body behind it unless that is large."""
    cdef Py_ssize_t n = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t joined = n if n <= JOIN_BYTES else 0
    cdef Py_ssize_t size
    cdef bytes length = b"\r\n"
    cdef bytes out
    cdef char *p
    if n or (method != b"GET" and method != b"HEAD"):
        length = b"content-length: %d\r\n\r\n" % n
    size = (PyBytes_GET_SIZE(method) + PyBytes_GET_SIZE(target.static_head)
            + PyBytes_GET_SIZE(headers) + PyBytes_GET_SIZE(length) + joined)
    out = PyBytes_FromStringAndSize(NULL, size)
    p = PyBytes_AS_STRING(out)
    memcpy(p, PyBytes_AS_STRING(method), PyBytes_GET_SIZE(method))
    p += PyBytes_GET_SIZE(method)
    memcpy(p, PyBytes_AS_STRING(target.static_head), PyBytes_GET_SIZE(target.static_head))
    p += PyBytes_GET_SIZE(target.static_head)
    memcpy(p, PyBytes_AS_STRING(headers), PyBytes_GET_SIZE(headers))
    p += PyBytes_GET_SIZE(headers)
    memcpy(p, PyBytes_AS_STRING(length), PyBytes_GET_SIZE(length))
    p += PyBytes_GET_SIZE(length)
    memcpy(p, PyBytes_AS_STRING(body), joined)
    return out
