"""Feedback that has been read from the spool and waits for the inferences it may be about.

The by-variant tables are materialized views that look a feedback's target up when the feedback
is inserted, and drop what they do not find. So feedback may only be in a batch (whose tables are
sent in order, inferences first) if every inference recorded before it is in that batch or in an
earlier one, whichever worker wrote it. That is made sure without looking into any row:

- Workers write feedback into folders of its own (``FEEDBACK_SUFFIX``), and a client can know an
  inference only when it is recorded.
- Feedback is read first. What had been committed by other writers at that moment ends at the
  latest in the segment that was then their last one, or where a later reading of them finds
  nothing more. Once all have been read so far, the feedback joins the batch.

Inferences never wait for feedback, so nothing can wait in a circle. What joins is bounded by what
was there when the feedback was read, so a load that never pauses cannot hold it back for ever;
a folder that cannot be read does so for ``UNREADABLE_S`` at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from tensorzero.storage.shipper.batch import Batch
from tensorzero.storage.spool.directory import Position, WriterDirectory

UNREADABLE_S = 30.0


@dataclass(slots=True)
class HeldFeedback:
    """``behind``: for each writer that has not been read far enough, its last segment when the
    feedback had been read."""

    batch: Batch
    behind: dict[str, int]
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def before(cls, batch: Batch, inferences: Iterable[WriterDirectory]) -> HeldFeedback:
        """``batch`` has just been read; ``inferences`` are listed after that."""
        return cls(batch, {writer.name: _last_segment(writer) for writer in inferences})

    def has_read(self, writer: str, position: Position, *, at_end: bool) -> None:
        """A writer has been read to ``position``; ``at_end``: there was nothing more."""
        segment = self.behind.get(writer)
        if segment is not None and (at_end or position.segment > segment):
            del self.behind[writer]

    def keep_only(self, writers: Iterable[str]) -> None:
        """Folders that are gone have been shipped."""
        there = set(writers)
        for name in [name for name in self.behind if name not in there]:
            del self.behind[name]

    def ready(self, unreadable: Iterable[str]) -> bool:
        """Whether nothing is missing any more; folders that cannot be read count as missing for
        a while."""
        if self.behind and time.monotonic() - self.since >= UNREADABLE_S:
            for name in unreadable:
                self.behind.pop(name, None)
        return not self.behind

    def join(self, batch: Batch) -> None:
        """Add it behind what ``batch`` has."""
        held = self.batch
        for table, rows in held.tables.items():
            batch.tables.setdefault(table, []).extend(rows)
        batch.ranges += held.ranges
        batch.damage += held.damage
        batch.frames += held.frames
        batch.size += held.size


def _last_segment(writer: WriterDirectory) -> int:
    try:
        return max(writer.segments(), default=0)
    except OSError:  # cannot be read now; then it must be read to its end
        return 1 << 62
