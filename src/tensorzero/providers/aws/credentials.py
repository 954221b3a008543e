"""Keys from the AWS SDK's default chain: environment, profiles, web identity, containers, EC2.

The chain itself is ``botocore``'s, which blocks: it runs in a thread. A request waits for it
only while there are no valid keys.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from tensorzero.providers.aws.signature import Keys
from tensorzero.types.errors import GatewayError

log = logging.getLogger(__name__)

CHECK_S = 10.0
"""How often the chain is asked whether its keys are to be renewed, or its files have changed."""
FAILED_S = 1.0
"""How long a failure stands, so that not each request of a burst asks again."""
LAST_S = 60
"""Keys that end sooner than this (seconds) are used no more."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the chain gave. ``ends_within(s)``: whether the keys are over in ``s`` seconds."""

    keys: Keys
    ends_within: Callable[[int], bool]


CHAIN = "aws"
"""Its key among what providers share."""


def shared_chain(shared: dict[str, Any]) -> CredentialChain:
    """The one chain of all providers that are given ``shared`` (``ProviderContext.tokens``)."""
    if CHAIN not in shared:
        shared[CHAIN] = CredentialChain()
    chain: CredentialChain = shared[CHAIN]
    return chain


class CredentialChain:
    """The default chain, shared by all providers of a process that use it."""

    def __init__(self) -> None:
        self._session: Any = None
        self._credentials: Any = None
        self._stamp: tuple[float, ...] = ()
        self._found: Found | None = None
        self._latest: Found | None = None
        self._check_at = 0.0
        self._failure = ""
        self._failed_until = 0.0
        self._asking: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Import and set up what takes time, at start. Whether there are keys is not asked."""
        if self._session is None:
            self._open()

    def look(self) -> None:
        """Ask the chain beside whatever else happens, so that no request has to wait for it."""
        if self._found is None:
            self._ask()

    @property
    def latest(self) -> Keys | None:
        """The keys that were valid last: good enough for a request that is being prepared."""
        return None if self._latest is None else self._latest.keys

    def keys(self) -> Keys | None:
        """The keys if they are valid. Has them renewed in the background when it is time."""
        found = self._found
        if found is None:
            return None
        now = monotonic()
        if now >= self._check_at:
            self._check_at = now + CHECK_S
            if found.ends_within(LAST_S):
                self._found = None
                return None
            self._ask()
        return found.keys

    def wait(self, failed: Callable[[str], GatewayError]) -> Awaitable[None]:
        """Wait until ``keys`` has some; raises what ``failed`` makes of the reason."""
        return self._wait(failed)

    async def _wait(self, failed: Callable[[str], GatewayError]) -> None:
        if monotonic() >= self._failed_until:
            await asyncio.shield(self._ask())
        if self._found is None:
            raise failed(f"Failed to get AWS credentials: {self._failure}")

    def _ask(self) -> asyncio.Task[None]:
        """The one question that is under way."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._renew())
        return self._asking

    async def _renew(self) -> None:
        try:
            found = await asyncio.to_thread(self._load)
        except Exception as error:  # whatever a chain of files, processes and servers may raise
            self._failure = str(error)
            self._failed_until = monotonic() + FAILED_S
            log.warning("no AWS credentials are to be had now: %s", error)
        else:
            self._found = self._latest = found
            self._failed_until = 0.0
            self._check_at = monotonic() + CHECK_S

    def _load(self) -> Found:
        if self._session is None or self._stamp != self._file_times():
            self._open()
        if self._credentials is None:
            self._credentials = self._session.get_credentials()
        credentials = self._credentials
        if credentials is None:
            raise LookupError(
                "the environment, the AWS profile, the container and the instance have none"
            )
        frozen = credentials.get_frozen_credentials()
        return Found(
            Keys(frozen.access_key, frozen.secret_key, frozen.token),
            getattr(credentials, "refresh_needed", _never),
        )

    def _open(self) -> None:
        from botocore.session import Session  # half a second: only those pay who use the chain

        self._stamp = self._file_times()
        self._session = Session()
        self._credentials = None

    def _file_times(self) -> tuple[float, ...]:
        """When the shared files were last written: 0 for one that is not there."""
        home = Path.home() / ".aws"
        files = (
            os.environ.get("AWS_CONFIG_FILE") or home / "config",
            os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials",
        )
        times = []
        for file in files:
            try:
                times.append(Path(file).expanduser().stat().st_mtime)
            except OSError:
                times.append(0.0)
        return tuple(times)


def _never(seconds: int) -> bool:
    return False
