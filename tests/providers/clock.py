"""Both clocks of credentials that end, moved by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from tensorzero.providers.renewal import RenewedCredential


class Clock:
    """What credentials take for the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.ticks = 1_700_000_000.0, 5000.0
        for module in ("renewal", "gcp.tokens"):
            monkeypatch.setattr(f"tensorzero.providers.{module}.time", self)
        monkeypatch.setattr(time, "time", lambda: self.wall)

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


async def settled(credential: RenewedCredential[Any]) -> None:
    """The renewal under way, if there is one, is over."""
    if credential._renewal is not None:
        await asyncio.wait([credential._renewal])
