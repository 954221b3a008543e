"""Where a worker writes feedback: a spool folder of its own, made with the first one.

Why apart from inferences: ``storage/shipper/held_feedback.py``.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorzero.gateway.recorder import Rows
from tensorzero.storage.spool.directory import FEEDBACK_SUFFIX
from tzcore.spool import Writer

SEGMENT_BYTES = 1024 * 1024

MakeWriter = Callable[[str, int], Writer]
"""A writer by its folder's name and the size of its segments."""


class FeedbackSpool:
    """Appends feedback of the worker whose inferences are in the folder ``name``."""

    def __init__(self, name: str, make: MakeWriter) -> None:
        self.name = name + FEEDBACK_SUFFIX
        self._make = make
        self._writer: Writer | None = None

    def reserve(self) -> None:
        """Make sure that there is room for more; raises ``SpoolFull``."""
        self._opened().reserve()

    def append(self, rows: Rows) -> None:
        """Raises ``SpoolFull`` or ``ValueError``; then nothing was written."""
        self._opened().append(rows)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _opened(self) -> Writer:
        if self._writer is None:
            self._writer = self._make(self.name, SEGMENT_BYTES)
        return self._writer
