"""Checks an episode id that a client gives."""

from __future__ import annotations

import time
from uuid import UUID

from tensorzero.types.errors import InvalidTensorzeroUuid, InvalidUuid

WORKFLOW_OFFSET_S = 10_000_000_000
"""Ids of workflow-evaluation runs lie this many seconds in the future."""
EARLIEST_S = 1_579_751_960


def check_episode_id(episode_id: str) -> bool:
    """Whether the id belongs to a workflow-evaluation run (to be looked up).

    Raises ``InvalidUuid`` for ids without time, ``InvalidTensorzeroUuid`` for other versions,
    for times before 23 January 2020 and for times in the future.
    """
    parsed = UUID(episode_id)
    version = parsed.int >> 76 & 15  # whatever the variant bits say
    if version not in (1, 6, 7):
        raise InvalidUuid(episode_id)
    if version != 7:
        raise InvalidTensorzeroUuid("Episode", f"Version must be 7, got {version}")
    seconds = (parsed.int >> 80) // 1000
    if seconds >= WORKFLOW_OFFSET_S:
        return True
    if seconds < EARLIEST_S:
        raise InvalidTensorzeroUuid("Episode", "Timestamp is too early")
    if seconds > int(time.time()):
        raise InvalidTensorzeroUuid("Episode", "Timestamp is in the future")
    return False
