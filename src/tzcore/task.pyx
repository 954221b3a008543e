# cython: language_level=3
"""A task that begins at once and goes on as soon as what it waits for is there.

``asyncio.Task`` runs each step in a later turn of the event loop: begun in one, it writes its
first request in the next. An ``EagerTask`` runs its first step where it is made, and a step that
waits for a ``Signal`` where that fires, so that a request goes from socket to socket within one
callback. In all else it is to its coroutine what an ``asyncio.Task`` is: ``current_task``,
``asyncio.timeout`` and cancellation work, and it has a context of its own. Tasks are made known
to asyncio by the functions that it documents for other implementations (its page "Extending").
"""

import asyncio
from asyncio import CancelledError, current_task
from asyncio.tasks import _enter_task, _leave_task

from cpython.object cimport PyObject

cdef extern from "Python.h":
    # 0: it has returned; 1: it has yielded.
    int PyIter_Send(object iterator, object value, PyObject **result) except -1
    void Py_DECREF(PyObject *value)

cdef object get_running_loop = asyncio.get_running_loop


cdef class Signal:
    """Something that one task waits for, once."""

    def __init__(self, loop):
        self.loop = loop

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.set:
            error, self.error = self.error, None
            if error is not None:
                raise error
            raise StopIteration(self.value)
        if isinstance(current_task(self.loop), EagerTask):
            return self
        self.future = self.loop.create_future()
        self.future._asyncio_future_blocking = True
        return self.future

    def done(self):
        """Whether it has been set."""
        return self.set

    def set_result(self, value):
        """Wake the waiter in the loop's next turn."""
        self.fire(value, None, False)

    def set_result_now(self, value):
        """Let the waiter go on before this returns. Only where no task is in the middle of
        something: in a callback of the event loop, as its last act."""
        self.fire(value, None, True)

    def set_exception(self, error):
        """Wake the waiter in the loop's next turn; it gets ``error`` raised."""
        self.fire(None, error, False)

    cdef int fire(self, value, error, bint now) except -1:
        cdef EagerTask task = self.task
        self.set = True
        self.value = value
        self.error = error
        if task is not None:
            self.task = None
            if now:
                task.resume(self)
            else:
                self.loop.call_soon(task.go_on, self)
        elif self.receiver is not None:
            receiver, self.receiver = self.receiver, None
            if now:
                receiver(value, error)
            else:
                self.loop.call_soon(receiver, value, error)
        elif self.future is not None:
            future, self.future = self.future, None
            if not future.done():
                future.set_result(None)
        return 0


cdef class EagerTask:
    """Runs ``coroutine``; its first step before the constructor returns.

    It is in the set ``running`` from its first suspension until it ends. What it raises, other
    than ``CancelledError``, goes to the loop's exception handler.
    """

    def __init__(self, coroutine, running):
        self.coroutine = coroutine
        self.loop = get_running_loop()
        self.context = PyContext_CopyCurrent()
        self.running = running
        self.step(None)
        if not self.finished:
            running.add(self)

    def done(self):
        """Whether the coroutine has ended."""
        return self.finished

    def get_loop(self):
        return self.loop

    def get_name(self):
        return "request"

    def get_coro(self):
        return self.coroutine

    def __await__(self):
        """Wait until it has ended, however it did."""
        return self.join().__await__()

    async def join(self):
        if not self.finished:
            future = self.loop.create_future()
            if self.joiners is None:
                self.joiners = []
            self.joiners.append(future)
            await future

    def cancel(self, msg=None):
        """Raise ``CancelledError`` in the coroutine, where it waits, in the loop's next turn."""
        cdef Signal signal
        if self.finished:
            return False
        self.cancels += 1
        waiting = self.waiting
        if isinstance(waiting, Signal):
            signal = <Signal>waiting
            if signal.task is self:
                signal.task = None
                signal.fire(None, CancelledError(), False)
                self.loop.call_soon(self.go_on, signal)
                return True
        elif waiting is not None and waiting.cancel():
            return True
        self.must_cancel = True
        return True

    def cancelling(self):
        """How many cancellations have not been taken back."""
        return self.cancels

    def uncancel(self):
        if self.cancels > 0:
            self.cancels -= 1
        return self.cancels

    def go_on(self, awaited):
        """Called by the loop: what was awaited is there."""
        if self.waiting is awaited:
            self.waiting = None
            self.step(None)

    cdef int resume(self, Signal signal) except -1:
        if self.waiting is signal:
            self.waiting = None
            self.step(None)
        return 0

    cdef int step(self, error) except -1:
        """Run to the next suspension, as the loop's current task, in the task's context."""
        outer = current_task(self.loop)
        if outer is not None:
            _leave_task(self.loop, outer)
        _enter_task(self.loop, self)
        PyContext_Enter(self.context)
        try:
            self.run(error)
        finally:
            PyContext_Exit(self.context)
            _leave_task(self.loop, self)
            if outer is not None:
                _enter_task(self.loop, outer)
        return 0

    cdef int run(self, error) except -1:
        cdef PyObject *result = NULL
        cdef int yielded
        try:
            if self.must_cancel:
                self.must_cancel = False
                error = error or CancelledError()
            if error is not None:
                awaited = self.coroutine.throw(error)
            else:
                yielded = PyIter_Send(self.coroutine, None, &result)
                awaited = <object>result
                Py_DECREF(result)
                if not yielded:
                    return self.finish()
        except (StopIteration, CancelledError):
            return self.finish()
        except (KeyboardInterrupt, SystemExit):
            self.finish()
            raise
        except BaseException as failure:
            self.finish()
            self.loop.call_exception_handler(
                {"message": "a request's task failed", "exception": failure})
            return 0
        return self.suspend(awaited)

    cdef int suspend(self, awaited) except -1:
        cdef Signal signal
        if isinstance(awaited, Signal):
            signal = <Signal>awaited
            signal.task = self
            self.waiting = signal
        elif awaited is None:
            # A bare yield, as of ``asyncio.sleep(0)``.
            self.waiting = NEXT_TURN
            self.loop.call_soon(self.go_on, NEXT_TURN)
        elif getattr(awaited, "_asyncio_future_blocking", None):
            awaited._asyncio_future_blocking = False
            self.waiting = awaited
            awaited.add_done_callback(self.go_on)
            if self.must_cancel and awaited.cancel():
                self.must_cancel = False
            return 0
        else:
            self.loop.call_soon(
                self.fail, RuntimeError(f"a task got an unexpected yield: {awaited!r}"))
            return 0
        if self.must_cancel:
            self.must_cancel = False
            self.cancels -= 1
            self.cancel()
        return 0

    def fail(self, error):
        """Called by the loop: raise ``error`` where the coroutine waits."""
        self.step(error)

    cdef int finish(self) except -1:
        self.finished = True
        self.waiting = None
        running, self.running = self.running, None
        if running is not None:
            running.discard(self)
        joiners, self.joiners = self.joiners, None
        if joiners is not None:
            for joiner in joiners:
                if not joiner.done():
                    joiner.set_result(None)
        return 0


class _NextTurn:
    """What a task waits for that only gives others a turn."""

    def cancel(self):
        return False


cdef object NEXT_TURN = _NextTurn()
