class SSEParser:
    """Splits an event stream into the ``data`` payloads of its events (WHATWG HTML, 9.2).

    Several ``data:`` lines of one event are joined with LF; comments, other fields and events
    without data are skipped; LF, CR LF and CR end a line; a byte order mark at the start is
    skipped. The bytes may arrive in any pieces.
    """

    def __init__(self, max_event_bytes: int = 33_554_432) -> None:
        """``max_event_bytes`` bounds one event (and one line), in bytes."""
    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that ``data`` completes.

        Raises ``ValueError`` when an event grows beyond ``max_event_bytes``.
        """
    def close(self) -> list[bytes]:
        """The payload of an event that the end of the stream cut off before its blank line.

        The standard drops it; providers that end a stream without the last blank line do exist,
        so it is delivered. An event without data yields nothing.
        """

def frame(data: bytes) -> bytes:
    """``data`` as one event; a payload of several lines becomes several ``data:`` lines."""
