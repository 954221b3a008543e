"""Stands for a configured provider that this version cannot call."""

from __future__ import annotations

from tensorzero.providers.base import ProviderStream
from tensorzero.types.errors import ConfigError
from tensorzero.types.model import Attempt, ModelRequest, ProviderResponse
from tensorzero.types.usage import ApiType


class UnservedProvider:
    """Every attempt fails and says why; the next provider of the routing is tried."""

    api_type: ApiType = "other"

    def __init__(self, type: str, what: str) -> None:
        """``what``: the type or the part of it that is missing, as the error names it."""
        self.type = type
        self.reason = f"{what} is not served by this version yet"

    async def infer(self, request: ModelRequest, attempt: Attempt) -> ProviderResponse:
        raise ConfigError(self.reason)

    async def stream(self, request: ModelRequest, attempt: Attempt) -> ProviderStream:
        raise ConfigError(self.reason)
