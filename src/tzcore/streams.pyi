from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from tzcore.client import ClientError

class _Exchange(Protocol):
    def send(self, data: bytes) -> bool: ...

class _Splitter(Protocol):
    def feed(self, data: bytes) -> Iterable[bytes]: ...

class _Text(Protocol):
    id: str
    text: str

class _Owner(Protocol):
    def event(self, event: bytes) -> bool:
        """An event that did not take the short way; whether nothing more is to be handed on."""
    def flush(self) -> None:
        """All events of a read have been handed on, at least one of them to ``event``."""
    def broken(self, error: ValueError) -> None:
        """The splitter has raised this, after the events that were handed on."""
    def ended(self, error: ClientError | None) -> None: ...
    def failed(self, fault: Exception) -> None:
        """Something raised what it must not."""

class FrameQueue:
    """The frames of one answer that are not sent yet; they are sent as one piece."""

    left: bool
    """The client has left, or was cut off: nothing is sent."""
    silent: int
    """Set to 0 whenever something is sent; for whoever counts it up."""

    def __init__(self, exchange: _Exchange) -> None: ...
    @property
    def exchange(self) -> Any: ...
    def add(self, data: bytes) -> None:
        """Data without a line end, as an event."""
    def flush(self) -> None:
        """Send what there is, as one piece."""
    def leave(self) -> None:
        """Called once when the client is found to have left."""

class TextLane:
    """The short way of texts, from an event to its frame and to the record."""

    def __init__(
        self,
        queue: FrameQueue,
        parts_of: Callable[[str], list[str]],
        payloads: list[str],
        around: Callable[[str], tuple[bytes, bytes] | None],
        *,
        skips_empty: bool,
    ) -> None:
        """``parts_of(id)``: the list that takes a block's texts for the record; ``payloads`` takes
        the events. ``around(id)``: the JSON before and after a text in its frame, ``None`` while
        the frame needs more than that. ``skips_empty``: an empty text makes no frame."""

class EventPump:
    """Receives a ``tzcore.client.ResponseStream`` for ``owner``."""

    def __init__(
        self, owner: _Owner, splitter: _Splitter, text_of: Callable[[bytes], _Text | None] | None
    ) -> None:
        """``splitter`` cuts bytes into events; ``text_of`` reads those that are one piece of text
        and gives ``None`` for any other."""
    def by(self, lane: TextLane) -> None:
        """Texts go by ``lane`` from now on."""
    def close(self) -> None:
        """Hand on nothing more."""
    def feed(self, data: bytes) -> None: ...
    def ended(self, error: ClientError | None) -> None: ...

_Made = TypeVar("_Made")

class TextAt(Generic[_Made]):
    """Reads the events that are one piece of text."""

    def __init__(
        self,
        decode: Callable[[bytes], Any],
        other_form: tuple[type[Exception], ...],
        path: tuple[str | int, ...],
        make: Callable[[str, str], _Made],
        id: str,
    ) -> None:
        """``decode`` turns an event into objects or raises one of ``other_form``; ``path`` leads to
        the text, attributes by name, items by number."""
    def __call__(self, event: bytes) -> _Made | None:
        """``make(id, text)``, ``None`` for an event of any other form."""
