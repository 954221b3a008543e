"""What reads the events of a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from tensorzero.types.model import ProviderChunk, TextChunk

TextReading = Callable[[bytes], TextChunk | None] | None


class StreamReader(ABC):
    """Reads the events of one stream; keeps what one event needs to know of earlier ones."""

    done = False
    """Set by ``chunk`` when the event that it read was the last one."""
    read_text: TextReading = None
    """Reads the events that are one piece of text and nothing else, as ``chunk`` would once the
    first chunk is there; ``None`` of any other. Where a type has no such reading: ``None``."""

    @abstractmethod
    def chunk(self, event: bytes) -> ProviderChunk | None:
        """One event's payload as a chunk, ``None`` for one that carries nothing.

        Raises ``ValueError`` with the reason for an event that cannot be read; an unforeseen
        form may surface as one of ``UNREADABLE`` too.
        """

    def ends(self, event: bytes) -> bool:
        """Whether this event says that the stream is complete."""
        return event == b"[DONE]"

    def finish(self) -> None:
        """The stream has ended without an event that ends it; raises ``ValueError`` with what is
        missing where that is no proper end."""
        return
