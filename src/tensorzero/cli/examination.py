"""What ``tensorzero doctor`` does: which providers there are, and whether each answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from tensorzero.config.config import Config
from tensorzero.config.credential_defaults import CredentialReader
from tensorzero.config.credentials import (
    Credential,
    DynamicCredential,
    FallbackCredential,
    FileCredential,
    SdkCredential,
    StaticCredential,
)
from tensorzero.config.errors import ConfigErrors
from tensorzero.config.load import load, load_default
from tensorzero.config.model import EmbeddingProviderConfig, ProviderConfig
from tensorzero.config.provider_types import AWS_TYPES
from tensorzero.config.shorthand import ShorthandModels, is_shorthand
from tensorzero.config.variant import DiclConfig, model_of
from tensorzero.models.embedding import EmbeddingTable
from tensorzero.models.table import ModelTable
from tensorzero.providers.base import (
    EmbeddingProvider,
    Provider,
    ProviderContext,
    upstream_hosts,
)
from tensorzero.types.content import Message, Text
from tensorzero.types.credentials import Credentials
from tensorzero.types.embedding import EmbeddingRequest
from tensorzero.types.errors import GatewayError
from tensorzero.types.model import Attempt, ModelRequest
from tensorzero.types.params import ChatCompletionParams
from tensorzero.version import VERSION
from tzcore.client import Pool
from tzcore.uuid7 import uuid7

PROMPT = "Reply with the word OK."
MAX_TOKENS = 256
"""Models that think fail where their thoughts do not fit; the others answer in one token."""
TIME_LIMIT_S = 60
AT_ONCE = 8
SHOWN_CHARACTERS = 400
MIN_SECRET = 8
"""Shorter keys are not looked for in texts: they would match by chance."""
_BROUGHT = ("DynamicEndpointNotFound", "DynamicRegionNotFound")
"""Errors of what only a request can bring."""

Call = Callable[[], Awaitable[int]]
"""Asks a provider; returns the latency in milliseconds."""
AnyProviderConfig = ProviderConfig | EmbeddingProviderConfig
Calls = list[tuple[AnyProviderConfig, Call]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table."""

    model: str
    provider: str
    type: str
    credential: str
    status: Literal["ok", "wrong", "not asked"]
    latency_ms: int | None = None
    reason: str = ""

    def cells(self) -> tuple[str, ...]:
        latency = "-" if self.latency_ms is None else f"{self.latency_ms} ms"
        result = f"{self.status}: {self.reason}" if self.reason else self.status
        return (self.model, self.provider, self.type, self.credential, latency, result)


@dataclass(slots=True)
class Case:
    """A provider to be asked, or what is known without asking (``known``)."""

    model: str
    provider: str
    type: str
    credential: str = "-"
    call: Call | None = None
    known: tuple[Literal["wrong", "not asked"], str] = ("wrong", "")
    secrets: list[str] = field(default_factory=list)

    async def finding(self) -> Finding:
        """What is the matter with it; asks it if there is need."""
        if self.call is None:
            return self._found(*self.known)
        try:
            latency_ms = await asyncio.wait_for(self.call(), TIME_LIMIT_S)
        except TimeoutError:
            return self._found("wrong", f"no answer within {TIME_LIMIT_S} s")
        except GatewayError as error:
            brought = error.kind in _BROUGHT
            return self._found("not asked" if brought else "wrong", str(error))
        return self._found("ok", "", latency_ms)

    def _found(
        self,
        status: Literal["ok", "wrong", "not asked"],
        text: str,
        latency_ms: int | None = None,
    ) -> Finding:
        for secret in self.secrets:
            text = text.replace(secret, "[redacted]")
        reason = _one_line(text)
        return Finding(
            self.model, self.provider, self.type, self.credential, status, latency_ms, reason
        )


class Examination:
    """The providers of a configuration, or of one of its models."""

    def __init__(self, config: Config, only: str | None, faults: Sequence[str]) -> None:
        """``faults``: errors of credentials that the configuration was read without. Raises
        ``ConfigErrors`` when there is no model to examine."""
        self.config = config
        self.faults = faults
        self.warnings = config.warnings
        self._pool = Pool(user_agent=f"TensorZero/{VERSION}".encode())
        self._context = ProviderContext(
            self._pool,
            config.gateway.global_outbound_http_timeout_ms,
            False,
            upstream_hosts(os.environ),
        )
        # The configuration may have been read without keys; shorthands want theirs all the same.
        reader = CredentialReader(os.environ, True, _ignore)
        reader.defaults = config.shorthands.credentials.defaults
        shorthands = ShorthandModels(reader)
        self._models = ModelTable(config.models, shorthands, self._context)
        self._embeddings = EmbeddingTable(config.embedding_models, shorthands, self._context)
        self.cases = [*self._chat_cases(only), *self._embedding_cases(only)]
        if not self.cases:
            missing = (
                f"`{only}` is no model of the configuration and no shorthand"
                if only
                else "there is no model: `--model` names one"
            )
            raise ConfigErrors([missing])

    @classmethod
    def of(cls, config_file: str | None, only: str | None) -> Examination:
        """Read a configuration, with missing credentials as findings; raises ``ConfigErrors``."""
        if config_file is None:
            return cls(load_default(), only, [])
        faults: Sequence[str] = ()
        try:
            config = load(config_file)
        except ConfigErrors as error:
            faults = error.errors
            # Raises again, where something else is wrong.
            config = load(config_file, check_credentials=False)
        return cls(config, only, faults)

    @property
    def asked(self) -> list[Case]:
        """Those that a request is sent to."""
        return [case for case in self.cases if case.call is not None]

    def run(self) -> list[Finding]:
        """Ask all of them, a few at a time."""

        async def ask() -> list[Finding]:
            gate = asyncio.Semaphore(AT_ONCE)

            async def one(case: Case) -> Finding:
                async with gate:
                    return await case.finding()

            try:
                return await asyncio.gather(*map(one, self.cases))
            finally:
                await self._pool.aclose()

        return asyncio.run(ask())

    def _chat_cases(self, only: str | None) -> Iterator[Case]:
        names = list(dict.fromkeys([*self.config.models, *_shorthands_of(self.config)]))
        if only is not None:
            shorthand = is_shorthand(only) and only not in self.config.embedding_models
            names = [only] if only in names or shorthand else []
        for name in names:
            yield from self._cases(f"models.{name}", name, self._chat_calls)

    def _embedding_cases(self, only: str | None) -> Iterator[Case]:
        names = dict.fromkeys([*self.config.embedding_models, *_embeddings_of(self.config)])
        for name in names:
            if only in (None, name):
                yield from self._cases(f"embedding_models.{name}", name, self._embedding_calls)

    def _cases(self, place: str, name: str, calls_of: Callable[[str], Calls]) -> Iterator[Case]:
        try:
            calls = calls_of(name)
        except GatewayError as error:
            kind = name.partition("::")[0]
            yield Case(name, kind, kind, known=("wrong", str(error)))
            return
        for config, call in calls:
            case = Case(name, config.name, config.type, _shown(config), call)
            case.secrets = _secrets(config)
            start = f"{place}.providers.{config.name}: "
            for fault in self.faults:
                if fault.startswith(start):
                    case.call, case.known = None, ("wrong", fault.removeprefix(start))
                    case.credential = "-"
            key = _brought_key(config)
            if case.call is not None and key is not None:
                case.call = None
                case.known = ("not asked", f"`{key}` comes with each request")
            yield case

    def _chat_calls(self, name: str) -> Calls:
        model = self._models.get(name)
        return [
            (route.config, partial(_chat, route.provider, _attempt(name, route.config)))
            for route in (() if model is None else model.routes)
        ]

    def _embedding_calls(self, name: str) -> Calls:
        model = self._embeddings.get(name)
        return [
            (route.config, partial(_embed, route.provider, _attempt(name, route.config)))
            for route in (() if model is None else model.routes)
        ]


def _ignore(warning: str) -> None:
    """Reading the configuration has said it."""


def _attempt(model: str, config: AnyProviderConfig) -> Attempt:
    return Attempt(model, config.name, uuid7(), Credentials())


async def _chat(provider: Provider, attempt: Attempt) -> int:
    message = Message("user", [Text(PROMPT)])
    request = ModelRequest([message], params=ChatCompletionParams(max_tokens=MAX_TOKENS))
    return (await provider.infer(request, attempt)).response_time_ms


async def _embed(provider: EmbeddingProvider, attempt: Attempt) -> int:
    return (await provider.embed(EmbeddingRequest(PROMPT), attempt)).response_time_ms


def _shorthands_of(config: Config) -> Iterator[str]:
    """Shorthand models that variants name."""
    for function in config.functions.values():
        for variant in function.variants.values():
            model = model_of(variant)
            if model not in config.models and is_shorthand(model):
                yield model


def _embeddings_of(config: Config) -> Iterator[str]:
    """Embedding models by shorthand that variants name."""
    for function in config.functions.values():
        for variant in function.variants.values():
            if isinstance(variant, DiclConfig):
                yield variant.embedding_model


def _shown(config: AnyProviderConfig) -> str:
    """What authenticates, without any of it."""
    if config.type in AWS_TYPES:
        given = getattr(config, "credentials", {}).values()
        return "AWS chain" if all(map(_is_none, given)) else "AWS keys"
    return _kind(config.credential)


def _kind(credential: Credential) -> str:
    if isinstance(credential, FallbackCredential):
        return f"{_kind(credential.default)}, else {_kind(credential.fallback)}"
    if isinstance(credential, StaticCredential):
        return "key"
    if isinstance(credential, DynamicCredential):
        return "the request's"
    if isinstance(credential, FileCredential):
        return "key file"
    return "sdk" if isinstance(credential, SdkCredential) else "none"


def _is_none(credential: Credential) -> bool:
    return _kind(credential) in ("none", "sdk")


def _all_credentials(config: AnyProviderConfig) -> list[list[Credential]]:
    """The provider's own, each with its fallback."""
    found = [config.credential, *getattr(config, "credentials", {}).values()]
    return [
        [one.default, one.fallback] if isinstance(one, FallbackCredential) else [one]
        for one in found
    ]


def _brought_key(config: AnyProviderConfig) -> str | None:
    """The key of ``credentials`` that nothing but a request can give."""
    for halves in _all_credentials(config):
        keys = [half.key for half in halves if isinstance(half, DynamicCredential)]
        if len(keys) == len(halves):
            return keys[0]
    return None


def _secrets(config: AnyProviderConfig) -> list[str]:
    """What must not be shown, whoever writes it into an error."""
    values = [
        half.value
        for halves in _all_credentials(config)
        for half in halves
        if isinstance(half, StaticCredential)
    ]
    return [value for value in values if len(value) >= MIN_SECRET]


def _one_line(text: str) -> str:
    """Without line ends and control characters, cut where it gets too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"
