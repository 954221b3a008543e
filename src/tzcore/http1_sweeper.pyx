# cython: language_level=3
"""Time limits of connections without a timer for each. For ``tzcore.http1``."""

import logging
import time

cdef object monotonic = time.monotonic
cdef object logger = logging.getLogger("tzcore.http1")


cdef class Swept:
    """A connection with time limits."""

    cdef int check(self, double now) except -1:
        """Enforce them; called about once a second."""
        raise NotImplementedError


cdef class Sweeper:
    """The one timer of all connections of a loop."""

    def __cinit__(self, loop, double interval):
        self.loop = loop
        self.interval = interval
        self.connections = set()

    cdef int add(self, Swept connection) except -1:
        self.connections.add(connection)
        if self.timer is None:
            self.timer = self.loop.call_later(self.interval, self.sweep)
        return 0

    cdef int remove(self, Swept connection) except -1:
        self.connections.discard(connection)
        return 0

    def sweep(self):
        self.timer = None
        cdef double now = monotonic()
        for connection in list(self.connections):
            try:
                (<Swept>connection).check(now)
            except Exception:
                # One connection in trouble must not stop the time limits of the others.
                logger.exception("could not check the time limits of a connection")
                self.connections.discard(connection)
        if self.connections:
            self.timer = self.loop.call_later(self.interval, self.sweep)
