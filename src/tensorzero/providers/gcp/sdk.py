"""Tokens of Google's application default credentials, by Google's own library.

Its chain: ``GOOGLE_APPLICATION_CREDENTIALS``, the file of ``gcloud auth application-default
login``, the metadata server.
"""

from __future__ import annotations

import time
from datetime import UTC
from typing import Any

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from tensorzero.providers.gcp.tokens import Token
from tensorzero.types.errors import GCPCredentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
UNKNOWN_LIFETIME_S = 3600.0
"""Of tokens whose end the library does not know."""


class SdkTokens:
    """Tokens of whatever account the environment has; every call may wait for the network."""

    def __init__(self) -> None:
        self._request = Request()
        self._credentials: Any = None

    def fetch(self) -> Token:
        if self._credentials is None:
            try:
                self._credentials, _ = google.auth.default(scopes=[SCOPE], request=self._request)
            except (GoogleAuthError, OSError, ValueError) as error:
                raise GCPCredentials(
                    f"Failed to create GCP Vertex credentials from SDK: {error}"
                ) from None
        credentials = self._credentials
        try:
            credentials.refresh(self._request)
        except (GoogleAuthError, OSError, ValueError) as error:
            # The next attempt looks again: a new login writes a new file.
            self._credentials = None
            raise GCPCredentials(f"Failed to get GCP access token: {error}") from None
        headers: dict[str, str] = {}
        credentials.apply(headers)
        expires_at = time.time() + UNKNOWN_LIFETIME_S
        if credentials.expiry is not None:
            expires_at = credentials.expiry.replace(tzinfo=UTC).timestamp()
        return Token(tuple((name.lower(), value) for name, value in headers.items()), expires_at)

    def adjust(self, server_time: float) -> bool:
        return False
