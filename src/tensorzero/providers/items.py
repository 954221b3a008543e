"""What an opened stream gives: items, one after the other, pushed to whoever takes them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Protocol

from tensorzero.types.errors import GatewayError
from tensorzero.types.model import ProviderChunk
from tzcore.streams import TextLane
from tzcore.task import Signal

StreamItem = ProviderChunk | GatewayError
"""A chunk, or an error in its place. Reading goes on after an error unless the stream ends."""


class ItemReceiver(Protocol):
    """What the items of a stream are pushed to. Its methods must not raise."""

    def take(self, item: StreamItem) -> None:
        """The next item."""

    def flush(self) -> None:
        """All that one read has brought has been taken."""

    def end(self, fault: Exception | None) -> None:
        """Nothing more comes. ``fault``: what went wrong in the gateway itself."""


class Items(Protocol):
    """What is left of a stream: see ``ItemStream``."""

    def push(self, receiver: ItemReceiver, lane: TextLane | None = None) -> None: ...
    def close(self) -> None: ...


class ItemStream(ABC):
    """The items of one stream. ``first`` waits for the first of them, ``push`` gives all others to
    a receiver within the callback that brought them: no task is resumed for an item.

    A stream that is given up early must be closed.
    """

    def __init__(self) -> None:
        self._items: list[StreamItem] = []
        self._receiver: ItemReceiver | None = None
        self._waiter: Signal | None = None
        self._ended = False
        self._fault: Exception | None = None

    async def first(self) -> StreamItem | None:
        """The first item, ``None`` if there is none. A cancelled wait closes the stream."""
        if not self._items and not self._ended:
            self._waiter = Signal(asyncio.get_running_loop())
            try:
                await self._waiter
            except BaseException:
                self.close()
                raise
        if self._items:
            return self._items.pop(0)
        if self._fault is not None:
            raise self._fault
        return None

    def push(self, receiver: ItemReceiver, lane: TextLane | None = None) -> None:
        """Give what comes to ``receiver``; what is there already before this returns. Texts that
        come later may go by ``lane`` instead."""
        self._receiver = receiver
        if self._items:
            items, self._items = self._items, []
            for item in items:
                receiver.take(item)
            receiver.flush()
        if self._ended:
            self._leave()

    def close(self) -> None:
        """Give the stream up: the receiver hears nothing more. Harmless on one that has ended."""
        self._receiver = None
        if not self._ended:
            self._ended = True
            self._release()

    @abstractmethod
    def _release(self) -> None:
        """The stream is over, or was given up: let go of what it is read from."""

    def _add(self, item: StreamItem) -> None:
        """An item has come."""
        if self._receiver is not None:
            self._receiver.take(item)
        else:
            self._items.append(item)

    def _flush(self) -> None:
        """A read is done: to be called as the last act of a callback, or before ``_end``."""
        if self._receiver is not None:
            self._receiver.flush()
        elif self._items:  # a read may have brought nothing to show
            self._wake()

    def _end(self, fault: Exception | None = None) -> None:
        """Nothing more comes."""
        if not self._ended:
            self._ended = True
            self._fault = fault
            self._release()
            self._leave()

    def _leave(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.end(self._fault)
        else:
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.set_result_now(None)
