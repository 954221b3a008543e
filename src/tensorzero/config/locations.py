"""Parses credential locations and reads what they name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from tensorzero.config.credentials import (
    Credential,
    CredentialLocation,
    CredentialPair,
    DynamicCredential,
    FileCredential,
    Location,
    LocationKind,
    NoCredential,
    SdkCredential,
    StaticCredential,
)

PREFIXES = ("env", "path", "path_from_env", "dynamic")


class LocationError(ValueError):
    """A location that is not one, or whose value is not there; the text is fit for a user."""


def parse_location(value: Any) -> Location:
    """A location string or a ``{default, fallback}`` pair; raises ``LocationError``.

    A pasted secret is shown with its first four characters only.
    """
    if isinstance(value, dict):
        for key in ("default", "fallback"):
            if key not in value:
                raise LocationError(f"missing field `{key}`")
        for key in value:
            if key not in ("default", "fallback"):
                raise LocationError(f"unknown field `{key}`, expected `default` or `fallback`")
        return CredentialPair(_single(value["default"]), _single(value["fallback"]))
    return _single(value)


def _single(value: Any) -> CredentialLocation:
    if not isinstance(value, str):
        raise LocationError("expected a credential location string")
    if value in ("sdk", "none"):
        return CredentialLocation(cast(LocationKind, value))
    prefix, separator, name = value.partition("::")
    if separator and prefix in PREFIXES:
        return CredentialLocation(cast(LocationKind, prefix), name)
    shown = value if len(value) <= 4 else f"{value[:4]}…"
    raise LocationError(
        f"Invalid credential location format: `{shown}`. Use `env::VAR_NAME`, `path::FILE_PATH`, "
        "`dynamic::KEY_NAME`, `sdk`, or `none`."
    )


class CredentialMissing(LocationError):
    """A variable or file that is not there; ``reason`` is the text without the provider."""

    def __init__(self, provider: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"API key missing for provider {provider}: {reason}")


def variable(environ: Mapping[str, str], name: str) -> str | None:
    """The value of an environment variable; one that is not UTF-8 counts as missing."""
    value = environ.get(name)
    if value is None:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def read_location(
    location: CredentialLocation, environ: Mapping[str, str], provider: str
) -> Credential:
    """The credential at a location; raises ``CredentialMissing`` naming the variable or file."""
    if location.kind == "none":
        return NoCredential()
    if location.kind == "sdk":
        return SdkCredential()
    if location.kind == "dynamic":
        return DynamicCredential(location.name)
    if location.kind == "env":
        value = variable(environ, location.name)
        if value is None:
            raise CredentialMissing(provider, f"Environment variable `{location.name}` is missing")
        return StaticCredential(value)
    path = location.name
    if location.kind == "path_from_env":
        named = variable(environ, location.name)
        if named is None:
            raise CredentialMissing(
                provider,
                f"Environment variable `{location.name}` for credentials path is missing",
            )
        path = named
    try:
        return FileCredential(Path(path).read_bytes().decode())
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a UTF-8 file"
        raise CredentialMissing(
            provider, f"Failed to read credentials file - {reason}: `{path}`"
        ) from None
