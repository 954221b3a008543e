"""The items of a stream over HTTP: bytes in, events out of them, items out of those."""

from __future__ import annotations

from collections.abc import Iterable

from tensorzero.providers.base import Splitter
from tensorzero.providers.failures import UNREADABLE, Failures
from tensorzero.providers.items import ItemStream, StreamItem
from tensorzero.providers.reader import StreamReader
from tzcore.client import ClientError, ResponseStream, Target
from tzcore.clock import OutboundClock


class HttpItems(ItemStream):
    """Reads one answer as its bytes arrive (``ResponseStream.push``)."""

    def __init__(
        self,
        response: ResponseStream,
        splitter: Splitter,
        reader: StreamReader,
        failures: Failures,
        raw_request: str,
        target: Target,
        clock: OutboundClock,
    ) -> None:
        super().__init__()
        self._response = response
        self._splitter = splitter
        self._reader = reader
        self._failures = failures
        self._raw_request = raw_request
        self._target = target
        self._clock = clock
        response.push(self)

    def feed(self, data: bytes) -> None:
        """Bytes have arrived."""
        items: list[StreamItem] = []
        try:
            complete = self._read(self._splitter.feed(data), items)
        except ValueError as error:
            items.append(self._broken(error))
            complete = True
        except Exception as fault:  # ours: whoever reads the stream says so
            self._finish(items, fault)
            return
        if complete:
            self._response.finish()
            self._finish(items)
        elif items:
            self._deliver(items)

    def ended(self, error: ClientError | None) -> None:
        """The answer is complete, or lost."""
        items: list[StreamItem] = []
        try:
            if error is not None:
                raise error
            if not self._read(self._splitter.close(), items):
                self._reader.finish()
        except (ClientError, ValueError) as broken:
            items.append(self._broken(broken))
        except Exception as fault:  # ours
            self._finish(items, fault)
            return
        self._finish(items)

    def _read(self, events: Iterable[bytes], items: list[StreamItem]) -> bool:
        """Whether one of the events says that the stream is complete."""
        reader = self._reader
        for event in events:
            if reader.ends(event):
                return True
            if not event:
                continue
            try:
                item = reader.chunk(event)
            except UNREADABLE as error:
                items.append(
                    self._failures.bad_event(
                        error, event, self._response, self._raw_request, self._target
                    )
                )
            else:
                if item is not None:
                    items.append(item)
            if reader.done:
                return True
        return False

    def _broken(self, error: Exception) -> StreamItem:
        return self._failures.broken(error, self._response, self._raw_request, self._target)

    def _finish(self, items: list[StreamItem], fault: Exception | None = None) -> None:
        if items:
            self._deliver(items)
        self._end(fault)

    def _release(self) -> None:
        self._clock.leave()
        self._response.close()
