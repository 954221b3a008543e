"""What a worker loads soon after its start, so that no request waits for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable

from tensorzero.providers.registry import EMBEDDING_PROVIDERS, PROVIDERS

AFTER_S = 1.0
"""The first requests are not to share the processor with it."""
_SWITCH_S = 0.0005
"""How long the event loop waits for its turn meanwhile, at most; 5 ms is Python's own choice."""


async def warm_up(types: Iterable[str], *, reads: bool) -> None:
    """Import the provider ``types``, and with ``reads`` the database's client, in a thread."""
    await asyncio.sleep(AFTER_S)
    await asyncio.to_thread(load, tuple(types), reads=reads)


def load(types: Iterable[str], *, reads: bool) -> None:
    """The same at once."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        for name in types:
            PROVIDERS.get(name)
            EMBEDDING_PROVIDERS.get(name)
        if reads:
            from tensorzero.storage.database.reads import load_library

            load_library()
    finally:
        sys.setswitchinterval(before)
