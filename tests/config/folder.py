"""A folder of config files, loaded as the gateway loads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tensorzero.config.config import Config
from tensorzero.config.errors import ConfigErrors
from tensorzero.config.load import load

OBJECT_SCHEMA = '{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}'
DUMMY = 'type = "chat_completion"\nmodel = "dummy::text"\n'


class Folder:
    """Files are named relative to ``path``; the config is ``tensorzero.toml`` unless said."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def load(
        self,
        toml: str | None = None,
        files: Mapping[str, str | bytes] | None = None,
        *,
        pattern: str = "tensorzero.toml",
        environ: Mapping[str, str] | None = None,
        check_credentials: bool = True,
    ) -> Config:
        self.write(files or {})
        if toml is not None:
            self.write({"tensorzero.toml": toml})
        return load(
            str(self.path / pattern), environ=environ or {}, check_credentials=check_credentials
        )

    def errors(
        self,
        toml: str | None = None,
        files: Mapping[str, str | bytes] | None = None,
        *,
        pattern: str = "tensorzero.toml",
        environ: Mapping[str, str] | None = None,
    ) -> list[str]:
        """The lines that stop the start; none where it would start."""
        try:
            self.load(toml, files, pattern=pattern, environ=environ)
        except ConfigErrors as error:
            assert error.errors
            assert all("\n" not in line for line in error.errors)
            return list(error.errors)
        return []

    def error(
        self,
        toml: str | None = None,
        files: Mapping[str, str | bytes] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """The one line that stops the start."""
        errors = self.errors(toml, files, environ=environ)
        assert len(errors) == 1, errors
        return errors[0]


def chat(variant: str = DUMMY, function: str = "") -> str:
    """A chat function ``f`` with one variant ``v``."""
    return f'[functions.f]\ntype = "chat"\n{function}\n[functions.f.variants.v]\n{variant}\n'


def json_function(variant: str, function: str = "") -> str:
    """A JSON function ``f`` with one variant ``v``."""
    return f'[functions.f]\ntype = "json"\n{function}\n[functions.f.variants.v]\n{variant}\n'


def provider(keys: str, *, model: str = "m", extra: str = "") -> str:
    """A model with one provider ``p``."""
    return f'[models."{model}"]\nrouting = ["p"]\n{extra}\n[models."{model}".providers.p]\n{keys}\n'


def openai(keys: str = "") -> str:
    """A model with one open ``openai`` provider."""
    return provider(f'type = "openai"\nmodel_name = "x"\napi_key_location = "none"\n{keys}')
