"""Calls a model whose providers are scripted servers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from providers.calls import Collected, Files, request
from tensorzero.config.credentials import NoCredential
from tensorzero.config.model import ModelConfig, ProviderConfig
from tensorzero.config.timeouts import NO_TIMEOUTS, TimeoutsConfig
from tensorzero.models.model import Model, ModelStream, Route
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.registry import make_provider
from tensorzero.types.errors import GatewayError
from tensorzero.types.model import ModelRequest, ModelResult
from tzcore.client import Pool
from upstream.scripted import Script, ScriptedServer, Seen


@dataclass
class Asked:
    """What a call of the model gave, and what each provider's server saw of it."""

    seen: dict[str, list[Seen]]
    given_up: dict[str, int] = field(default_factory=dict)
    result: ModelResult | None = None
    stream: ModelStream | None = None
    items: list[Any] = field(default_factory=list)
    error: GatewayError | None = None
    took_s: float = 0.0

    def answered(self) -> ModelResult:
        assert self.error is None, self.error
        assert self.result is not None
        return self.result

    def streamed(self) -> ModelStream:
        assert self.error is None, self.error
        assert self.stream is not None
        return self.stream

    def failed(self) -> GatewayError:
        assert self.error is not None
        return self.error

    def counts(self) -> dict[str, int]:
        return {name: len(seen) for name, seen in self.seen.items()}


def ask(
    scripts: Mapping[str, Script],
    *,
    given: ModelRequest | None = None,
    stream: bool = False,
    timeouts: TimeoutsConfig = NO_TIMEOUTS,
    provider_timeouts: TimeoutsConfig = NO_TIMEOUTS,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    credentials: Mapping[str, str] | None = None,
) -> Asked:
    """One call; ``scripts`` are the providers in routing order, ``providers`` fields of their
    configs. Of a stream every item is read."""
    asked_for = given or request()
    asked_for.stream = stream
    asked_for.files = asked_for.files or Files({})

    async def run() -> Asked:
        servers = {name: ScriptedServer.saying(script) for name, script in scripts.items()}
        for server in servers.values():
            await server.__aenter__()
        pool = Pool(user_agent=b"Test/1", trust_env=False)
        context = ProviderContext(pool, 20_000)
        configs = [
            replace(
                ProviderConfig(
                    name,
                    "openai",
                    {"model_name": f"{name}-model", "api_base": server.url},
                    NoCredential(),
                    timeouts=provider_timeouts,
                ),
                **(providers or {}).get(name, {}),
            )
            for name, server in servers.items()
        ]
        model = Model(
            ModelConfig("m", tuple(configs), timeouts),
            tuple(Route(config, make_provider(context, config)) for config in configs),
        )
        asked = Asked({name: server.seen for name, server in servers.items()})
        started = monotonic()
        try:
            if stream:
                asked.stream = await model.stream(asked_for, credentials or {})
                rest = await Collected().of(asked.stream.items)
                asked.items = [asked.stream.first, *rest]
            else:
                asked.result = await model.infer(asked_for, credentials or {})
        except GatewayError as error:
            asked.error = error
        asked.took_s = monotonic() - started
        # A connection that was given up is closed in a later turn of the loop.
        await asyncio.sleep(0.02)
        asked.given_up = {name: server.given_up for name, server in servers.items()}
        await pool.aclose()
        for server in servers.values():
            await server.__aexit__(None, None, None)
        return asked

    return asyncio.run(asyncio.wait_for(run(), 60))
