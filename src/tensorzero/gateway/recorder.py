"""What recording asks of the layer below: one frame with all rows of an inference."""

from __future__ import annotations

from typing import Protocol

Rows = list[tuple[bytes, bytes]]
"""Pairs of table name and row (one JSON object a row, no newline)."""


class Recorder(Protocol):
    """Takes the rows of finished inferences."""

    def check(self) -> None:
        """Raise ``ObservabilityUnavailable`` when recording is required and cannot take more."""

    def append(self, rows: Rows) -> object | None:
        """Write the rows durably (against the death of this process); returns their position,
        ``None`` when they could not be kept and recording is not required."""

    async def flushed(self, position: object | None) -> None:
        """Wait (bounded) until the rows at ``position`` can be queried."""


class NullRecorder:
    """Recording is off."""

    def check(self) -> None:
        return

    def append(self, rows: Rows) -> object | None:
        return None

    async def flushed(self, position: object | None) -> None:
        return
