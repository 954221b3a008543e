"""Models by shorthand, such as ``openai::gpt-5-mini``: made when they are first asked for."""

from __future__ import annotations

from tensorzero.config.credential_defaults import CredentialReader
from tensorzero.config.credentials import Credential
from tensorzero.config.gcp_shorthand import parse_gcp_path
from tensorzero.config.locations import CredentialMissing, LocationError
from tensorzero.config.model import (
    EmbeddingModelConfig,
    EmbeddingProviderConfig,
    ModelConfig,
    ProviderConfig,
)
from tensorzero.config.provider_types import EMBEDDING_SHORTHANDS, GCP_TYPES, PROVIDER_TYPES
from tensorzero.types.dummy import parse_dummy_model
from tensorzero.types.errors import ApiKeyMissing, ConfigError


def is_shorthand(name: str) -> bool:
    """Whether a model name begins with a shorthand prefix."""
    prefix, separator, _ = name.partition("::")
    kind = PROVIDER_TYPES.get(prefix)
    return bool(separator) and kind is not None and kind.shorthand


def shorthand_options(name: str) -> dict[str, str]:
    """The options of a shorthand's provider; raises ``ValueError`` for a form that is none."""
    prefix, _, rest = name.partition("::")
    if prefix in GCP_TYPES:
        return parse_gcp_path(prefix, rest)
    if prefix == "openai" and rest.startswith("responses::"):
        return {"model_name": rest.removeprefix("responses::"), "api_type": "responses"}
    if prefix == "dummy":
        try:
            parse_dummy_model(rest)
        except ValueError as error:
            raise ValueError(f"Invalid dummy model `{name}`: {error}") from None
    return {"model_name": rest}


class ShorthandModels:
    """Makes them; a type's default credential is read once, success or failure."""

    def __init__(self, credentials: CredentialReader) -> None:
        self.credentials = credentials

    def is_shorthand(self, name: str) -> bool:
        return is_shorthand(name)

    def get(self, name: str) -> ModelConfig | None:
        """The model, or ``None`` for a name that is no shorthand.

        Raises ``ApiKeyMissing`` when the type's default credential is not there, ``Config`` for a
        default of a wrong form, a GCP path or a dummy behaviour that does not exist.
        """
        if not is_shorthand(name):
            return None
        prefix = name.partition("::")[0]
        credential = self._credential(prefix)
        try:
            options = shorthand_options(name)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        return ModelConfig(name, (ProviderConfig(prefix, prefix, options, credential),))

    def likely_types(self) -> list[str]:
        """The types whose shorthands have a key in the environment."""
        return [
            name
            for name, kind in PROVIDER_TYPES.items()
            if kind.shorthand and kind.variable and kind.variable in self.credentials.environ
        ]

    def is_embedding(self, name: str) -> bool:
        """Whether an embedding model's name begins with a shorthand prefix."""
        return name.startswith(EMBEDDING_SHORTHANDS)

    def embedding(self, name: str) -> EmbeddingModelConfig | None:
        """The embedding model, or ``None``; raises ``ApiKeyMissing`` and ``Config`` like ``get``."""
        if not self.is_embedding(name):
            return None
        prefix, _, rest = name.partition("::")
        options = {"model_name": rest}
        provider = EmbeddingProviderConfig(prefix, prefix, options, self._credential(prefix))
        return EmbeddingModelConfig(name, (provider,))

    def _credential(self, type_name: str) -> Credential:
        """A type's default."""
        try:
            return self.credentials.default(type_name)
        except CredentialMissing as error:
            raise ApiKeyMissing(PROVIDER_TYPES[type_name].display_name, error.reason) from None
        except LocationError as error:
            raise ConfigError(str(error)) from None
