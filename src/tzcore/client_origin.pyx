# cython: language_level=3
"""The connections to one scheme, host and port: taken, waited for, opened. For ``tzcore.client``.
"""

import asyncio
import os
import socket
import ssl
import time
from collections import deque

from libc.math cimport INFINITY

from tzcore.client_connection cimport IDLE, Connection, OriginBase, PoolBase
from tzcore.client_connect import open_socket
from tzcore.client_errors import ClientError, ConnectFailed, ConnectTimeout, PoolTimeout
from tzcore.client_proxy import TunnelRefused, open_tunnel

cdef object monotonic = time.monotonic


cdef class Origin(OriginBase):
    """The connections to one scheme, host and port."""

    def __cinit__(self, PoolBase pool, str scheme, str host, int port, proxy):
        self.pool = pool
        self.scheme = scheme
        self.host = host
        self.port = port
        name = f"[{host}]" if ":" in host else host
        self.label = f"{scheme}://{name}"
        if port != (443 if scheme == "https" else 80):
            self.label += f":{port}"
        self.proxy = proxy
        self.idle = []
        self.waiters = deque()

    cdef Connection take(self):
        """An idle connection, ``None`` if there is none."""
        cdef Connection connection
        while self.idle:
            connection = <Connection>self.idle.pop()
            if connection.phase == IDLE and not connection.transport.is_closing():
                return connection
        return None

    cdef int release(self, Connection connection) except -1:
        """``connection`` can serve the next request."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                connection.deadline = INFINITY
                waiter.set_result(connection)
                return 0
        self.idle.append(connection)
        return 0

    cdef int forget(self, Connection connection) except -1:
        """``connection`` is closed: its place is free."""
        if connection in self.idle:
            self.idle.remove(connection)
        self.free_place()
        return 0

    cdef int free_place(self) except -1:
        self.count -= 1
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break
        return 0

    async def acquire(self, double deadline, bint fresh):
        """A connection: an idle one unless ``fresh``, a new one, or the next to become free."""
        cdef Connection connection
        while True:
            if not fresh:
                connection = self.take()
                if connection is not None:
                    return connection
            if self.count < self.pool.max_connections:
                self.count += 1
                try:
                    return await self.connect(deadline)
                except BaseException:
                    self.free_place()
                    raise
            elif fresh and self.idle:
                # A place for the new connection: close one that waits for work.
                (<Connection>self.idle[0]).close()
                continue
            waiter = self.pool.loop.create_future()
            self.waiters.append(waiter)
            try:
                async with asyncio.timeout(
                        None if deadline == INFINITY else max(0.0, deadline - monotonic())):
                    connection = await waiter
            except BaseException as error:
                if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                    # Handed to us while we were leaving: pass it on.
                    if waiter.result() is not None:
                        self.release(<Connection>waiter.result())
                    else:
                        self.count += 1
                        self.free_place()
                if isinstance(error, TimeoutError):
                    raise PoolTimeout(
                        f"all {self.pool.max_connections} connections to {self.label} stayed "
                        "in use for the whole time of the request") from None
                raise
            if connection is None:
                continue
            if connection.phase == IDLE and not connection.transport.is_closing():
                return connection

    async def connect(self, double deadline):
        """A new connection, by TLS and through a proxy as the origin needs it."""
        cdef double limit = self.pool.connect_timeout_s
        cdef double left = deadline - <double>monotonic()
        cdef Connection connection
        proxy = self.proxy
        loop = self.pool.loop
        try:
            async with asyncio.timeout(min(limit, max(left, 0.0))):
                if proxy is not None and self.scheme == "https":
                    connection = await open_tunnel(
                        proxy, self.pool.tls(), self.host, self.port, self.pool.tls(),
                        lambda: Connection(self))
                else:
                    host, port = self.host, self.port
                    secure = self.scheme == "https"
                    if proxy is not None:
                        host, port = proxy.host, proxy.port
                        secure = proxy.scheme == "https"
                    sock = await open_socket(host, port)
                    try:
                        _, connection = await loop.create_connection(
                            lambda: Connection(self), sock=sock,
                            ssl=self.pool.tls() if secure else None,
                            server_hostname=host if secure else None)
                    except BaseException:
                        sock.close()
                        raise
        except TimeoutError as error:
            if error.errno is not None:
                raise ConnectFailed(
                    f"could not connect to {self.place()}: {os.strerror(error.errno)}") from None
            if left <= limit:
                raise ConnectTimeout(
                    f"the time of the request passed while connecting to {self.place()}"
                ) from None
            raise ConnectFailed(
                f"could not connect to {self.place()} within {limit:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise ConnectFailed(
                f"the TLS certificate of {self.place()} was not accepted: "
                f"{error.verify_message}") from None
        except ssl.SSLError as error:
            raise ConnectFailed(
                f"the TLS handshake with {self.place()} failed: "
                f"{error.reason or 'connection closed'}") from None
        except socket.gaierror as error:
            raise ConnectFailed(
                f"the name of {self.place()} could not be resolved: {error.strerror}") from None
        except OSError as error:
            raise ConnectFailed(
                f"could not connect to {self.place()}: "
                f"{os.strerror(error.errno) if error.errno else error}") from None
        except TunnelRefused as error:
            raise ConnectFailed(f"no tunnel to {self.label}: {error}") from None
        if self.pool.closed:
            connection.close()
            raise ClientError("the connection pool is closed")
        return connection

    cdef str place(self):
        if self.proxy is None:
            return self.label
        return f"{self.label} (by the proxy {self.proxy.host}:{self.proxy.port})"
