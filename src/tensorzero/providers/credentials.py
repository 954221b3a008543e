"""Turns a configured credential and a request's own into the value to send."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from tensorzero.config.credentials import (
    Credential,
    DynamicCredential,
    FallbackCredential,
    NoCredential,
    StaticCredential,
)
from tensorzero.types.errors import ApiKeyMissing

log = logging.getLogger(__name__)


def api_key(credential: Credential, dynamic: Mapping[str, str], provider_name: str) -> str | None:
    """The key to send, or ``None`` for no authentication.

    Raises ``ApiKeyMissing`` when the request does not bring a dynamic key; the fallback of a
    pair then serves, with a warning.
    """
    if isinstance(credential, StaticCredential):
        return credential.value
    if isinstance(credential, NoCredential):
        return None
    if isinstance(credential, DynamicCredential):
        value = dynamic.get(credential.key)
        if value is None:
            raise ApiKeyMissing(provider_name, f"Dynamic api key `{credential.key}` is missing")
        return value
    if isinstance(credential, FallbackCredential):
        try:
            return api_key(credential.default, dynamic, provider_name)
        except ApiKeyMissing as error:
            log.warning("using the fallback credential: %s", error)
            return api_key(credential.fallback, dynamic, provider_name)
    raise ApiKeyMissing(provider_name, "No credentials are set")
