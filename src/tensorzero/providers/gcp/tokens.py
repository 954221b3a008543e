"""Tokens that expire, and what refused ones tell."""

from __future__ import annotations

import time
from typing import Protocol

from msgspec import Struct

from tensorzero.providers.renewal import Lease, RenewedCredential

RENEW_BEFORE_S = 600.0
"""A renewal begins in the background so long before the end; requests go on with the old token."""
MARGIN_S = 60.0
"""So near its end a token is not sent any more: the server's clock may be ahead of ours."""
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


class TokenCache(RenewedCredential[Token]):
    """The current token of one source."""

    def __init__(self, source: TokenSource) -> None:
        super().__init__("a GCP token", self._fetch_token, PAUSE_S)
        self.source = source
        self._refused: str | None = None

    def reject(self, authorization: str, server_time: float | None) -> bool:
        """The server refused this ``authorization`` value; whether a new token may do better.

        ``server_time``: what its answer says the time is. A token just made that was refused is
        not made again, unless our clock is the reason: a refused account stays refused.
        """
        held = self.held
        if held is None or held.authorization != authorization:
            return authorization == self._refused
        adjusted = server_time is not None and self.source.adjust(server_time)
        if not adjusted and self.age_s < PAUSE_S:
            return False
        self._refused = authorization
        self.drop()
        return True

    def _fetch_token(self) -> Lease[Token]:
        started = time.monotonic()
        token = self.source.fetch()
        lifetime = token.expires_at - time.time()

        def is_over() -> bool:
            left = min(started + lifetime - time.monotonic(), token.expires_at - time.time())
            return left <= MARGIN_S

        return Lease(token, lifetime - RENEW_BEFORE_S, is_over)
