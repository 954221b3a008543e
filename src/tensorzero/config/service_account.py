"""Key files of GCP service accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

FIELDS = ("private_key_id", "private_key", "client_email")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What signing needs of a key file. The key is never printed."""

    client_email: str
    private_key_id: str
    private_key: RSAPrivateKey

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email})"


def parse_service_account(content: str, name: str) -> ServiceAccount:
    """The account of a key file's content; raises ``ValueError``, whose text shows none of it.

    ``name`` is the provider's, for the text. ``token_uri``, ``project_id`` and ``type`` are not
    read. Source: the contract's page on Google, sections 7.2 and 7.3.
    """
    # Not at the top: loading it takes longer than the rest of a configuration.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        fields: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise ValueError("Failed to load GCP credentials: the key file is not JSON") from None
    for field in FIELDS:
        if not isinstance(fields, dict) or not isinstance(fields.get(field), str):
            raise ValueError(f"Failed to load GCP credentials: {name}: missing {field}")
    try:
        key = load_pem_private_key(fields["private_key"].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(
            f"Failed to load GCP credentials: {name}: private_key failed to parse as RSA"
        )
    return ServiceAccount(fields["client_email"], fields["private_key_id"], key)
