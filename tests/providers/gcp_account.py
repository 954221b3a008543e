"""A service account made for the tests, and what reads its tokens."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from functools import cache
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

EMAIL = "robot@project.iam.gserviceaccount.com"


@cache
def key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def pem(form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key().private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def key_file(**fields: Any) -> str:
    """The content of a key file; a field given as ``None`` is left out."""
    content = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "key-1",
        "private_key": pem(),
        "client_email": EMAIL,
        "token_uri": "https://unused.invalid/token",
        **fields,
    }
    return orjson.dumps({k: v for k, v in content.items() if v is not None}).decode()


def read_jwt(authorization: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a bearer token; raises ``InvalidSignature`` for another's."""
    scheme, _, token = authorization.partition(" ")
    assert scheme == "Bearer"
    header, claims, signature = token.split(".")
    signed = f"{header}.{claims}".encode()
    key().public_key().verify(_decoded(signature), signed, PKCS1v15(), SHA256())
    return orjson.loads(_decoded(header)), orjson.loads(_decoded(claims))


def _decoded(part: str) -> bytes:
    assert "=" not in part
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
