# cython: language_level=3
"""An answer's body on its way from a connection to whoever reads it. For ``tzcore.client``."""

from cpython.bytes cimport PyBytes_GET_SIZE

from tzcore.client_response cimport Answer
from tzcore.task cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit, Signal
from tzcore.client_coding import DecodedTooLarge, Undecodable
from tzcore.client_errors import BodyTooLarge, ClientError, ProtocolError

cdef enum:
    STREAM_PAUSE_BYTES = 1048576    # unread bytes of a stream at which reading pauses


cdef class Source:
    """What fills an inbox: the connection."""

    cdef int close(self) except -1:
        """Drop the connection."""
        raise NotImplementedError

    cdef int hurry(self, double seconds) except -1:
        """Bring the deadline of the exchange forward."""
        raise NotImplementedError


cdef class Inbox:
    """What has arrived of a stream; the connection fills it, a ``ResponseStream`` empties it:
    by hand, or (``pushed`` is set) at the end of each callback that put something in."""

    cdef int wake(self, bint now) except -1:
        """Let the reader go on. ``now``: before this returns."""
        cdef Signal waiter = self.waiter
        cdef ResponseStream pushed = self.pushed
        if pushed is not None:
            if now:
                pushed.deliver()
            else:
                pushed.loop.call_soon(pushed.go_on)
        elif waiter is not None:
            self.waiter = None
            if not waiter.set:
                waiter.fire(None, None, now)
        return 0

    cdef int put(self, bytes data) except -1:
        if self.dropping:
            return 0
        self.pieces.append(data)
        self.size += PyBytes_GET_SIZE(data)
        if self.size > STREAM_PAUSE_BYTES and not self.paused:
            self.paused = True
            self.connection.transport.pause_reading()
        return 0

    cdef bytes take(self):
        cdef bytes data = <bytes>self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        self.pieces.clear()
        self.size = 0
        if self.paused:
            self.paused = False
            if self.connection is not None:
                self.connection.transport.resume_reading()
        return data

    cdef int settle(self, error) except -1:
        """The body is complete (``None``) or lost."""
        self.connection = None
        self.error = error
        self.finished = True
        return 0

    cdef int abandon(self) except -1:
        """Nobody reads on: an unfinished answer closes its connection."""
        cdef Source connection = self.connection
        self.pushed = None
        if self.dropping:
            return 0
        self.connection = None
        self.pieces.clear()
        self.size = 0
        if not self.finished:
            self.finished = True
            self.error = ClientError("the stream was closed before its end")
            self.wake(False)
        if connection is not None:
            connection.close()
        return 0

    cdef int drop_rest(self, double seconds) except -1:
        """Nobody reads on, and the answer should end within ``seconds``."""
        cdef Source connection = self.connection
        self.pushed = None
        self.pieces.clear()
        self.size = 0
        self.dropping = True
        if connection is not None:
            if self.paused:
                self.paused = False
                connection.transport.resume_reading()
            connection.hurry(seconds)
        return 0


cdef class ResponseStream(Answer):
    """An answer whose body is read as it arrives; iterate, ``read()``, ``push()`` or ``close()``
    it."""

    def __del__(self):
        if self.inbox is not None:
            self.inbox.abandon()

    def __aiter__(self):
        return self

    async def __anext__(self):
        cdef Inbox inbox = self.inbox
        cdef Signal waiter
        cdef bytes data
        while True:
            if inbox.pieces:
                data = inbox.take()
                if self.decoder is not None:
                    data = self.decode(data, False)
                if data:
                    return data
                continue
            if inbox.finished:
                if inbox.error is not None:
                    raise inbox.error
                if self.decoder is not None:
                    data = self.decode(b"", True)
                    self.decoder = None
                    if data:
                        return data
                raise StopAsyncIteration
            if inbox.waiter is not None:
                raise RuntimeError("two readers wait for the same stream")
            waiter = Signal.__new__(Signal)
            waiter.loop = self.loop
            inbox.waiter = waiter
            try:
                await waiter
            finally:
                if inbox.waiter is waiter:
                    inbox.waiter = None

    cdef bytes decode(self, bytes data, bint last):
        try:
            return self.decoder.finish() if last else self.decoder.feed(data)
        except Undecodable as error:
            failure = ProtocolError(f"{self.label}: {error}")
        except DecodedTooLarge:
            failure = BodyTooLarge(f"the decoded answer of {self.label} is too large")
        self.decoder = None
        self.inbox.abandon()
        self.inbox.error = failure
        raise failure

    def push(self, receiver not None):
        """Give what arrives to ``receiver``, in the current context: pieces to its ``feed``, the
        end or the error to its ``ended``."""
        cdef Inbox inbox = self.inbox
        if self.receiver is not None or inbox.waiter is not None:
            raise RuntimeError("two readers wait for the same stream")
        self.receiver = receiver
        self.context = PyContext_CopyCurrent()
        inbox.pushed = self
        self.deliver()

    def go_on(self):
        """Called by the loop: deliver what is there."""
        self.deliver()

    cdef int deliver(self) except -1:
        """Give the receiver what has arrived, until nothing is left or it wants no more."""
        cdef Inbox inbox = self.inbox
        context = self.context
        if self.delivering or inbox.pushed is None:
            return 0
        self.delivering = True
        PyContext_Enter(context)
        try:
            while inbox.pushed is not None:
                if inbox.pieces:
                    self.pass_on(inbox.take(), False)
                elif inbox.finished:
                    if inbox.error is None and self.decoder is not None:
                        self.pass_on(b"", True)
                        self.decoder = None
                        continue
                    inbox.pushed = None
                    receiver, self.receiver = self.receiver, None
                    receiver.ended(inbox.error)
                else:
                    break
        except BaseException:
            inbox.abandon()
            raise
        finally:
            PyContext_Exit(context)
            self.delivering = False
            if inbox.pushed is None:
                self.receiver = None
                self.context = None
        return 0

    cdef int pass_on(self, bytes data, bint last) except -1:
        if self.decoder is not None:
            try:
                data = self.decode(data, last)
            except ClientError:
                self.inbox.pushed = self    # decode() has given the stream up; it says why
                return 0
        if PyBytes_GET_SIZE(data):
            self.receiver.feed(data)
        return 0

    async def read(self):
        """The rest of the body."""
        cdef list pieces = []
        async for data in self:
            pieces.append(data)
        return b"".join(pieces)

    def finish(self, double linger_s=1.0):
        """The caller has all it needs: what is left is dropped, so that the connection can serve
        again. It is closed if the answer does not end within ``linger_s`` seconds."""
        self.inbox.drop_rest(linger_s)

    def close(self):
        """Close an unfinished stream and its connection; harmless on a finished one."""
        self.inbox.abandon()
        if not self.delivering:
            self.receiver = None
            self.context = None

    async def aclose(self):
        """``close()``, for those who call it with ``await``."""
        self.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, traceback):
        self.inbox.abandon()
