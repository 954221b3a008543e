"""A streamed answer on its way to its client, and what keeps silent ones alive."""

from __future__ import annotations

import asyncio
import logging

from tensorzero.api.exchange import Exchange
from tensorzero.api.face import ChunkWriter
from tensorzero.api.route import CLIENT_LEFT
from tensorzero.gateway.chunks import StreamEvent

log = logging.getLogger(__name__)

HEADERS = b"cache-control: no-cache\r\n"
COMMENT = b":\n\n"
DONE = b"data: [DONE]\n\n"
TICK_S = 0.25
SILENT_TICKS = 60
"""After 15 s of silence a comment is sent."""


class EventStream:
    """Writes the events of one stream; those that come together in one piece. A client that leaves
    is noted once: events go on to come, because the inference does."""

    __slots__ = ("_exchange", "_left", "_silence", "_write", "spoke_at")

    def __init__(self, exchange: Exchange, write: ChunkWriter, silence: Silence) -> None:
        self._exchange = exchange
        self._write = write
        self._silence = silence
        self._left = False
        self.spoke_at = silence.now
        exchange.start_stream(200, b"text/event-stream", HEADERS)
        silence.watch(self)

    def send(self, events: list[StreamEvent]) -> None:
        """What came at once; at least one event."""
        self.spoke_at = self._silence.now
        if self._exchange.closed or not self._exchange.send(self._write(events)):
            self._leave()

    def comment(self) -> None:
        """Something that clients skip."""
        self.spoke_at = self._silence.now
        if not self._exchange.closed:
            self._exchange.send(COMMENT)

    def end(self) -> None:
        """Nothing more comes."""
        self._silence.forget(self)
        self._exchange.send(DONE)
        self._exchange.end()

    def _leave(self) -> None:
        if not self._left:
            self._left = True
            log.warning(CLIENT_LEFT)


class Silence:
    """Sends a comment on streams that have been silent for 15 s, so that nothing between takes
    them for dead. One timer looks after all streams; it rests while there are none."""

    def __init__(self) -> None:
        self.now = 0
        """Ticks of the timer."""
        self._streams: set[EventStream] = set()
        self._ticking = False

    def watch(self, stream: EventStream) -> None:
        self._streams.add(stream)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK_S, self._look)

    def forget(self, stream: EventStream) -> None:
        self._streams.discard(stream)

    def _look(self) -> None:
        self.now += 1
        latest = self.now - SILENT_TICKS
        for stream in self._streams:
            if stream.spoke_at < latest:
                stream.comment()
        if self._streams:
            asyncio.get_running_loop().call_later(TICK_S, self._look)
        else:
            self._ticking = False
