"""The provider types that this version serves, by the config's ``type``.

A new provider is a new file and one line here; ``docs/adding-a-provider.md`` shows one.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorzero.config.model import EmbeddingProviderConfig, ProviderConfig
from tensorzero.providers.base import EmbeddingProvider, Provider, ProviderContext
from tensorzero.providers.dummy import DummyProvider
from tensorzero.providers.dummy.embeddings import DummyEmbeddings
from tensorzero.providers.embeddings import (
    AzureEmbeddings,
    OpenAIEmbeddings,
    OpenRouterEmbeddings,
)
from tensorzero.providers.openai import make_openai
from tensorzero.providers.unserved import UnservedProvider

PROVIDERS: dict[str, Callable[[ProviderContext, ProviderConfig], Provider]] = {
    "openai": make_openai,
    "dummy": DummyProvider,
}

EMBEDDING_PROVIDERS: dict[
    str, Callable[[ProviderContext, EmbeddingProviderConfig], EmbeddingProvider]
] = {
    "openai": OpenAIEmbeddings,
    "azure": AzureEmbeddings,
    "openrouter": OpenRouterEmbeddings,
    "dummy": DummyEmbeddings,
}
"""All that the configuration takes (``EMBEDDING_TYPES``)."""


def make_provider(context: ProviderContext, config: ProviderConfig) -> Provider:
    """The provider of a config entry."""
    make = PROVIDERS.get(config.type)
    if make is None:
        return UnservedProvider(config.type, f"The provider type `{config.type}`")
    return make(context, config)
