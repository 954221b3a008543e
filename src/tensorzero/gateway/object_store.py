"""The configured object store: S3-compatible, a folder, or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

VALIDATION_OBJECT = ".tensorzero-validate"


class ConfiguredStore:
    """An object store behind ``obstore``; ``kind`` is the resolved config section."""

    def __init__(self, kind: Mapping[str, Any], store: LocalStore | S3Store) -> None:
        self.kind = kind
        self.store = store

    def validate(self) -> None:
        """Write an empty object, as a start does; raises ``OSError`` when the store refuses it."""
        try:
            obstore.put(self.store, VALIDATION_OBJECT, b"")
        except (BaseError, OSError, ValueError) as error:
            raise OSError(
                f"Failed to write `{VALIDATION_OBJECT}` to object store. {_reason(error)}"
            ) from None

    async def put(self, path: str, data: bytes) -> None:
        try:
            await obstore.put_async(self.store, path, data, mode="create")
        except AlreadyExistsError:
            return
        except BaseError as error:
            raise OSError(_reason(error)) from None

    async def get(self, path: str) -> bytes:
        try:
            result = await obstore.get_async(self.store, path)
            return bytes(await result.bytes_async())
        except FileNotFoundError:
            raise KeyError(path) from None
        except (BaseError, ValueError) as error:  # ValueError: a path such as `../x`
            raise OSError(_reason(error)) from None


def _reason(error: Exception) -> str:
    """The first paragraph: what follows it is for the store's own developers."""
    return str(error).partition("\n\n")[0]


def open_store(kind: Mapping[str, Any]) -> ConfiguredStore | None:
    """The store of a resolved ``[object_storage]``; ``None`` for ``disabled``.

    Credentials: ``S3_ACCESS_KEY_ID`` and ``S3_SECRET_ACCESS_KEY``, else the AWS chain.
    """
    if kind["type"] == "disabled":
        return None
    if kind["type"] == "filesystem":
        Path(kind["path"]).mkdir(parents=True, exist_ok=True)
        return ConfiguredStore(kind, LocalStore(prefix=kind["path"]))
    options: dict[str, Any] = {}
    if kind.get("region"):
        options["region"] = kind["region"]
    if kind.get("endpoint"):
        options["endpoint"] = kind["endpoint"]
    access_key = os.environ.get("S3_ACCESS_KEY_ID")
    if access_key:
        options["access_key_id"] = access_key
        options["secret_access_key"] = os.environ.get("S3_SECRET_ACCESS_KEY", "")
    allow_http = kind.get("allow_http")
    if allow_http is None:
        allow_http = os.environ.get("AWS_ALLOW_HTTP") == "true"
    store = S3Store(
        bucket=str(kind.get("bucket_name") or ""),
        client_options={"allow_http": bool(allow_http)},
        # Answers wait a few seconds for their files; a store that is away is given up soon after.
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        **options,
    )
    return ConfiguredStore(kind, store)
