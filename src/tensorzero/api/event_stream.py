"""A streamed answer on its way to its client, and what keeps silent ones alive."""

from __future__ import annotations

import asyncio
import logging

from tensorzero.api.exchange import Exchange
from tensorzero.api.face import ChunkWriter
from tensorzero.api.route import CLIENT_LEFT
from tensorzero.gateway.chunks import StreamEvent
from tzcore.streams import FrameQueue

log = logging.getLogger(__name__)

HEADERS = b"cache-control: no-cache\r\n"
COMMENT = b":\n\n"
DONE = b"[DONE]"
TICK_S = 0.25
SILENT_TICKS = 60
"""After 15 s of silence a comment is sent."""


class EventStream(FrameQueue):
    """Writes the events of one stream. A client that leaves is noted once: events go on to come,
    because the inference does."""

    __slots__ = ("_silence", "_write", "around_text")

    def __init__(self, exchange: Exchange, write: ChunkWriter, silence: Silence) -> None:
        super().__init__(exchange)
        self._write = write
        self._silence = silence
        self.around_text = write.around_text
        exchange.start_stream(200, b"text/event-stream", HEADERS)
        silence.watch(self)

    @property
    def queue(self) -> FrameQueue:
        """What holds the frames until a read is done."""
        return self

    def take(self, event: StreamEvent) -> None:
        """The next event."""
        if not self.left:
            self.add(self._write(event))

    def comment(self) -> None:
        """Something that clients skip."""
        self.silent = 0
        if not self.exchange.closed:
            self.exchange.send(COMMENT)

    def end(self) -> None:
        """Nothing more comes."""
        self._silence.forget(self)
        self.add(DONE)
        self.flush()
        self.exchange.end()

    def leave(self) -> None:
        log.warning(CLIENT_LEFT)


class Silence:
    """Sends a comment on streams that have been silent for 15 s, so that nothing between takes
    them for dead. One timer looks after all streams; it rests while there are none."""

    def __init__(self) -> None:
        self._streams: set[EventStream] = set()
        self._ticking = False

    def watch(self, stream: EventStream) -> None:
        self._streams.add(stream)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def forget(self, stream: EventStream) -> None:
        self._streams.discard(stream)

    def _tick(self) -> None:
        self._ticking = bool(self._streams)
        if self._ticking:
            asyncio.get_running_loop().call_later(TICK_S, self._tick)
        for stream in list(self._streams):
            stream.silent += 1
            if stream.silent > SILENT_TICKS:
                stream.comment()
