"""Tokens that a service account signs itself: no server is asked for them.

Source: the contract's page on Google, section 7.3; RFC 7515 and RFC 7519 for the form.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode

import orjson
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from tensorzero.config.service_account import ServiceAccount
from tensorzero.providers.gcp.tokens import Token

LIFETIME_S = 3600
SKEW_S = 60.0
"""Differences of clocks below this are not taken for a fault of ours."""


class ServiceAccountTokens:
    """Signed JWTs of an account for one audience (``https://HOST/``)."""

    def __init__(self, account: ServiceAccount, audience: str) -> None:
        self.account = account
        self.audience = audience
        self.offset_s = 0.0
        """How far the server's clock is ahead of ours, once a refusal showed that it is."""

    def fetch(self) -> Token:
        now = time.time()
        jwt = sign_jwt(self.account, self.audience, int(now + self.offset_s))
        return Token((("authorization", f"Bearer {jwt}"),), now + LIFETIME_S)

    def adjust(self, server_time: float) -> bool:
        offset = server_time - time.time()
        if abs(offset - self.offset_s) < SKEW_S:
            return False
        self.offset_s = offset
        return True


def sign_jwt(account: ServiceAccount, audience: str, issued_at: int) -> str:
    """An RS256 token, valid for an hour from ``issued_at`` (seconds since 1970)."""
    header = {"typ": "JWT", "alg": "RS256", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "sub": account.client_email,
        "aud": audience,
        "iat": issued_at,
        "exp": issued_at + LIFETIME_S,
    }
    signed = _base64(orjson.dumps(header)) + b"." + _base64(orjson.dumps(claims))
    signature = account.private_key.sign(signed, PKCS1v15(), SHA256())
    return (signed + b"." + _base64(signature)).decode()


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
