"""The provider types that this version serves, by the config's ``type``.

A new provider is a new file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import Provider, ProviderContext, ProviderStream
from tensorzero.providers.dummy import DummyProvider
from tensorzero.providers.openai import OpenAIProvider
from tensorzero.types.errors import ConfigError
from tensorzero.types.model import Attempt, ModelRequest, ProviderResponse

PROVIDERS: dict[str, Callable[[ProviderContext, ProviderConfig], Provider]] = {
    "openai": OpenAIProvider,
    "dummy": DummyProvider,
}


class UnservedProvider:
    """Stands for a configured provider that this version cannot call: every attempt says so."""

    def __init__(self, config: ProviderConfig, reason: str) -> None:
        self.type = config.type
        self.reason = reason

    async def infer(self, request: ModelRequest, attempt: Attempt) -> ProviderResponse:
        raise ConfigError(self.reason)

    async def stream(self, request: ModelRequest, attempt: Attempt) -> ProviderStream:
        raise ConfigError(self.reason)


def make_provider(context: ProviderContext, config: ProviderConfig) -> Provider:
    """The provider of a config entry."""
    make = PROVIDERS.get(config.type)
    if make is None:
        return UnservedProvider(
            config, f"The provider type `{config.type}` is not served by this version yet"
        )
    if config.type == "openai" and config.options.get("api_type") == "responses":
        return UnservedProvider(
            config, '`api_type = "responses"` of openai is not served by this version yet'
        )
    return make(context, config)
