"""An embedding model: its providers in routing order, each attempt within its deadline."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from tensorzero.config.model import EmbeddingModelConfig, EmbeddingProviderConfig
from tensorzero.config.shorthand import ShorthandModels
from tensorzero.config.timeouts import TimeoutsConfig
from tensorzero.models.cost import response_cost
from tensorzero.models.deadline import bounded
from tensorzero.models.table import MAX_SHORTHANDS
from tensorzero.providers.base import EmbeddingProvider, ProviderContext
from tensorzero.providers.registry import EMBEDDING_PROVIDERS
from tensorzero.types.credentials import Credentials
from tensorzero.types.embedding import EmbeddingRequest, EmbeddingResult
from tensorzero.types.errors import (
    AllModelProvidersFailed,
    GatewayError,
    ModelProviderTimeout,
    ModelTimeout,
)
from tensorzero.types.model import Attempt
from tzcore.uuid7 import uuid7

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EmbeddingRoute:
    """One entry of ``routing``: the config and the provider made from it."""

    config: EmbeddingProviderConfig
    provider: EmbeddingProvider
    timeouts: TimeoutsConfig


class EmbeddingModel:
    """A configured or shorthand embedding model. Nothing is tried twice."""

    def __init__(self, config: EmbeddingModelConfig, context: ProviderContext) -> None:
        self.name = config.name
        self.timeouts = TimeoutsConfig(config.timeout_ms)
        self.routes = tuple(
            EmbeddingRoute(
                provider,
                EMBEDDING_PROVIDERS[provider.type](context, provider),
                TimeoutsConfig(provider.timeout_ms),
            )
            for provider in config.providers
        )

    async def embed(self, request: EmbeddingRequest, credentials: Credentials) -> EmbeddingResult:
        """The vectors, from the first provider that gives them.

        Raises ``AllModelProvidersFailed`` or ``ModelTimeout``.
        """
        return await bounded(
            self._walk(request, credentials),
            self.timeouts,
            stream=False,
            error=ModelTimeout,
            name=self.name,
        )

    async def _walk(self, request: EmbeddingRequest, credentials: Credentials) -> EmbeddingResult:
        errors: dict[str, GatewayError] = {}
        for route in self.routes:
            config = route.config
            attempt = Attempt(self.name, config.name, uuid7(), credentials)
            try:
                response = await bounded(
                    route.provider.embed(request, attempt),
                    route.timeouts,
                    stream=False,
                    error=ModelProviderTimeout,
                    name=config.name,
                )
            except GatewayError as error:
                log.warning(
                    "embedding model `%s`, provider `%s`: %s", self.name, config.name, error
                )
                errors[config.name] = error
                continue
            if config.cost is not None:
                response.usage.cost = response_cost(config.cost, response.raw_response)
            failed = [raw for error in errors.values() for raw in error.raw_responses()]
            return EmbeddingResult(response, self.name, config.name, config.type, failed)
        raise AllModelProvidersFailed(errors)


class EmbeddingTable:
    """Finds an embedding model by name: configured ones made at start, shorthands on first use."""

    def __init__(
        self,
        models: Mapping[str, EmbeddingModelConfig],
        shorthands: ShorthandModels,
        context: ProviderContext,
    ) -> None:
        self.context = context
        self.shorthands = shorthands
        self._models = {name: EmbeddingModel(config, context) for name, config in models.items()}
        self._made: dict[str, EmbeddingModel] = {}

    def get(self, name: str) -> EmbeddingModel | None:
        """The model, or ``None``; raises ``ApiKeyMissing`` for a shorthand without its key."""
        model = self._models.get(name) or self._made.get(name)
        if model is None:
            config = self.shorthands.embedding(name)
            if config is None:
                return None
            if len(self._made) >= MAX_SHORTHANDS:
                del self._made[next(iter(self._made))]
            model = self._made[name] = EmbeddingModel(config, self.context)
        return model

    def exists(self, name: str) -> bool:
        """Whether the name resolves, without loading a credential."""
        return name in self._models or self.shorthands.is_embedding(name)
