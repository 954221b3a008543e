# cython: language_level=3
"""What connections write in one turn of the event loop, handed to their sockets at its end.

Every write wakes the process at the other end if it sleeps, which costs the writer several
microseconds, more than the write itself. Written one right after the other, several requests
find their reader awake. A turn in which only one connection had something to do loses nothing.
"""

import logging

cdef object logger = logging.getLogger("tzcore.outbox")

cdef enum:
    MOST = 32       # what waits at most: others must not wait for a long turn to end


cdef class Outbox:
    """One for each event loop, used by its thread alone."""

    def __cinit__(self, loop):
        self.loop = loop
        self.flush_later = self.flush
        self.transports = []
        self.pieces = []
        self.scheduled = False

    cdef int put(self, transport, bytes data) except -1:
        """Write ``data`` to ``transport`` before the loop waits for events again."""
        self.transports.append(transport)
        self.pieces.append(data)
        if len(self.pieces) >= MOST:
            return self.send()
        if not self.scheduled:
            self.loop.call_soon(self.flush_later)
            self.scheduled = True
        return 0

    def flush(self):
        """Called by the loop."""
        self.scheduled = False
        self.send()

    cdef int send(self) except -1:
        """Write what waits, in order. Before anything else that is done to a transport."""
        cdef list transports = self.transports
        cdef list pieces = self.pieces
        cdef Py_ssize_t at
        if not pieces:
            return 0
        self.transports = []
        self.pieces = []
        for at in range(len(pieces)):
            try:
                transport = transports[at]
                if not transport.is_closing():
                    transport.write(pieces[at])
            except Exception:  # whatever it is: it must not lose what others have to send
                logger.exception("could not write to a connection")
        return 0


cdef Outbox _latest = None


cdef Outbox outbox_of(loop):
    """The loop's outbox."""
    global _latest
    if _latest is None or _latest.loop is not loop:
        _latest = Outbox(loop)
    return _latest
