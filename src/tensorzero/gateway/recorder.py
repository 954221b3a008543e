"""What recording asks of the layer below: one frame with all rows of an inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Level = Literal["inference", "episode"]
"""What feedback is about."""
Rows = list[tuple[bytes, bytes]]
"""Pairs of table name and row (one JSON object a row, no newline)."""


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row of ``ChatInference`` or ``JsonInference`` that is not in the database yet."""

    table: str
    row: dict[str, Any]


class Recorder(Protocol):
    """Takes the rows of finished inferences, and of feedback on them."""

    def check(self, *, always: bool = False) -> None:
        """Raise ``ObservabilityUnavailable`` when recording is required (``always``: or not) and
        cannot take more."""

    def append(self, rows: Rows) -> object | None:
        """Write the rows durably (against the death of this process); returns their position,
        ``None`` when they could not be kept and recording is not required."""

    async def flushed(self, position: object | None, more_s: float = 0.0) -> bool:
        """Wait (bounded; ``more_s`` longer than for an inference) until the rows at ``position``
        can be queried; whether they can."""

    def remember(self, inference_id: str, episode_id: str, /) -> None:
        """An inference's rows have been appended: feedback on it is known to be on something."""

    def check_feedback(self) -> None:
        """What ``check`` does, for feedback."""

    def append_feedback(self, rows: Rows) -> None:
        """Write the rows of one feedback durably. They reach the database after every inference
        that was appended before, by whichever worker of this gateway."""

    def has_recorded(self, level: Level, id_: str) -> bool:
        """Whether a worker of this gateway remembers to have recorded it. Costs no time; what
        was recorded long ago is forgotten."""

    async def find_waiting(
        self, level: Level, ids: Sequence[str], *, row: bool = False
    ) -> tuple[dict[str, FoundRow | None], bool]:
        """Those that are on their way to the database, with their row if asked for, and whether
        everything that waits has been looked at."""


class NullRecorder:
    """Recording is off."""

    def check(self, *, always: bool = False) -> None:
        return

    def append(self, rows: Rows) -> object | None:
        return None

    async def flushed(self, position: object | None, more_s: float = 0.0) -> bool:
        return True

    def remember(self, inference_id: str, episode_id: str, /) -> None:
        return

    def check_feedback(self) -> None:
        return

    def append_feedback(self, rows: Rows) -> None:
        return

    def has_recorded(self, level: Level, id_: str) -> bool:
        return False

    async def find_waiting(
        self, level: Level, ids: Sequence[str], *, row: bool = False
    ) -> tuple[dict[str, FoundRow | None], bool]:
        return {}, True
