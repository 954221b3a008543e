# cython: language_level=3
"""What all connections of a server share: routes, limits, common headers. For ``tzcore.http1``."""

from tzcore.http1_limits cimport Limits
from tzcore.http1_sweeper cimport Sweeper


cdef class Route:
    """A hot route; its method and path are shared by all its requests."""

    def __init__(self, bytes method not None, bytes path not None, handler):
        if not method.isalpha() or not method.isupper():
            raise ValueError(f"a route's method is upper-case letters, not {method!r}")
        if not path.startswith(b"/") or any(c <= 0x20 or c >= 0x7F or c in b"?#" for c in path):
            raise ValueError(f"a route's path begins with / and has no query, not {path!r}")
        self.method = method
        self.path = path
        self.handler = handler


cdef class Service:
    """What all connections of one factory share."""

    def __init__(self, routes, Limits limits not None, bytes common_headers not None):
        if common_headers and not common_headers.endswith(b"\r\n"):
            raise ValueError("common_headers must end in CR LF")
        self.routes = {}
        for (method, path), handler in routes.items():
            self.routes[method + b" " + path] = Route(method, path, handler)
        self.limits = limits
        self.common_headers = common_headers
        self.rendered = common_headers

    cdef bytes shared_headers(self, list default_headers):
        if default_headers is not self.rendered_from:
            self.rendered = b"".join(
                [name + b": " + value + b"\r\n" for name, value in default_headers]
            ) + self.common_headers
            self.rendered_from = default_headers
        return self.rendered

    cdef Sweeper sweeper_of(self, loop):
        if self.sweeper is None or self.sweeper.loop is not loop:
            self.sweeper = Sweeper(loop, min(1.0, 0.25 * min(
                self.limits.head_timeout_s, self.limits.body_timeout_s,
                self.limits.idle_timeout_s, self.limits.write_timeout_s, self.limits.linger_s)))
        return self.sweeper
