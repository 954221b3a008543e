"""All models of a running gateway: configured ones made at start, shorthands on first use."""

from __future__ import annotations

from collections.abc import Mapping

from tensorzero.config.model import ModelConfig
from tensorzero.config.shorthand import ShorthandModels
from tensorzero.models.model import Model, Route
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.http import HttpProvider
from tensorzero.providers.registry import make_provider

MAX_SHORTHANDS = 512
"""Names come from requests: the table keeps so many of them, and makes the others anew."""


class ModelTable:
    """Finds a model by the name that a request or a variant uses."""

    def __init__(
        self,
        models: Mapping[str, ModelConfig],
        shorthands: ShorthandModels,
        context: ProviderContext,
    ) -> None:
        self.context = context
        self.shorthands = shorthands
        self._models = {name: self._make(config) for name, config in models.items()}
        self._made: dict[str, Model] = {}

    def _make(self, config: ModelConfig) -> Model:
        routes = tuple(
            Route(provider, make_provider(self.context, provider)) for provider in config.providers
        )
        return Model(config, routes)

    async def start(self) -> None:
        """What configured providers need before the first request; raises ``GatewayError``."""
        for model in self._models.values():
            for route in model.routes:
                provider = route.provider
                if isinstance(provider, HttpProvider):
                    await provider.start()

    def get(self, name: str) -> Model | None:
        """The model, or ``None``; raises ``ApiKeyMissing`` for a shorthand without its key."""
        model = self._models.get(name)
        if model is None:
            model = self._made.get(name)
        if model is None:
            config = self.shorthands.get(name)
            if config is None:
                return None
            if len(self._made) >= MAX_SHORTHANDS:
                del self._made[next(iter(self._made))]
            model = self._made[name] = self._make(config)
        return model

    def exists(self, name: str) -> bool:
        """Whether the name resolves, without loading a credential."""
        return name in self._models or self.shorthands.is_shorthand(name)

    def provider_names(self, name: str) -> tuple[str, ...]:
        """The providers of a model; a shorthand's one provider is named like its type."""
        model = self._models.get(name)
        if model is not None:
            return tuple(route.config.name for route in model.routes)
        return (name.split("::", 1)[0],)
