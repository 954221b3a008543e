"""The ``timeouts`` table of variants, models and model providers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimeoutsConfig:
    """Deadlines in milliseconds; ``None`` = no deadline of this level."""

    non_streaming_total_ms: int | None = None
    streaming_ttft_ms: int | None = None
    streaming_total_ms: int | None = None


NO_TIMEOUTS = TimeoutsConfig()
