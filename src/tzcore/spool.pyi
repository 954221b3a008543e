MAGIC: bytes
HEADER_BYTES: int
END_OF_SEGMENT: int
LOCK_NAME: str

class SpoolFull(Exception):
    """No room for another frame: the spool's limit is reached, or the disk is full."""

class Writer:
    """Appends frames to a directory of its own, which it keeps locked."""

    directory: str
    segment: int
    offset: int
    backlog_bytes: int

    def __init__(
        self, directory: str, *, segment_bytes: int = 16777216, limit_bytes: int = 10737418240
    ) -> None: ...
    def append(self, rows: list[tuple[bytes, bytes]]) -> tuple[int, int]:
        """Write all rows of one inference as one frame; returns ``(segment, end offset)``.

        Raises ``SpoolFull``; then nothing was written.
        """
    def reserve(self, wanted: int) -> None:
        """Make sure that a frame of ``wanted`` bytes has room; raises ``SpoolFull``."""
    def close(self) -> None:
        """End the segment and let the directory go; what is in it stays."""
