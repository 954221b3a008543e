"""An eager task is to its coroutine what an ``asyncio.Task`` is."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
import uvloop

from tzcore.task import EagerTask, Signal

Body = Callable[[], Awaitable[Any]]


def run(test: Body) -> Any:
    async def main() -> Any:
        return await test()

    return asyncio.run(main())


async def ended(body: Body, act: Callable[[EagerTask], None] | None = None) -> tuple[str, Any]:
    """How a task of ours ends."""
    outcome: list[tuple[str, Any]] = []

    async def observed() -> None:
        try:
            outcome.append(("returned", await body()))
        except BaseException as error:
            outcome.append((type(error).__name__, str(error)))
            raise

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    running: set[EagerTask] = set()
    task = EagerTask(observed(), running)
    assert (task in running) is not task.done()
    if act is not None:
        act(task)
    async with asyncio.timeout(10):
        await task
    assert task.done()
    assert not running
    return outcome[0]


async def ended_by_asyncio(body: Body, act: Callable[[Any], None] | None = None) -> tuple[str, Any]:
    """How asyncio's own task ends, acted on after its first step."""
    task = asyncio.ensure_future(body())
    await asyncio.sleep(0)
    if act is not None:
        act(task)
    try:
        return "returned", await task
    except BaseException as error:
        return type(error).__name__, str(error)


async def nothing() -> str:
    return "done"


async def raises() -> str:
    await asyncio.sleep(0)
    raise ValueError("wrong")


async def turns() -> int:
    for _ in range(5):
        await asyncio.sleep(0)
    return 5


async def sleeps() -> str:
    await asyncio.sleep(0.01)
    return "slept"


async def too_long() -> str:
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(30)
    except TimeoutError:
        return "in time"
    return "late"


async def at_once() -> str:
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    except TimeoutError:
        return "in time"
    return "late"


async def gathers() -> list[Any]:
    return list(await asyncio.gather(sleeps(), turns(), nothing()))


async def waits_for() -> str:
    return await asyncio.wait_for(sleeps(), 10)


async def locks() -> str:
    lock = asyncio.Lock()
    async with lock:
        await asyncio.sleep(0)
    return "unlocked"


async def in_a_thread() -> int:
    return await asyncio.to_thread(lambda: 7)


async def yields_nonsense() -> None:
    class Odd:
        def __await__(self) -> Any:
            yield 5

    await Odd()


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def stubborn() -> str:
    """Survives one cancellation."""
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        task: Any = asyncio.current_task()
        return f"survived {task.cancelling()} {task.uncancel()}"
    return "undisturbed"


def cancel(task: Any) -> None:
    assert task.cancel()


def cancel_twice(task: Any) -> None:
    task.cancel()
    task.cancel()


BODIES = [
    nothing,
    raises,
    turns,
    sleeps,
    too_long,
    at_once,
    gathers,
    waits_for,
    locks,
    in_a_thread,
    yields_nonsense,
]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("body", BODIES)
def test_ends_as_a_task_of_asyncio(body: Body, loop: str) -> None:
    async def both() -> tuple[Any, Any]:
        return await ended(body), await ended_by_asyncio(body)

    ours, theirs = (asyncio.run if loop == "asyncio" else uvloop.run)(both())
    assert ours[0] == theirs[0]
    if ours[0] != "RuntimeError":
        assert ours == theirs


@pytest.mark.parametrize("body", [forever, stubborn, sleeps, turns, gathers, waits_for])
@pytest.mark.parametrize("act", [cancel, cancel_twice])
def test_is_cancelled_as_a_task_of_asyncio(body: Body, act: Callable[[Any], None]) -> None:
    ours = run(lambda: ended(body, act))
    assert ours == run(lambda: ended_by_asyncio(body, act))


def test_the_first_step_runs_at_once() -> None:
    async def test() -> None:
        steps: list[int] = []

        async def body() -> None:
            steps.append(1)
            await asyncio.sleep(0)
            steps.append(2)

        task = EagerTask(body(), set())
        assert steps == [1]
        assert not task.done()
        await task
        assert steps == [1, 2]
        assert not task.cancel()

    run(test)


def test_it_is_the_current_task_and_gives_the_outer_one_back() -> None:
    async def test() -> None:
        seen: list[Any] = []

        async def inner() -> None:
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())

        async def outer() -> None:
            seen.append(asyncio.current_task())
            seen.append(EagerTask(inner(), set()))
            seen.append(asyncio.current_task())

        own = asyncio.current_task()
        task = EagerTask(outer(), set())
        assert asyncio.current_task() is own
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen == [task, seen[2], seen[2], task, seen[2]]
        assert isinstance(seen[2], EagerTask)

    run(test)


def test_it_has_a_context_of_its_own() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="nobody")

    async def test() -> None:
        seen: list[str] = []

        async def body() -> None:
            seen.append(variable.get())
            variable.set("inner")
            await asyncio.sleep(0)
            seen.append(variable.get())

        variable.set("outer")
        task = EagerTask(body(), set())
        assert variable.get() == "outer"
        variable.set("later")
        await task
        assert seen == ["outer", "inner"]

    run(test)


@pytest.mark.parametrize("eager", [True, False])
def test_a_signal_wakes_whoever_waits(eager: bool) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        got: list[Any] = []

        async def body(signal: Signal) -> None:
            try:
                got.append(await signal)
            except ValueError as error:
                got.append(str(error))

        async def begin(signal: Signal) -> Any:
            if eager:
                return EagerTask(body(signal), set())
            task = asyncio.ensure_future(body(signal))
            await asyncio.sleep(0)
            return task

        signal = Signal(loop)
        task = await begin(signal)
        signal.set_result_now(1)
        assert got == ([1] if eager else [])
        await task
        signal = Signal(loop)
        task = await begin(signal)
        signal.set_result(2)
        assert signal.done()
        assert got == [1]
        await task
        signal = Signal(loop)
        task = await begin(signal)
        signal.set_exception(ValueError("no"))
        await task
        signal = Signal(loop)
        signal.set_result(3)
        await (await begin(signal))
        assert got == [1, 2, "no", 3]

    run(test)


def test_a_cancelled_wait_for_a_signal() -> None:
    async def test() -> None:
        signal = Signal(asyncio.get_running_loop())

        async def body() -> None:
            await signal

        assert await ended(body, cancel) == ("CancelledError", "")
        assert signal.done()

        # Set first, then cancelled before it went on: the cancellation is what it sees.
        signal = Signal(asyncio.get_running_loop())

        async def other() -> str:
            await signal
            return "went on"

        def both(task: EagerTask) -> None:
            signal.set_result(1)
            task.cancel()

        assert await ended(other, both) == ("CancelledError", "")

    run(test)


def test_a_failure_reaches_the_loop_s_handler() -> None:
    async def test() -> None:
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: told.append(context["exception"])
        )

        async def body() -> None:
            raise ValueError("wrong")

        assert EagerTask(body(), set()).done()
        assert [str(error) for error in told] == ["wrong"]

    run(test)


def test_a_finished_task_is_garbage_at_once() -> None:
    async def test() -> None:
        class Marker:
            pass

        async def body(marker: Marker) -> None:
            await asyncio.sleep(0)

        marker = Marker()
        gone = weakref.ref(marker)
        gc.disable()
        try:
            task = EagerTask(body(marker), set())
            del marker
            await task
            del task
            assert gone() is None
        finally:
            gc.enable()

    run(test)
