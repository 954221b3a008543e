"""Where a credential comes from, and what was found there at start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LocationKind = Literal["env", "path", "path_from_env", "dynamic", "sdk", "none"]


@dataclass(frozen=True, slots=True)
class CredentialLocation:
    """One location as written in the config: ``env::NAME`` is ``("env", "NAME")``."""

    kind: LocationKind
    name: str = ""

    def __str__(self) -> str:
        return self.kind if self.kind in ("sdk", "none") else f"{self.kind}::{self.name}"


@dataclass(frozen=True, slots=True)
class CredentialPair:
    """``{default, fallback}``: the fallback serves when the default is not available."""

    default: CredentialLocation
    fallback: CredentialLocation

    @property
    def halves(self) -> list[CredentialLocation]:
        return [self.default, self.fallback]


Location = CredentialLocation | CredentialPair


@dataclass(frozen=True, slots=True)
class StaticCredential:
    """A value read at start. Never printed."""

    value: str

    def __repr__(self) -> str:
        return "StaticCredential(…)"


@dataclass(frozen=True, slots=True)
class DynamicCredential:
    """A value that each request brings under ``key`` of its ``credentials``."""

    key: str


@dataclass(frozen=True, slots=True)
class FileCredential:
    """The content of a key file (service accounts), read at start. Never printed."""

    content: str

    def __repr__(self) -> str:
        return "FileCredential(…)"


@dataclass(frozen=True, slots=True)
class SdkCredential:
    """The cloud SDK's own chain."""


@dataclass(frozen=True, slots=True)
class NoCredential:
    """No authentication at all."""


@dataclass(frozen=True, slots=True)
class FallbackCredential:
    """Both halves of a pair, resolved."""

    default: Credential
    fallback: Credential


Credential = (
    StaticCredential
    | DynamicCredential
    | FileCredential
    | SdkCredential
    | NoCredential
    | FallbackCredential
)
