"""Parses credential locations and reads what they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tensorzero.config.credentials import (
    Credential,
    CredentialLocation,
    CredentialPair,
    DynamicCredential,
    FallbackCredential,
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


def read_location(location: Location, environ: Mapping[str, str], provider: str) -> Credential:
    """The credential at a location; raises ``LocationError`` naming the variable or file."""
    if isinstance(location, CredentialPair):
        return FallbackCredential(
            read_location(location.default, environ, provider),
            read_location(location.fallback, environ, provider),
        )
    if location.kind == "none":
        return NoCredential()
    if location.kind == "sdk":
        return SdkCredential()
    if location.kind == "dynamic":
        return DynamicCredential(location.name)
    if location.kind == "env":
        value = environ.get(location.name)
        if value is None:
            raise LocationError(
                f"API key missing for provider {provider}: Environment variable `{location.name}` "
                "is missing"
            )
        return StaticCredential(value)
    path = location.name
    if location.kind == "path_from_env":
        named = environ.get(location.name)
        if named is None:
            raise LocationError(
                f"API key missing for provider {provider}: Environment variable `{location.name}` "
                "for credentials path is missing"
            )
        path = named
    try:
        with open(path, encoding="utf-8") as file:
            return FileCredential(file.read())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise LocationError(
            f"API key missing for provider {provider}: Failed to read credentials file - {reason}"
        ) from None
