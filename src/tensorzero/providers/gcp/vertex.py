"""What every type of GCP Vertex AI shares: host, paths, and who is asking."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import ClassVar

from tensorzero.config.credentials import (
    Credential,
    DynamicCredential,
    FallbackCredential,
    FileCredential,
    SdkCredential,
)
from tensorzero.config.model import ProviderConfig
from tensorzero.config.service_account import parse_service_account
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.gcp.tokens import Token, TokenCache
from tensorzero.providers.http import HttpProvider, encode_path
from tensorzero.types.errors import ApiKeyMissing, GatewayError, GCPCredentials
from tensorzero.types.model import Attempt
from tzcore.client import Target

log = logging.getLogger(__name__)

SDK = "sdk"
SDK_FAULT = "Failed to create GCP Vertex credentials from SDK: "
MAX_BROUGHT = 64
"""Key files that requests bring and whose tokens are kept."""


class VertexProvider(HttpProvider):
    """Base of the Vertex types. A subclass says ``publisher`` and the methods of its ``url``."""

    publisher: ClassVar[str]
    methods: ClassVar[tuple[str, str]]
    """What is called on a model: for a whole answer, for a stream."""

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        super().__init__(context, config)
        options = config.options
        location = options["location"]
        prefix = "" if location == "global" else f"{location}-"
        self.base = f"https://{prefix}aiplatform.googleapis.com/"
        endpoint = options.get("endpoint_id")
        resource = (
            f"publishers/{self.publisher}/models/{options['model_id']}"
            if endpoint is None
            else f"endpoints/{endpoint}"
        )
        self.path = encode_path(
            f"v1/projects/{options['project_id']}/locations/{location}/{resource}"
        )
        self._made: dict[bool, tuple[Token, Target]] = {}
        # Where all tokens come from, unless that depends on the request.
        self._only: TokenCache | None = None
        self._caches: dict[str, TokenCache] = {}
        self._brought: dict[str, TokenCache] = {}

    def url(self, *, stream: bool) -> str:
        return f"{self.base}{self.path}:{self.methods[stream]}"

    def pending_credentials(self, attempt: Attempt) -> Awaitable[None] | None:
        cache = self._only
        if cache is None:
            credential = self.config.credential
            if isinstance(credential, FallbackCredential):
                return self._wait_for_pair(credential, attempt)
            cache = self._cache(credential, attempt)
            if not isinstance(credential, DynamicCredential):
                self._only = cache
        return None if cache is None or cache.current() is not None else _wait_for(cache)

    def target(self, attempt: Attempt, *, stream: bool) -> Target:
        only = self._only
        token = None if only is None else only.held
        if token is None:
            token = self._token(self.config.credential, attempt)
        made = self._made.get(stream)
        if made is not None and made[0] is token:
            return made[1]
        target = self.make_target(list(token.headers), stream)
        if token.expires_at:  # not one that a request brought
            self._made[stream] = (token, target)
        return target

    def refused(self, target: Target, server_time: float | None) -> bool:
        sent = next((value for name, value in target.headers if name == "authorization"), "")
        caches = [*self._caches.values(), *self._brought.values()]
        return any(cache.reject(sent, server_time) for cache in caches)

    async def start(self) -> None:
        """Fetch a token of the SDK's chain, if that is configured: it fails at start or never."""
        credential = self.config.credential
        halves = [credential]
        if isinstance(credential, FallbackCredential):
            halves = [credential.default, credential.fallback]
        if not any(isinstance(half, SdkCredential) for half in halves):
            return
        try:
            await self._sdk().get()
        except GCPCredentials as error:
            reason = str(error.fields["message"]).removeprefix(SDK_FAULT)
            raise GCPCredentials(SDK_FAULT + reason) from None

    async def _wait_for_pair(self, pair: FallbackCredential, attempt: Attempt) -> None:
        try:
            cache = self._cache(pair.default, attempt)
            if cache is not None:
                await cache.get()
        except GatewayError as error:
            log.warning("using the fallback credential: %s", error)
            cache = self._cache(pair.fallback, attempt)
            if cache is not None:
                await cache.get()

    def _token(self, credential: Credential, attempt: Attempt) -> Token:
        """The token to send, after ``pending_credentials``."""
        if isinstance(credential, FallbackCredential):
            try:
                return self._token(credential.default, attempt)
            except GatewayError:
                return self._token(credential.fallback, attempt)
        cache = self._cache(credential, attempt)
        if cache is None:
            return Token(
                (("authorization", f"Bearer {self._brought_value(credential, attempt)}"),), 0.0
            )
        token = cache.held
        if token is None:
            raise GCPCredentials("Failed to get GCP access token: it has just been refused")
        return token

    def _cache(self, credential: Credential, attempt: Attempt) -> TokenCache | None:
        """Where the credential's tokens are kept; ``None``: the request brings a token.

        Raises ``ApiKeyMissing`` and ``GCPCredentials``.
        """
        if isinstance(credential, FileCredential):
            return self._account(credential.content)
        if isinstance(credential, SdkCredential):
            return self._sdk()
        value = self._brought_value(credential, attempt)
        return self._brought_account(value) if value.lstrip().startswith("{") else None

    def _brought_value(self, credential: Credential, attempt: Attempt) -> str:
        if not isinstance(credential, DynamicCredential):
            raise ApiKeyMissing(self.display_name, "No credentials are set")
        value = attempt.credentials.get(credential.key)
        if value is None:
            reason = f"Dynamic api key `{credential.key}` is missing"
            raise ApiKeyMissing(self.display_name, reason)
        return value

    def _sdk(self) -> TokenCache:
        cache = self._caches.get(SDK)
        if cache is None:
            # Not at the top: Google's library takes long to load.
            from tensorzero.providers.gcp.sdk import SdkTokens

            shared = self.context.tokens
            if SDK not in shared:
                shared[SDK] = TokenCache(SdkTokens())
            cache = self._caches[SDK] = shared[SDK]
        return cache

    def _account(self, content: str) -> TokenCache:
        cache = self._caches.get(content)
        if cache is None:
            key = f"{self.base} {content}"
            shared = self.context.tokens
            if key not in shared:
                shared[key] = self._signer(content)
            cache = self._caches[content] = shared[key]
        return cache

    def _brought_account(self, content: str) -> TokenCache:
        cache = self._brought.get(content)
        if cache is None:
            cache = self._signer(content)
            if len(self._brought) >= MAX_BROUGHT:
                del self._brought[next(iter(self._brought))]
            self._brought[content] = cache
        return cache

    def _signer(self, content: str) -> TokenCache:
        from tensorzero.providers.gcp.service_account import ServiceAccountTokens

        try:
            account = parse_service_account(content, self.display_name)
        except ValueError as error:
            raise GCPCredentials(str(error)) from None
        return TokenCache(ServiceAccountTokens(account, self.base))


async def _wait_for(cache: TokenCache) -> None:
    await cache.get()
