"""Keys from the AWS SDK's default chain: environment, profiles, web identity, containers, EC2.

The chain itself is ``botocore``'s, which blocks: it runs in a thread. A request waits for it
only while there are no valid keys.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorzero.providers.aws.signature import Keys
from tensorzero.providers.renewal import Lease, RenewedCredential
from tensorzero.types.errors import ConfigError, GatewayError

CHECK_S = 10.0
"""How often the chain is asked whether its keys are to be renewed, or its files have changed."""
LAST_S = 60
"""Keys that end sooner than this (seconds) are used no more."""


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
        self._renewed = RenewedCredential("a key of the AWS chain", self._fetch, CHECK_S)
        self.look = self._renewed.look
        self.keys = self._renewed.current

    def prepare(self) -> None:
        """Import and set up what takes time, at start. Whether there are keys is not asked."""
        if self._session is None:
            self._open()

    @property
    def latest(self) -> Keys | None:
        """The keys that were valid last: good enough for a request that is being prepared."""
        return self._renewed.latest

    async def wait(self, failed: Callable[[str], GatewayError]) -> None:
        """Wait until ``keys`` has some; raises what ``failed`` makes of the reason."""
        try:
            await self._renewed.get()
        except GatewayError as error:
            raise failed(f"Failed to get AWS credentials: {error}") from None

    def _fetch(self) -> Lease[Keys]:
        try:
            return self._load()
        except Exception as error:  # whatever a chain of files, processes and servers may raise
            raise ConfigError(str(error)) from error

    def _load(self) -> Lease[Keys]:
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
        ends_within = getattr(credentials, "refresh_needed", _never)
        keys = Keys(frozen.access_key, frozen.secret_key, frozen.token)
        return Lease(keys, CHECK_S, lambda: ends_within(LAST_S))

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
