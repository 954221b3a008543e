"""Credentials that end: kept while they are valid, renewed before they are not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tensorzero.types.errors import GatewayError

log = logging.getLogger(__name__)

JUST_MADE_S = 5.0
"""So long a credential serves however near its end: there is no better one."""
FAILED_S = 1.0
"""How long a failure stands, so that not each request of a burst asks again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lease(Generic[T]):
    """A credential as its source gave it. ``renew_in_s`` counts from when it was asked for;
    ``is_over`` (asked for each request) says that it is too near its end to be sent."""

    value: T
    renew_in_s: float
    is_over: Callable[[], bool]


class RenewedCredential(Generic[T]):
    """The current credential of one source, for one event loop.

    At most one renewal runs at a time; whoever needs it waits for that one, and nobody waits while
    there is a valid credential. When to renew is held against both clocks: the wall clock may be
    set, the monotonic one stands still while a machine sleeps.
    """

    def __init__(self, what: str, fetch: Callable[[], Lease[T]], pause_s: float) -> None:
        """``what``: its name in the log. ``fetch`` may block, it runs in a thread; what it raises
        is shown only if it is a ``GatewayError``. ``pause_s``: between two renewals that nobody
        waits for."""
        self.what = what
        self.pause_s = pause_s
        self.held: T | None = None
        """What ``current`` or ``get`` gave last, unless it has ended or was dropped since."""
        self.latest: T | None = None
        """The same, whatever has become of it."""
        self._fetch = fetch
        self._lease: Lease[T] | None = None
        self._renew_at = (0.0, 0.0)
        self._made = float("-inf")
        self._tried = float("-inf")
        self._failure: Exception | None = None
        self._failed_until = 0.0
        self._renewal: asyncio.Task[T] | None = None

    @property
    def age_s(self) -> float:
        """How long ago the newest one was made."""
        return time.monotonic() - self._made

    def current(self) -> T | None:
        """A valid credential, or ``None``: ``get`` has to be awaited. Never waits."""
        lease = self._lease
        if lease is None:
            return None
        now = time.monotonic()
        if lease.is_over() and now - self._made >= JUST_MADE_S:
            self.drop()
            return None
        due = now >= self._renew_at[0] or time.time() >= self._renew_at[1]
        if due and now - self._tried >= self.pause_s:
            self._renew_beside()
        return lease.value

    async def get(self) -> T:
        """A valid credential. Waits only where there is none; raises what ``fetch`` does."""
        value = self.current()
        if value is not None:
            return value
        if self._failure is not None and time.monotonic() < self._failed_until:
            raise self._failure.with_traceback(None)
        return await asyncio.shield(self._renew())

    def look(self) -> None:
        """Ask for the first one beside whatever else happens, so that no request has to wait."""
        if self._lease is None:
            self._renew_beside()

    def drop(self) -> None:
        """Use the current one no more."""
        self._lease = self.held = None

    def _renew_beside(self) -> None:
        self._renew().add_done_callback(self._report)

    def _renew(self) -> asyncio.Task[T]:
        if self._renewal is None or self._renewal.done():
            self._tried = time.monotonic()
            self._renewal = asyncio.get_running_loop().create_task(self._ask())
            self._renewal.add_done_callback(_seen)
        return self._renewal

    async def _ask(self) -> T:
        clocks = time.monotonic(), time.time()
        try:
            lease = await asyncio.to_thread(self._fetch)
        except Exception as error:
            self._failure = error
            self._failed_until = time.monotonic() + FAILED_S
            raise
        self._failure = None
        self._renew_at = (clocks[0] + lease.renew_in_s, clocks[1] + lease.renew_in_s)
        self._made = time.monotonic()
        self._lease = lease
        self.held = self.latest = lease.value
        return lease.value

    def _report(self, renewal: asyncio.Task[T]) -> None:
        """Say what went wrong where nobody waits for it."""
        error = None if renewal.cancelled() else renewal.exception()
        if isinstance(error, GatewayError):
            log.warning("%s cannot be renewed now: %s", self.what, error)
        elif error is not None:
            log.error("%s cannot be renewed now: %s", self.what, type(error).__name__)


def _seen(renewal: asyncio.Task[T]) -> None:
    """Whoever waited for it may have left before it failed."""
    if not renewal.cancelled():
        renewal.exception()
