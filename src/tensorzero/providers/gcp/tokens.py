"""Tokens that expire: kept while they are valid, renewed before they are not."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from msgspec import Struct

from tensorzero.types.errors import GatewayError

log = logging.getLogger(__name__)

RENEW_BEFORE_S = 600.0
"""A renewal begins in the background so long before the end; requests go on with the old token."""
MARGIN_S = 60.0
"""So near its end a token is not sent any more: the server's clock may be ahead of ours."""
JUST_MADE_S = 5.0
"""So long a token is sent however near its end: there is no better one."""
PAUSE_S = 30.0
"""Between two renewals that nobody waits for, and the youngest token whose refusal is blamed on
the token."""


class Token(Struct, frozen=True):
    """What authenticates until ``expires_at`` (seconds since 1970, by our clock)."""

    headers: tuple[tuple[str, str], ...]
    expires_at: float

    @property
    def authorization(self) -> str:
        return next((value for name, value in self.headers if name == "authorization"), "")

    def __repr__(self) -> str:
        return f"Token(…, expires_at={self.expires_at:.0f})"


class TokenSource(Protocol):
    """Where tokens come from. Its methods may block: they run in a thread."""

    def fetch(self) -> Token:
        """A new token; raises ``GatewayError``."""

    def adjust(self, server_time: float) -> bool:
        """Take the server's clock (seconds since 1970) into account after a refusal; whether that
        changes what ``fetch`` makes."""


class TokenCache:
    """The current token of one source, for one event loop.

    At most one renewal runs at a time; whoever needs it waits for that one. Lifetimes are held
    against both clocks: the wall clock may be set, the monotonic one stands still while a machine
    sleeps.
    """

    def __init__(self, source: TokenSource) -> None:
        self.source = source
        self.held: Token | None = None
        """What ``current`` or ``token`` gave last, unless it has ended or was refused since."""
        self._ends = 0.0
        self._margin = 0.0
        self._made = float("-inf")
        self._tried = float("-inf")
        self._refused: str | None = None
        self._renewal: asyncio.Task[Token] | None = None

    def current(self) -> Token | None:
        """A valid token, or ``None``: ``token`` has to be awaited. Never waits."""
        held = self.held
        if held is None:
            return None
        now = time.monotonic()
        left = min(self._ends - now, held.expires_at - time.time())
        if left <= RENEW_BEFORE_S:
            if left <= self._margin:
                self.held = None
                return None
            if now - self._tried >= PAUSE_S:
                self._renew().add_done_callback(_report)
        return held

    async def token(self) -> Token:
        """A valid token. Waits only where there is none; raises ``GatewayError``."""
        token = self.current()
        return token if token is not None else await asyncio.shield(self._renew())

    def reject(self, authorization: str, server_time: float | None) -> bool:
        """The server refused this ``authorization`` value; whether a new token may do better.

        ``server_time``: what its answer says the time is. A token just made that was refused is
        not made again, unless our clock is the reason: a refused account stays refused.
        """
        held = self.held
        if held is None or held.authorization != authorization:
            return authorization == self._refused
        adjusted = server_time is not None and self.source.adjust(server_time)
        if not adjusted and time.monotonic() - self._made < PAUSE_S:
            return False
        self._refused = authorization
        self.held = None
        return True

    def _renew(self) -> asyncio.Task[Token]:
        if self._renewal is None or self._renewal.done():
            self._tried = time.monotonic()
            self._renewal = asyncio.create_task(self._fetch())
        return self._renewal

    async def _fetch(self) -> Token:
        started = time.monotonic()
        token = await asyncio.to_thread(self.source.fetch)
        lifetime = token.expires_at - time.time()
        self._ends = started + lifetime
        self._margin = min(MARGIN_S, lifetime - JUST_MADE_S)
        self._made = time.monotonic()
        self.held = token
        return token


def _report(renewal: asyncio.Task[Token]) -> None:
    """Say what went wrong where nobody waits for it."""
    if renewal.cancelled():
        return
    error = renewal.exception()
    if isinstance(error, GatewayError):
        log.warning("a token could not be renewed: %s", error)
    elif error is not None:
        log.error("a token could not be renewed: %s", type(error).__name__)
