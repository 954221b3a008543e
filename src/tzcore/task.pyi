import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

class Signal:
    """Something that one task waits for, once: ``await signal``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def __await__(self) -> Generator[Any, None, Any]: ...
    def done(self) -> bool: ...
    def set_result(self, value: object) -> None:
        """Wake the waiter in the loop's next turn."""

    def set_result_now(self, value: object) -> None:
        """Let the waiter go on before this returns; only as a loop callback's last act."""

    def set_exception(self, error: BaseException) -> None:
        """Wake the waiter in the loop's next turn; ``error`` is raised there."""

class EagerTask:
    """Runs ``coroutine``; its first step before the constructor returns.

    It is in the set ``running`` from its first suspension until it ends. What it raises, other
    than ``CancelledError``, goes to the loop's exception handler.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None], running: set[Any]) -> None: ...
    def __await__(self) -> Generator[Any]:
        """Wait until it has ended, however it did."""

    async def join(self) -> None:
        """Wait until it has ended, however it did."""

    def done(self) -> bool: ...
    def cancel(self, msg: object = None) -> bool:
        """Raise ``CancelledError`` in the coroutine, where it waits, in the loop's next turn."""

    def cancelling(self) -> int: ...
    def uncancel(self) -> int: ...
    def get_loop(self) -> asyncio.AbstractEventLoop: ...
    def get_name(self) -> str: ...
    def get_coro(self) -> Coroutine[Any, Any, None]: ...
