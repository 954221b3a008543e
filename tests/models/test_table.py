"""Models by name: configured ones stay, shorthands come and go."""

from __future__ import annotations

import asyncio

import pytest

from providers.calls import request
from tensorzero.config.credential_defaults import CredentialReader
from tensorzero.config.credentials import NoCredential
from tensorzero.config.model import ModelConfig, ProviderConfig
from tensorzero.config.shorthand import ShorthandModels
from tensorzero.models.table import MAX_SHORTHANDS, ModelTable
from tensorzero.providers.base import ProviderContext
from tensorzero.types.errors import ApiKeyMissing, ConfigError
from tzcore.client import Pool


def table(environ: dict[str, str] | None = None) -> ModelTable:
    echo = ProviderConfig("p", "dummy", {"model_name": "echo"}, NoCredential())
    return ModelTable(
        {"mine": ModelConfig("mine", (echo,))},
        ShorthandModels(CredentialReader(environ or {}, True, lambda _: None)),
        ProviderContext(Pool(user_agent=b"Test/1"), 1000),
    )


def test_a_model_is_made_once() -> None:
    models = table()
    assert models.get("mine") is models.get("mine")
    assert models.get("dummy::text") is models.get("dummy::text")
    assert models.get("nope") is None
    assert models.get("azure::x") is None


def test_what_exists() -> None:
    models = table()
    names = ["mine", "dummy::x", "openai::x", "nope", "azure::x", "Openai::x", "openai:x"]
    assert [models.exists(name) for name in names] == [True, True, True, *[False] * 4]
    assert models.provider_names("mine") == ("p",)
    assert models.provider_names("openai::gpt-x") == ("openai",)


def test_a_shorthand_without_key_or_of_no_behaviour() -> None:
    models = table()
    for _ in range(2):
        with pytest.raises(ApiKeyMissing, match="OPENAI_API_KEY"):
            models.get("openai::gpt-x")
    with pytest.raises(ConfigError, match="unknown dummy behaviour"):
        models.get("dummy::nope")
    assert table({"OPENAI_API_KEY": "k"}).get("openai::gpt-x") is not None


def test_names_of_requests_do_not_pile_up() -> None:
    models = table()
    mine = models.get("mine")
    first = models.get("dummy::text?text=0")
    for number in range(3 * MAX_SHORTHANDS):
        model = models.get(f"dummy::text?text={number}")
        assert model is not None
        assert len(models._made) <= MAX_SHORTHANDS
    assert models.get("mine") is mine
    again = models.get("dummy::text?text=0")
    assert again is not None and again is not first
    answer = asyncio.run(_infer(again))
    assert answer == "0"


async def _infer(model: object) -> str:
    result = await model.infer(request(), {})  # type: ignore[attr-defined]
    return str(result.response.output[0].text)
