"""HTTP/1.1 client: a pool of keep-alive connections to upstream servers on one event loop.

A request costs one write, one future and the objects it returns; its head is rendered from parts
prepared in a ``Target``, the answer's head stays raw bytes until a field is asked for. One timer
serves all time limits of a pool: it is set to the earliest deadline and looks at every connection
when it fires, so a request that is answered in time never touches it.

No Accept-Encoding is sent (compressing costs both sides more than it saves next to a model's
answer time); a coding that a server uses anyway, or that a caller asks for, is undone.
"""

import asyncio
import base64
import os
import ssl
import time
from urllib.parse import quote, unquote, urljoin, urlsplit

from libc.math cimport INFINITY

from tzcore.client_connection cimport CLOSED, Connection, PoolBase
from tzcore.client_origin cimport Origin
from tzcore.client_response cimport Answer, Response
from tzcore.client_stream cimport ResponseStream
from tzcore.client_target cimport Target, checked_name, checked_value
from tzcore.outbox cimport outbox_of
from tzcore.task cimport Signal
from tzcore.client_coding import DecodedTooLarge, Undecodable, make_decoder
from tzcore.client_errors import (
    BodyTooLarge,
    ClientError,
    ClientTimeout,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    PoolTimeout,
    ProtocolError,
)
from tzcore.client_proxy import proxy_from_environment
from tzcore import client_origin, client_response, client_stream, client_target

# All of the client by one name; what is cimported is not a module's own.
globals().update(
    Origin=client_origin.Origin,
    Response=client_response.Response,
    ResponseStream=client_stream.ResponseStream,
    Target=client_target.Target,
)

cdef object monotonic = time.monotonic

cdef enum:
    MAX_REDIRECTS = 10
    MAX_ORIGINS = 1024              # remembered, unless more have connections

# What must not travel to another origin with a redirect.
SECRET_FIELDS = frozenset((
    "authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-goog-api-key",
    "x-amz-security-token",
))


cdef class Pool(PoolBase):
    """Keep-alive connections to upstream servers, for one event loop. HTTP/1.1 only."""

    cdef bytes user_agent
    cdef object ssl_context
    cdef bint trust_env
    cdef dict origins
    cdef object timer
    cdef object __weakref__

    def __init__(self, *, bytes user_agent not None, int max_connections=4096,
                 double idle_timeout_s=60.0, double connect_timeout_s=30.0,
                 long long max_body_bytes=268435456, ssl_context=None, bint trust_env=True):
        if not (max_connections > 0 and idle_timeout_s > 0 and connect_timeout_s > 0
                and max_body_bytes > 0):
            raise ValueError("the limits of a pool must be positive")
        self.user_agent = checked_value("user-agent", user_agent.decode())
        self.max_connections = max_connections
        self.idle_timeout_s = idle_timeout_s
        self.connect_timeout_s = connect_timeout_s
        self.max_body_bytes = max_body_bytes
        self.ssl_context = ssl_context
        self.trust_env = trust_env
        self.origins = {}
        self.connections = set()
        self.timer_at = INFINITY

    def origin(self, str url not None):
        """``target(url, [])``."""
        return self.make_target(url, [], frozenset())

    def target(self, str url not None, headers):
        """Parse a URL and render its static header fields."""
        return self.make_target(url, list(headers), frozenset())

    def make_target(self, str url, list headers, frozenset removed):
        """A target that has none of the default fields named in ``removed`` (lower case)."""
        cdef Target target = Target.__new__(Target)
        cdef Origin server
        # The URL is not repeated in errors: its query may carry a key.
        if any(c <= " " or c == "\x7f" for c in url):
            raise ValueError("a URL has a blank or control character")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"a URL is malformed: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("a URL must begin with http:// or https:// and a host")
        if not host.isascii():
            try:
                host = host.encode("idna").decode()
            except UnicodeError:
                raise ValueError("a URL's host is not a valid name") from None
        if port is None:
            port = 443 if parts.scheme == "https" else 80
        key = (parts.scheme, host, port)
        if key not in self.origins:
            if len(self.origins) >= MAX_ORIGINS:
                self.forget_origins()
            proxy = proxy_from_environment(*key) if self.trust_env else None
            self.origins[key] = Origin(self, parts.scheme, host, port, proxy)
        server = self.origins[key]
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        if parts.query:
            path += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]")
        target.pool = self
        target.server = server
        target.url = url
        target.scheme = parts.scheme
        target.host = host
        target.port = port
        target.path = path.encode()
        names = set()
        lines = []
        for name, value in headers:
            names.add(checked_name(name).lower())
            lines.append(name.encode() + b": " + checked_value(name, value) + b"\r\n")
        if "host" not in names:
            lines.insert(0, b"host: " + server.label.partition("://")[2].encode() + b"\r\n")
        if "user-agent" not in names and "user-agent" not in removed and self.user_agent:
            lines.append(b"user-agent: " + self.user_agent + b"\r\n")
        if parts.username is not None and not {"authorization"} & (names | removed):
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            lines.append(
                b"authorization: Basic " + base64.b64encode(pair.encode()) + b"\r\n")
        line = b" " + target.path + b" HTTP/1.1\r\n"
        if server.proxy is not None and parts.scheme == "http":
            line = b" " + server.label.encode() + target.path + b" HTTP/1.1\r\n"
            if server.proxy.authorization:
                lines.append(b"proxy-authorization: " + server.proxy.authorization + b"\r\n")
        target.headers = tuple(headers)
        target.removed = removed
        target.static_head = line + b"".join(lines)
        return target

    cdef int forget_origins(self) except -1:
        """Drop those without connections: hosts of files come from requests, and could be any."""
        for key, server in list(self.origins.items()):
            if (<Origin>server).count == 0 and not (<Origin>server).waiters:
                del self.origins[key]
        return 0

    async def request(self, Target target not None, bytes body not None, *,
                      bytes method not None=b"POST", bytes headers not None=b"", timeout_s=None):
        """Send a request, return its whole answer; redirects are followed."""
        cdef Response response
        cdef double seconds = INFINITY if timeout_s is None else timeout_s
        cdef double deadline = INFINITY if timeout_s is None else <double>monotonic() + seconds
        cdef int redirects = 0
        while True:
            response = await self.exchange(target, method, headers, body, deadline, seconds,
                                           False)
            if response.encoding is not None and response.body:
                self.decode(target, response)
            if 300 <= response.status < 400:
                onward = self.redirect(target, method, headers, body, response)
                if onward is not None:
                    redirects += 1
                    if redirects > MAX_REDIRECTS:
                        raise ProtocolError(
                            f"{target.server.label} redirected more than {MAX_REDIRECTS} times")
                    target, method, headers, body = onward
                    continue
            return response

    def begin(self, Target target not None, bytes body not None, double timeout_s, receiver):
        """POST on a connection that is idle; ``False`` when there is none.

        ``receiver`` is called once, with the answer and ``None`` or with ``None`` and the error.
        """
        cdef Connection connection
        cdef Signal signal
        if self.closed:
            return False
        connection = (<Origin>target.server).take()
        if connection is None:
            return False
        signal = connection.start(target, b"POST", b"", body, <double>monotonic() + timeout_s,
                                  timeout_s, False)
        signal.receiver = receiver
        return True

    def decoded(self, Target target not None, Response response not None):
        """``response`` without its content coding."""
        if response.encoding is not None and response.body:
            self.decode(target, response)
        return response

    async def stream(self, Target target not None, bytes body not None, *,
                     bytes method not None=b"POST", bytes headers not None=b"", timeout_s=None):
        """Send a request, return as soon as the answer's head has arrived."""
        cdef ResponseStream response
        cdef double seconds = INFINITY if timeout_s is None else timeout_s
        cdef double deadline = INFINITY if timeout_s is None else <double>monotonic() + seconds
        cdef int redirects = 0
        while True:
            response = await self.exchange(target, method, headers, body, deadline, seconds,
                                           True)
            if 300 <= response.status < 400:
                onward = self.redirect(target, method, headers, body, response)
                if onward is not None:
                    response.inbox.abandon()
                    redirects += 1
                    if redirects > MAX_REDIRECTS:
                        raise ProtocolError(
                            f"{target.server.label} redirected more than {MAX_REDIRECTS} times")
                    target, method, headers, body = onward
                    continue
            return response

    async def exchange(self, Target target, bytes method, bytes headers, bytes body,
                       double deadline, double seconds, bint streaming):
        """One request and its answer, redirects not followed.

        A connection that has served before may have been closed by the server just as this
        request was written: if it ends without a byte, the request is sent once more, on a new
        connection.
        """
        cdef Origin server = target.server
        cdef Connection connection
        cdef Signal future
        cdef bint fresh = False
        cdef bint reused
        running = asyncio.get_running_loop()
        if running is not self.loop:
            self.bind(running)
        while True:
            if self.closed:
                raise ClientError("the connection pool is closed")
            connection = None if fresh else server.take()
            if connection is None:
                connection = await server.acquire(deadline, fresh)
            reused = connection.served
            future = connection.start(target, method, headers, body, deadline, seconds, streaming)
            try:
                return await future
            except ConnectionLost:
                if fresh or not reused or connection.first_byte_at > 0.0:
                    raise
                fresh = True
            except BaseException:
                if connection.future is future:
                    connection.close()
                raise

    async def send(self, Target target not None, bytes method not None, bytes headers not None,
                   bytes body not None, *, connect_s=None, read_s=None):
        """One request as it is, and a limit for each phase, as clients on top of a pool want it."""
        cdef Origin server = target.server
        cdef Connection connection
        cdef ResponseStream response
        cdef Signal future
        cdef bint fresh = False
        cdef bint reused
        cdef double read_limit = INFINITY if read_s is None else read_s
        cdef double deadline = (
            INFINITY if connect_s is None else <double>monotonic() + <double>connect_s)
        running = asyncio.get_running_loop()
        if running is not self.loop:
            self.bind(running)
        while True:
            if self.closed:
                raise ClientError("the connection pool is closed")
            connection = None if fresh else server.take()
            if connection is None:
                connection = await server.acquire(deadline, fresh)
            reused = connection.served
            future = connection.start(target, method, headers, body,
                                      <double>monotonic() + read_limit, read_limit, True)
            try:
                response = await future
            except ConnectionLost:
                if fresh or not reused or connection.first_byte_at > 0.0:
                    raise
                fresh = True
                continue
            except BaseException:
                if connection.future is future:
                    connection.close()
                raise
            if connection.inbox is response.inbox:
                # The limit was the head's; the caller sets one for each piece of the body.
                connection.deadline = INFINITY
            return response

    cdef int bind(self, loop) except -1:
        """Serve ``loop``; connections of a former one (tests, forked workers) are dropped."""
        if self.loop is not None:
            for server in self.origins.values():
                (<Origin>server).idle.clear()
                (<Origin>server).count = 0
                (<Origin>server).waiters.clear()
            self.connections.clear()
            self.timer = None
            self.timer_at = INFINITY
        self.loop = loop
        self.outbox = outbox_of(loop)
        return 0

    cdef int decode(self, Target target, Response response) except -1:
        try:
            decoder = make_decoder(response.encoding, self.max_body_bytes)
            if decoder is not None:
                response.body = decoder.feed(response.body) + decoder.finish()
            response.encoding = None
        except Undecodable as error:
            raise ProtocolError(f"{target.server.label}: {error}") from None
        except DecodedTooLarge:
            raise BodyTooLarge(
                f"the decoded answer of {target.server.label} is larger than "
                f"{self.max_body_bytes} bytes") from None
        return 0

    cdef tuple redirect(self, Target target, bytes method, bytes headers, bytes body,
                        Answer answer):
        """What to send where after a redirect; ``None`` if the answer is none to follow."""
        cdef Target onward
        cdef bint same_origin
        location = answer.header(b"location")
        if answer.status not in (301, 302, 303, 307, 308) or not location:
            return None
        dropped = set()
        if (answer.status == 303 and method != b"HEAD") or (
                answer.status in (301, 302) and method == b"POST"):
            method = b"GET"
            body = b""
            dropped.update(("content-type", "content-encoding"))
        try:
            url = urljoin(target.url, location.decode("utf-8").strip())
            onward = self.make_target(url, [], target.removed)
            same_origin = (onward.port == target.port and onward.host == target.host
                           and onward.scheme == target.scheme)
            if not same_origin:
                dropped.update(SECRET_FIELDS)
                dropped.add("host")
            onward = self.make_target(
                url, [pair for pair in target.headers if pair[0].lower() not in dropped],
                target.removed)
        except ValueError:
            raise ProtocolError(
                f"{target.server.label} redirected to a malformed address") from None
        if dropped:
            headers = b"".join([
                line + b"\r\n" for line in headers.split(b"\r\n")
                if line and line.partition(b":")[0].decode("latin-1").lower() not in dropped])
        return onward, method, headers, body

    cdef object tls(self):
        """The context that verifies servers; built once, because reading the trust store is slow."""
        if self.ssl_context is None:
            context = ssl.create_default_context()
            folder = ssl.get_default_verify_paths().capath
            if not context.cert_store_stats()["x509_ca"] and not (folder and os.listdir(folder)):
                # A system without a trust store, such as a minimal container.
                import certifi

                context.load_verify_locations(certifi.where())
            context.set_alpn_protocols(["http/1.1"])
            self.ssl_context = context
        return self.ssl_context

    cdef int watch(self, double deadline, double now) except -1:
        """Make the timer fire no later than ``deadline``."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer_at = deadline
        self.timer = self.loop.call_later(max(0.0, deadline - now), self.enforce)
        return 0

    def enforce(self):
        """Called by the timer: end what is overdue, set the timer to the next deadline."""
        cdef Connection connection
        cdef double now = monotonic()
        cdef double next_at = INFINITY
        self.timer = None
        self.timer_at = INFINITY
        for entry in list(self.connections):
            connection = <Connection>entry
            connection.check(now)
            if connection.phase != CLOSED and connection.deadline < next_at:
                next_at = connection.deadline
        if next_at < self.timer_at:
            self.watch(next_at, now)

    async def aclose(self):
        """Close all connections; requests under way fail with ``ClientError``."""
        cdef Connection connection
        self.closed = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        for entry in list(self.connections):
            connection = <Connection>entry
            connection.fail(ClientError("the connection pool is closed"))
        for server in self.origins.values():
            while (<Origin>server).waiters:
                waiter = (<Origin>server).waiters.popleft()
                if not waiter.done():
                    waiter.set_exception(ClientError("the connection pool is closed"))
        # Transports close in the next turn of the loop.
        await asyncio.sleep(0)
