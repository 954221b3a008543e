"""``docs/providers.md``: every type has its section and an example that the configuration takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from providers.gcp_account import key_file
from tensorzero.config.load import load
from tensorzero.config.provider_types import PROVIDER_TYPES
from tensorzero.models.table import ModelTable
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.registry import EMBEDDING_PROVIDERS, PROVIDERS
from tzcore.client import Pool

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
TYPES = sorted(PROVIDERS.keys() - {"dummy"})
ENVIRON = {
    **{kind.variable: "a-key" for kind in PROVIDER_TYPES.values() if kind.variable},
    "AWS_REGION": "us-east-1",
}


def model_of(example: str) -> tuple[str, str, str]:
    """Names of the model and the provider, and the type."""
    ((model, entry),) = tomllib.loads(example)["models"].items()
    ((provider, options),) = entry["providers"].items()
    return model, provider, options["type"]


def test_every_type_has_a_section_and_an_example() -> None:
    assert sorted(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == TYPES
    assert sorted(model_of(example)[2] for example in EXAMPLES) == TYPES


def test_shorthands_and_keys_are_those_of_the_configuration() -> None:
    cells = re.findall(r"^\| \[`(\w+)`\]\(\S+\) \| (.*?) \| (.*?) \|", PAGE, re.MULTILINE)
    for name, shorthand, key in cells:
        kind = PROVIDER_TYPES[name]
        assert (f"`{name}::" in shorthand) == kind.shorthand, name
        assert kind.variable is None or f"`{kind.variable}`" in key, name


def test_the_table_lists_every_type() -> None:
    rows = re.findall(r"^\| \[`(\w+)`\]\((\S+)\) \|(.*)\|$", PAGE, re.MULTILINE)
    assert [name for name, _, _ in rows] == sorted(PROVIDERS)
    for name, link, cells in rows:
        assert link == ("dummy.md" if name == "dummy" else f"#{name}")
        assert (cells.split("|")[-1].strip() == "yes") == (name in EMBEDDING_PROVIDERS), name


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: model_of(text)[2])
def test_an_example_is_taken(example: str, tmp_path: Path) -> None:
    model, provider, kind = model_of(example)
    key = tmp_path / "gcp.json"
    key.write_text(key_file())
    path = tmp_path / "tensorzero.toml"
    path.write_text(
        f"[models.{model}]\nrouting = ['{provider}']\n"
        + example.replace("/etc/secrets/gcp.json", str(key))
    )
    config = load(str(path), environ=ENVIRON | {"GCP_VERTEX_CREDENTIALS_PATH": str(key)})
    context = ProviderContext(Pool(user_agent=b"test", trust_env=False), 20_000)
    (route,) = ModelTable(config.models, config.shorthands, context).get(model).routes
    assert route.provider.type == kind
