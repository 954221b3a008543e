# cython: language_level=3
"""How long an inference had outbound requests open: overlapping ones count once."""

from time import monotonic


cdef class OutboundClock:
    """Runs while at least one outbound request is open. ``total_s`` is in seconds."""

    cdef int open
    cdef double since
    cdef double closed_s

    def enter(self):
        """An outbound request begins."""
        if self.open == 0:
            self.since = monotonic()
        self.open += 1

    def leave(self):
        """An outbound request is over, however it went."""
        self.open -= 1
        if self.open == 0:
            self.closed_s += <double>monotonic() - self.since

    def add(self, double seconds):
        """An outbound request was open for so long, before this clock was there."""
        self.closed_s += seconds

    @property
    def total_s(self):
        if self.open:
            return self.closed_s + <double>monotonic() - self.since
        return self.closed_s
