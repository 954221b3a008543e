"""What ``aws_bedrock`` and ``aws_sagemaker`` share: where requests go, and how they are signed."""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from collections.abc import Awaitable
from time import time
from typing import ClassVar
from urllib.parse import quote, urlsplit

from tensorzero.config.credentials import DynamicCredential, StaticCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.config.urls import outside_aws, parse_url
from tensorzero.providers.aws.credentials import shared_chain
from tensorzero.providers.aws.signature import AUTHORIZATION, DATE, Keys, Signer
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.http import HttpProvider
from tensorzero.types.errors import (
    ApiKeyMissing,
    DynamicEndpointNotFound,
    DynamicRegionNotFound,
    GatewayError,
    InvalidDynamicEndpoint,
    InvalidRequest,
    Serialization,
)
from tensorzero.types.model import Attempt
from tzcore.client import Target

log = logging.getLogger(__name__)

MAX_SKEW_S = 240
"""A clock that is further from AWS's than this (seconds) is corrected: AWS refuses at 300."""
MAX_KEPT = 256
REGION = re.compile("[A-Za-z0-9-]{1,64}")

Fields = list[tuple[str, str]]


class AwsProvider(HttpProvider):
    """A service of AWS: region, endpoint, and a signature or a bearer key on each request."""

    service: ClassVar[str]
    """The service's name in signatures."""
    host: ClassVar[str]
    """The host before ``.{region}.amazonaws.com``."""
    stream_type = b""  # whatever the server calls its stream

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        super().__init__(context, config)
        self._region: str | DynamicCredential = config.options["region"]
        self._endpoint: str | DynamicCredential | None = config.options.get("endpoint_url")
        self._bearer = config.credentials.get("api_key")
        self.signs = self._bearer is None
        key_id = config.credentials.get("access_key_id")
        self._dynamic_keys = isinstance(key_id, DynamicCredential)
        self._static_keys: Keys | None = None
        if isinstance(key_id, StaticCredential):
            self._static_keys = Keys(
                key_id.value,
                _static(config, "secret_access_key") or "",
                _static(config, "session_token"),
            )
        self._uses_chain = self.signs and not self._dynamic_keys and self._static_keys is None
        self._chain = shared_chain(context.tokens)
        if self._uses_chain:
            self._chain.prepare()
        self._fixed_place = isinstance(self._region, str) and not isinstance(
            self._endpoint, DynamicCredential
        )
        self._kept: dict[tuple[bool, str, str | None, str | None], Target] = {}
        self._signer: Signer | None = None
        self._signers: dict[tuple[Keys, str], Signer] = {}
        self._clock_offsets: dict[str, float] = {}

    @abstractmethod
    def path(self, *, stream: bool) -> str:
        """The path of requests below the endpoint, encoded as it is sent."""

    def url(self, *, stream: bool) -> str:
        assert isinstance(self._region, str) and not isinstance(self._endpoint, DynamicCredential)
        return self._url(self._region, self._endpoint, stream)

    def _url(self, region: str, endpoint: str | None, stream: bool) -> str:
        if endpoint is None:
            return f"https://{self.host}.{region}.amazonaws.com/{self.path(stream=stream)}"
        parts = urlsplit(endpoint)
        netloc = parts.netloc.rpartition("@")[2]
        base = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
        return f"{parts.scheme}://{netloc}{base}/{self.path(stream=stream)}"

    def target(self, attempt: Attempt, *, stream: bool) -> Target:
        target = self._targets.get(stream)
        if target is not None:
            return target
        region, endpoint = self._region_of(attempt), self._endpoint_of(attempt)
        key = self._bearer_of(attempt)
        place = (stream, region, endpoint, key)
        target = self._kept.get(place)
        if target is None:
            headers = self._own_fields(stream=stream)
            if key is not None:
                headers.append(("authorization", f"Bearer {key}"))
            try:
                target = self.context.pool.target(
                    self.context.redirected(self._url(region, endpoint, stream)), headers
                )
            except ValueError as error:
                raise Serialization(f"The request of {self.type} cannot be sent: {error}") from None
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[place] = target
        if self._fixed_place and not isinstance(self._bearer, DynamicCredential):
            self._targets[stream] = target
        return target

    def _own_fields(self, *, stream: bool) -> Fields:
        fields = [("content-type", "application/json")]
        if not stream:
            fields.append(("accept", "application/json"))
        return fields

    def _region_of(self, attempt: Attempt) -> str:
        if isinstance(self._region, str):
            return self._region
        region = attempt.credentials.get(self._region.key)
        if region is None:
            raise DynamicRegionNotFound(self._region.key)
        if REGION.fullmatch(region) is None:  # it goes into the host: no caller may choose that
            raise InvalidRequest(f"Invalid dynamic region: `{self._region.key}` names no region")
        return region

    def _endpoint_of(self, attempt: Attempt) -> str | None:
        if not isinstance(self._endpoint, DynamicCredential):
            return self._endpoint
        key = self._endpoint.key
        endpoint = attempt.credentials.get(key)
        if endpoint is None:
            raise DynamicEndpointNotFound(key)
        try:
            host = parse_url(endpoint).hostname or ""
        except ValueError:
            raise InvalidDynamicEndpoint(key) from None
        if outside_aws(host):
            log.warning("the endpoint `%s` of a request is outside the domains of AWS", host)
        return endpoint

    def _bearer_of(self, attempt: Attempt) -> str | None:
        if isinstance(self._bearer, StaticCredential):
            return self._bearer.value
        if isinstance(self._bearer, DynamicCredential):
            return self._dynamic(attempt, "api_key", self.display_name)
        return None

    def _dynamic(self, attempt: Attempt, name: str, provider: str = "aws") -> str | None:
        """A key of the request's; ``None`` where the configuration names none."""
        credential = self.config.credentials.get(name)
        if not isinstance(credential, DynamicCredential):
            return None
        value = attempt.credentials.get(credential.key)
        if value is None:
            raise ApiKeyMissing(
                provider, f"Dynamic `{name}` with key `{credential.key}` is missing"
            )
        return value

    # --- signing

    async def start(self) -> None:
        if self._uses_chain:
            self._chain.look()

    def pending_credentials(self, attempt: Attempt) -> Awaitable[None] | None:
        if not self._uses_chain or self._chain.keys() is not None:
            return None
        return self._chain.wait(self._without_keys)

    def _without_keys(self, reason: str) -> GatewayError:
        return self.failures.client(reason, None)

    def _keys(self, attempt: Attempt) -> Keys:
        if self._static_keys is not None:
            return self._static_keys
        if self._dynamic_keys:
            return Keys(
                self._dynamic(attempt, "access_key_id") or "",
                self._dynamic(attempt, "secret_access_key") or "",
                self._dynamic(attempt, "session_token"),
            )
        # A request that has been prepared for long may hold keys in their last minute.
        keys = self._chain.keys() or self._chain.latest
        assert keys is not None, "`pending_credentials` is awaited before"
        return keys

    def signed(self, target: Target, payload: bytes, attempt: Attempt, *, stream: bool) -> Target:
        if target is not self._targets.get(stream):
            # Extra fields may change what is sent, but not what AWS needs to read it.
            fields = self._own_fields(stream=stream)
            if any(field not in target.headers for field in fields):
                target = target.with_headers(fields, [])
        keys, region = self._keys(attempt), self._region_of(attempt)
        signer = self._signer
        if signer is None or signer.keys is not keys or signer.region != region:
            signer = self._signer = self._signer_of(keys, region)
        now = time()
        if self._clock_offsets:
            now += self._clock_offsets.get(target.host, 0.0)
        try:
            return target.adding(signer.fields(target, payload, now))
        except ValueError as error:
            raise Serialization(f"The request of {self.type} cannot be signed: {error}") from None

    def _signer_of(self, keys: Keys, region: str) -> Signer:
        signer = self._signers.get((keys, region))
        if signer is None:
            if len(self._signers) >= MAX_KEPT:
                self._signers.clear()
            signer = self._signers[keys, region] = Signer(keys, region, self.service)
        return signer

    def signed_again(
        self,
        target: Target,
        payload: bytes,
        attempt: Attempt,
        server_time: float | None,
        *,
        stream: bool,
    ) -> Target | None:
        """With AWS's own time, when the answer shows that ours is wrong."""
        ours = target.headers[-1][0] == AUTHORIZATION
        if not ours or server_time is None:
            return None
        offset = server_time - time()
        if abs(offset - self._clock_offsets.get(target.host, 0.0)) < MAX_SKEW_S:
            return None
        log.warning(
            "the clock of this machine is %.0f s off that of %s: requests are signed by its time",
            -offset,
            target.host,
        )
        if len(self._clock_offsets) >= MAX_KEPT:
            self._clock_offsets.clear()
        self._clock_offsets[target.host] = offset
        unsigned = target.with_headers([], [DATE, AUTHORIZATION])
        return self.signed(unsigned, payload, attempt, stream=stream)


def _static(config: ProviderConfig, name: str) -> str | None:
    credential = config.credentials.get(name)
    return credential.value if isinstance(credential, StaticCredential) else None
