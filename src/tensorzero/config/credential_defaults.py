"""Credentials of provider types: which forms a type takes, and its default location.

Rules: the contract's page on models and providers, sections 4.2, 4.3 and 4.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tensorzero.config.credentials import (
    Credential,
    CredentialLocation,
    CredentialPair,
    FallbackCredential,
    FileCredential,
    Location,
    NoCredential,
    StaticCredential,
)
from tensorzero.config.locations import (
    CredentialMissing,
    LocationError,
    parse_location,
    read_location,
    variable,
)
from tensorzero.config.provider_types import GCP_TYPES, PROVIDER_TYPES
from tensorzero.config.service_account import parse_service_account

AZURE_LOCATION = CredentialLocation("env", "AZURE_API_KEY")
AZURE_OLD_VARIABLE = "AZURE_OPENAI_API_KEY"
GOOGLE_ALIASES = ("GOOGLE_API_KEY", "GOOGLE_AI_STUDIO_GEMINI_API_KEY")


class CredentialReader:
    """Reads the credentials of all provider types; each type's default at most once.

    ``warn`` takes one line for the log; ``check`` off lets missing variables and files pass.
    """

    def __init__(
        self, environ: Mapping[str, str], check: bool, warn: Callable[[str], None]
    ) -> None:
        self.environ = environ
        self.check = check
        self.warn = warn
        self.defaults: dict[str, Location] = {}
        """``provider_types.<type>.defaults``, by type."""
        self._read: dict[str, Credential | LocationError] = {}

    def default(self, type_name: str) -> Credential:
        """The type's default credential; raises ``LocationError``, the same one each time."""
        if type_name not in self._read:
            try:
                self._read[type_name] = self._default(type_name)
            except LocationError as error:
                self._read[type_name] = error
        found = self._read[type_name]
        if isinstance(found, LocationError):
            raise found
        return found

    def _default(self, type_name: str) -> Credential:
        kind = PROVIDER_TYPES[type_name]
        location = self.defaults.get(type_name)
        if location is None:
            if kind.variable is None:
                return NoCredential()
            if kind.optional_key and variable(self.environ, kind.variable) is None:
                return NoCredential()
            form = "path_from_env" if type_name in GCP_TYPES else "env"
            location = parse_location(f"{form}::{kind.variable}")
            if type_name == "google_ai_studio_gemini":
                location = self._google(kind.variable)
        if type_name == "azure":
            location = self._azure(location)
        return self.read(location, type_name)

    def _google(self, own: str) -> Location:
        for name in (own, *GOOGLE_ALIASES):
            if variable(self.environ, name) is not None:
                return CredentialLocation("env", name)
        return CredentialLocation("env", own)

    def _azure(self, location: Location) -> Location:
        """The old variable serves where the new one is not set."""
        first = location.default if isinstance(location, CredentialPair) else location
        set_already = variable(self.environ, AZURE_LOCATION.name) is not None
        if first != AZURE_LOCATION or set_already or AZURE_OLD_VARIABLE not in self.environ:
            return location
        self.warn(
            f"Deprecation Warning: the variable `{AZURE_OLD_VARIABLE}` is used, set "
            f"`{AZURE_LOCATION.name}` instead"
        )
        return CredentialLocation("env", AZURE_OLD_VARIABLE)

    def read(self, location: Location, type_name: str) -> Credential:
        """The credential at a location.

        Raises ``LocationError`` for a form that the type does not take, a missing variable or
        file, and a key file that is none.
        """
        if isinstance(location, CredentialPair):
            default = self._single(location.default, type_name)
            if type_name == "dummy":
                return default
            return FallbackCredential(default, self._single(location.fallback, type_name))
        return self._single(location, type_name)

    def _single(self, location: CredentialLocation, type_name: str) -> Credential:
        kind = PROVIDER_TYPES[type_name]
        credential: Credential = NoCredential()
        try:
            credential = read_location(location, self.environ, kind.start_name)
        except CredentialMissing:
            if self.check:
                raise
        reason = wrong_form(location, type_name)
        if reason is not None:
            raise LocationError(reason)
        if isinstance(credential, StaticCredential) and credential.value == "":
            self.warn(
                f"the variable `{location.name}` is set but empty: {kind.display_name} is sent an "
                "empty key"
            )
        if isinstance(credential, FileCredential):
            try:
                parse_service_account(credential.content, kind.display_name)
            except ValueError as error:
                raise LocationError(f"Error in acquiring GCP credentials: {error}") from None
        return credential


def wrong_form(location: CredentialLocation, type_name: str) -> str | None:
    """Why a type does not take this form of location, or ``None``."""
    name = PROVIDER_TYPES[type_name].display_name
    if type_name in GCP_TYPES:
        if location.kind not in ("env", "none"):
            return None
        return (
            "Error in acquiring GCP credentials: Invalid credential_location for "
            f"{PROVIDER_TYPES[type_name].start_name} provider: use `path::`, `path_from_env::`, "
            "`dynamic::` or `sdk`"
        )
    if type_name == "dummy":
        if location.kind in ("none", "dynamic"):
            return None
        return "Invalid api_key_location for Dummy provider: use `dynamic::` or `none`"
    if location.kind in ("env", "dynamic", "none"):
        return None
    return f"Invalid api_key_location for {name} provider: use `env::`, `dynamic::` or `none`"
