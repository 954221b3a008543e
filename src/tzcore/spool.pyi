from typing_extensions import Buffer

MAGIC: bytes
HEADER_BYTES: int
END_OF_SEGMENT: int
LOCK_NAME: str
SPARE_NAME: str
NEXT_NAME: str

OPEN: int
"""Nothing is committed here (yet)."""
ENDED: int
"""The end mark: the writer went on to the next segment."""
FULL: int
"""The caller's limits are reached."""
SHORT: int
"""The frame here reaches beyond the given bytes."""
DAMAGED: int
"""Neither a frame nor nothing."""

class SpoolFull(Exception):
    """No room for another frame: the spool's limit is reached, or the disk is full."""

class Writer:
    """Appends frames to a directory of its own, which it keeps locked."""

    directory: str
    segment: int
    offset: int
    backlog_bytes: int

    def __init__(
        self,
        directory: str,
        *,
        segment_bytes: int = 16777216,
        limit_bytes: int = 10737418240,
        keep_free_bytes: int = 0,
    ) -> None:
        """Make the directory, with a first segment.

        Raises ``SpoolFull`` when there is no room for it, ``FileExistsError`` when the
        directory is there already.
        """
    def append(self, rows: list[tuple[bytes, bytes]]) -> tuple[int, int]:
        """Write all rows of one inference as one frame; returns ``(segment, end offset)``.

        Raises ``SpoolFull`` or ``ValueError`` (more than 2 GiB); then nothing was written.
        """
    def reserve(self) -> None:
        """Make sure that a whole segment is there behind the current one; raises ``SpoolFull``."""
    def close(self) -> None:
        """End the segment and let the directory go; what is in it stays."""

def read_frames(
    data: Buffer,
    available: int,
    tables: dict[bytes, list[bytes]],
    max_frames: int,
    max_bytes: int,
) -> tuple[int, int, int, int, int]:
    """Append the rows of consecutive frames to ``tables``; returns ``(status, used, frames, row
    bytes, wanted)``."""

def count_rows(data: Buffer, available: int) -> tuple[int, int, int, int]:
    """Rows of consecutive frames, by their lengths alone: ``(status, used, rows, wanted)``."""

def find_frame(data: Buffer, at: int) -> int:
    """The first place at or after ``at`` where a whole frame is, or an end mark with nothing
    behind it; ``len(data)`` when there is none."""
