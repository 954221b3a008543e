# cython: language_level=3
"""What lies between a stream's two sockets: events in, frames out, within one callback.

An ``EventPump`` cuts what arrives into events. Nearly all of them are one piece of text: those
take the short way, a ``TextLane``, which keeps the text for the record and writes the frame for
the client without a Python function in between; all others go to the pump's owner. A
``FrameQueue`` sends what one read gave as one piece. Cost of a text event, reading its JSON
included: about a microsecond.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8

from tzcore.buffer cimport Buffer, lit
from tzcore.sse cimport SSEParser


# Nothing that runs while it is filled can come back here.
cdef Buffer scratch = Buffer()


cdef class FrameQueue:
    """The frames of one answer that are not sent yet. ``exchange``: what sends them; ``silent`` is
    0 when something was sent since it was last set."""

    cdef readonly object exchange
    cdef readonly bint left          # the client, or it was cut off
    cdef public int silent
    cdef bytes first
    cdef list more

    def __init__(self, exchange):
        self.exchange = exchange

    def add(self, bytes data not None):
        """Data without a line end, as an event."""
        scratch.clear()
        lit(scratch, b"data: ")
        scratch.put_bytes(data)
        lit(scratch, b"\n\n")
        self.put(scratch.take())

    cdef int put(self, bytes frame) except -1:
        if self.first is None:
            self.first = frame
        elif self.more is None:
            self.more = [self.first, frame]
        else:
            self.more.append(frame)
        return 0

    def flush(self):
        """Send what there is, as one piece."""
        self.send()

    def leave(self):
        """Called once when the client is found to have left."""

    cdef int send(self) except -1:
        cdef bytes data = self.first
        if data is None:
            return 0
        if self.more is not None:
            data = b"".join(self.more)
            self.more = None
        self.first = None
        self.silent = 0
        if not self.left and not self.exchange.send(data):
            self.left = True
            self.leave()
        return 0


cdef class TextLane:
    """The short way of texts. ``parts_of(id)`` is the list that takes a block's texts for the
    record, ``payloads`` takes the events; ``around(id)`` is what stands before and after a text in
    its frame, ``None`` while the frame needs more thought than that. ``skips_empty``: an empty
    text makes no frame."""

    cdef FrameQueue queue
    cdef object parts_of
    cdef object around
    cdef list payloads
    cdef bint skips_empty
    cdef str id
    cdef list parts
    cdef bytes before
    cdef bytes after

    def __init__(self, FrameQueue queue not None, parts_of, list payloads not None, around, *,
                 bint skips_empty):
        self.queue = queue
        self.parts_of = parts_of
        self.payloads = payloads
        self.around = around
        self.skips_empty = skips_empty

    cdef bint add(self, str id, str text, bytes event) except -1:
        """Whether the event could take this way."""
        cdef bint empty = not text
        if self.id is None or (id is not self.id and id != self.id):
            found = self.around(id)
            if found is None:
                return False
            self.before = b"data: " + <bytes>found[0]
            self.after = <bytes>found[1] + b"\n\n"
            self.parts = None
            self.id = id
        if not (empty and self.skips_empty) and not self.queue.left:
            scratch.clear()
            scratch.put_bytes(self.before)
            try:
                scratch.put_string(text)
            except UnicodeEncodeError:
                return False
            scratch.put_bytes(self.after)
            self.queue.put(scratch.take())
        if not empty:
            if self.parts is None:
                self.parts = self.parts_of(id)
            self.parts.append(text)
        self.payloads.append(PyUnicode_DecodeUTF8(
            PyBytes_AS_STRING(event), PyBytes_GET_SIZE(event), "replace"))
        return True


cdef class EventPump:
    """Receives a ``ResponseStream`` for ``owner``. ``splitter`` cuts bytes into events; ``text_of``
    makes of an event that is one piece of text an object with ``id`` and ``text``, ``None`` of any
    other (or is itself ``None``: no event is read here)."""

    cdef object owner
    cdef object splitter
    cdef object text_of
    cdef TextLane lane

    def __init__(self, owner, splitter, text_of):
        self.owner = owner
        self.splitter = splitter
        self.text_of = text_of

    def by(self, TextLane lane):
        """Texts go by ``lane`` from now on."""
        if self.text_of is not None:
            self.lane = lane

    def close(self):
        """Hand on nothing more."""
        self.owner = None
        self.lane = None

    def feed(self, bytes data not None):
        """Bytes have arrived."""
        try:
            self.read(data)
        except Exception as error:
            if self.owner is None:
                raise
            self.owner.failed(error)

    cdef int read(self, bytes data) except -1:
        cdef list events
        cdef bint general = False
        cdef TextLane lane = self.lane
        fault = None
        if type(self.splitter) is SSEParser:
            try:
                events = (<SSEParser>self.splitter).split(data)
            except ValueError as error:
                events = []
                fault = error
        else:
            events = []
            try:
                for event in self.splitter.feed(data):
                    events.append(event)
            except ValueError as error:
                fault = error
        for event in events:
            if lane is not None:
                chunk = self.text_of(event)
                if chunk is not None and lane.add(chunk.id, chunk.text, event):
                    continue
            general = True
            if self.owner is None or self.owner.event(event):
                return 0
        if fault is not None and self.owner is not None:
            self.owner.broken(fault)
        elif general:
            if self.owner is not None:
                self.owner.flush()
        elif lane is not None:
            lane.queue.send()
        return 0

    def ended(self, error):
        """The answer is complete, or lost."""
        if self.owner is not None:
            self.owner.ended(error)


cdef class TextAt:
    """Reads the events that are one piece of text: ``decode`` turns one into objects or raises one
    of ``other_form``, ``path`` leads to the text (attributes by name, items by number)."""

    cdef object decode
    cdef object other_form
    cdef tuple path
    cdef object make
    cdef str id

    def __init__(self, decode, tuple other_form not None, tuple path not None, make, str id not None):
        self.decode = decode
        self.other_form = other_form
        self.path = path
        self.make = make
        self.id = id

    def __call__(self, event):
        """``make(id, text)``, ``None`` for an event of any other form."""
        try:
            found = self.decode(event)
        except self.other_form:
            return None
        for step in self.path:
            found = getattr(found, step) if type(step) is str else found[step]
        return self.make(self.id, found)
