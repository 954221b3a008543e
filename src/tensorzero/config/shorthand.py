"""Models by shorthand, such as ``openai::gpt-5-mini``: made when they are first asked for."""

from __future__ import annotations

from tensorzero.config.locations import LocationError
from tensorzero.config.model import ModelConfig, ProviderConfig
from tensorzero.config.provider_types import PROVIDER_TYPES
from tensorzero.config.read_models import CredentialDefaults
from tensorzero.types.dummy import parse_dummy_model
from tensorzero.types.errors import ApiKeyMissing, ConfigError


class ShorthandModels:
    """Makes them; a type's default credential is read once, success or failure."""

    def __init__(self, defaults: CredentialDefaults) -> None:
        self.defaults = defaults

    def is_shorthand(self, name: str) -> bool:
        prefix, separator, _ = name.partition("::")
        kind = PROVIDER_TYPES.get(prefix)
        return bool(separator) and kind is not None and kind.shorthand

    def get(self, name: str) -> ModelConfig | None:
        """The model, or ``None`` for a name that is no shorthand.

        Raises ``ApiKeyMissing`` when the type's default credential is not there, ``Config`` for a
        dummy behaviour that does not exist.
        """
        if not self.is_shorthand(name):
            return None
        prefix, _, rest = name.partition("::")
        options: dict[str, str] = {"model_name": rest}
        if prefix == "openai" and rest.startswith("responses::"):
            options = {"model_name": rest.removeprefix("responses::"), "api_type": "responses"}
        if prefix == "dummy":
            try:
                parse_dummy_model(rest)
            except ValueError as error:
                raise ConfigError(f"Invalid dummy model `{name}`: {error}") from None
        try:
            credential = self.defaults.get(prefix)
        except LocationError as error:
            text = str(error).removeprefix(
                f"API key missing for provider {PROVIDER_TYPES[prefix].display_name}: "
            )
            raise ApiKeyMissing(PROVIDER_TYPES[prefix].display_name, text) from None
        return ModelConfig(name, (ProviderConfig(prefix, prefix, options, credential),))
