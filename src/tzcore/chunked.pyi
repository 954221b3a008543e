class ChunkDecoder:
    """Decodes one chunked body (RFC 9112, 7.1)."""

    total: int
    """Payload bytes so far."""
    done: bool
    error: str | None
    """What is wrong with a malformed body; ``None`` while it is well-formed."""

    def __init__(self, lenient: bool = False, max_trailer_bytes: int = 65536) -> None: ...
    def feed(self, data: bytes, out: bytearray | None = None) -> int:
        """Read ``data``, append its payload to ``out``, return how many bytes were consumed."""
