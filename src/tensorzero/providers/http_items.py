"""The items of a stream over HTTP: bytes in, events out of them, items out of those."""

from __future__ import annotations

from tensorzero.providers.base import Splitter
from tensorzero.providers.failures import UNREADABLE, Failures
from tensorzero.providers.items import ItemReceiver, ItemStream
from tensorzero.providers.reader import StreamReader
from tzcore.client import ClientError, ResponseStream, Target
from tzcore.clock import OutboundClock
from tzcore.streams import EventPump, TextLane


class HttpItems(ItemStream):
    """Reads one answer as its bytes arrive; texts by the short way once there is one."""

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
        self._pump = EventPump(self, splitter, reader.read_text)
        response.push(self._pump)

    def push(self, receiver: ItemReceiver, lane: TextLane | None = None) -> None:
        super().push(receiver)
        if lane is not None and not self._ended:
            self._pump.by(lane)

    # --- called by the pump

    def event(self, event: bytes) -> bool:
        """The next event; whether none that follows counts."""
        reader = self._reader
        if reader.ends(event):
            return self._complete()
        if event:
            try:
                item = reader.chunk(event)
            except UNREADABLE as error:
                self._add(
                    self._failures.bad_event(
                        error, event, self._response, self._raw_request, self._target
                    )
                )
            else:
                if item is not None:
                    self._add(item)
            if reader.done:
                return self._complete()
        return self._ended

    def flush(self) -> None:
        """All events of a read have been given."""
        self._flush()

    def broken(self, error: Exception) -> None:
        """The stream breaks off here."""
        self._add(self._failures.broken(error, self._response, self._raw_request, self._target))
        self._flush()
        self._end()

    def ended(self, error: ClientError | None) -> None:
        """The answer is complete, or lost."""
        if error is not None:
            self.broken(error)
            return
        try:
            for event in self._splitter.close():
                if self.event(event):
                    return
            self._reader.finish()
        except ValueError as broken:
            self.broken(broken)
        except Exception as fault:
            self.failed(fault)
        else:
            self._flush()
            self._end()

    def failed(self, fault: Exception) -> None:
        """A fault of ours: whoever reads the stream says so."""
        self._end(fault)

    def _complete(self) -> bool:
        self._flush()
        if not self._ended:
            self._response.finish()
            self._end()
        return True

    def _release(self) -> None:
        self._pump.close()
        self._clock.leave()
        self._response.close()
