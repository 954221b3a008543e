"""Keeps the engine away from the last bytes of a disk.

Measured on chDB 4.4 (engine 26.9): a merge that runs into a full disk can commit a part whose
marks are empty, and a later read fails with CORRUPTED_DATA. (Until the merged parts are
removed, after 8 minutes, reopening the database heals it.) So merges stop well before, and
inserts, which fail in order, shortly before.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tensorzero.storage.database.errors import SinkUnavailable

logger = logging.getLogger(__name__)

_MIB: Final = 1024 * 1024
_MERGE_SHARE: Final = 0.05
_MERGE_MIN_BYTES: Final = 16 * _MIB
_MERGE_MAX_BYTES: Final = 1024 * _MIB
_INSERT_MIN_BYTES: Final = 8 * _MIB


class DiskGuard:
    """Watches the free space of ``folder``'s file system. Not thread-safe: one inserter."""

    def __init__(self, folder: Path, allow_merges: Callable[[bool], None]) -> None:
        self._folder = folder
        self._allow_merges = allow_merges
        self._merging = True

    def check(self, incoming_bytes: int) -> None:
        """Call before an insert; raises SinkUnavailable when the disk has no room for it.

        An insert writes its rows to a table and, partly, to the targets of its views, so twice
        ``incoming_bytes`` must be free even if nothing compresses.
        """
        try:
            status = os.statvfs(self._folder)
        except OSError as error:
            raise SinkUnavailable(
                f"The database folder {self._folder} is gone: {error.strerror}"
            ) from error
        free = status.f_bavail * status.f_frsize
        total = status.f_blocks * status.f_frsize
        self._watch_merges(free, total)
        needed = max(_INSERT_MIN_BYTES, 2 * incoming_bytes)
        if free < needed:
            raise SinkUnavailable(
                f"The disk of {self._folder} has {free // _MIB} MiB free; the database needs "
                f"{-(-needed // _MIB)} MiB to take these rows. They wait until space is freed"
            )

    def _watch_merges(self, free: int, total: int) -> None:
        reserve = min(max(int(total * _MERGE_SHARE), _MERGE_MIN_BYTES), _MERGE_MAX_BYTES)
        if self._merging and free < reserve:
            self._allow_merges(False)
            self._merging = False
            logger.warning(
                "The disk of %s has %d MiB free: background merges of the embedded database "
                "stop until %d MiB are free",
                self._folder,
                free // _MIB,
                reserve * 5 // 4 // _MIB,
            )
        elif not self._merging and free >= reserve * 5 // 4:
            self._allow_merges(True)
            self._merging = True
            logger.info("The disk of %s has room again: background merges go on", self._folder)
