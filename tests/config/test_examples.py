"""The contract's annotated examples, as files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from config.folder import Folder
from providers.gcp_account import key_file

EXAMPLES = Path(__file__).parent / "examples"
BIG = '[models.big]\nrouting = ["p"]\n[models.big.providers.p]\ntype = "openai"\nmodel_name = "x"\n'
KEY = {"OPENAI_API_KEY": "k"}
SERVED = (
    ("auth = { enabled = true", "auth = { enabled = false"),
    ("[rate_limiting]\n", "[rate_limiting]\nenabled = false\n"),
)
"""What this version has no way to protect, switched off."""


def copy_functions(folder: Folder, *changes: tuple[str, str]) -> None:
    shutil.copytree(EXAMPLES, folder.path, dirs_exist_ok=True)
    shutil.rmtree(folder.path / "models")
    folder.write({"big.toml": BIG, "storage/.keep": ""})
    file = folder.path / "tensorzero.toml"
    text = file.read_text()
    for old, new in (("/app/storage", str(folder.path / "storage")), *changes):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


def test_the_example_of_functions_loads(folder: Folder) -> None:
    copy_functions(folder, *SERVED)
    config = folder.load(pattern="**/*.toml", environ=KEY)
    assert list(config.functions) == [
        "reply",
        "classify",
        "tensorzero::llm_judge::function_name::reply::polite",
    ]
    reply = config.functions["reply"]
    assert reply.tools[0].name == "lookup_order"
    assert set(reply.variants) == {"fast", "careful", "judged"}
    assert config.templates.template("support/prompts/system.minijinja").render({}) == (
        "You answer support tickets.\nBe kind."
    )
    assert dict(config.snapshot.extra_templates) == {"tone.minijinja": "Be kind.\n"}
    assert set(config.unserved_variants) == {("reply", "judged"), ("classify", "shots")}


def test_protective_settings_of_the_example_stop_the_start(folder: Folder) -> None:
    copy_functions(folder)
    errors = folder.errors(pattern="**/*.toml", environ=KEY)
    assert [line.partition(":")[0] for line in errors] == [
        "gateway.auth.enabled",
        "rate_limiting.rules",
    ]


def test_the_example_needs_its_keys_and_models(folder: Folder) -> None:
    copy_functions(folder, *SERVED)
    errors = folder.errors(pattern="**/*.toml")
    assert len(errors) == 2 and all("OPENAI_API_KEY" in line for line in errors)
    (folder.path / "big.toml").unlink()
    errors = folder.errors(pattern="**/*.toml", environ=KEY)
    assert len(errors) == 2
    assert all("Model name 'big' not found in model table" in line for line in errors)


def test_the_example_of_models_loads(folder: Folder) -> None:
    account = folder.path / "gcp.json"
    folder.write(
        {
            "gcp.json": key_file(),
            "tensorzero.toml": (EXAMPLES / "models" / "models.toml")
            .read_text()
            .replace("/etc/secrets/gcp.json", str(account)),
        }
    )
    environ = {
        **KEY,
        "AZURE_EU_ENDPOINT": "https://eu.openai.azure.com",
        "AZURE_EU_KEY": "k",
        "TOGETHER_API_KEY": "k",
        "AWS_REGION": "us-east-1",
    }
    config = folder.load(environ=environ)
    assert [one.name for one in config.models["support"].providers] == [
        "primary",
        "azure-eu",
        "bedrock",
    ]
    assert config.models["tenant-a"].namespace == "tenant_a"
    assert config.models["hosted"].skip_relay
    assert list(config.embedding_models) == ["docs"]
    for name in environ:
        missing = {key: value for key, value in environ.items() if key != name}
        missing |= {"HOME": str(folder.path), "AWS_EC2_METADATA_DISABLED": "true"}
        errors = folder.errors(environ=missing)
        assert errors and all(
            name in line or (name == "AWS_REGION" and "AWS region" in line) for line in errors
        ), (name, errors)


@pytest.mark.parametrize("name", ["tensorzero.toml"])
def test_the_shipped_configuration_loads(name: str) -> None:
    root = Path(__file__).parents[2] / "config"
    config = Folder(root).load(pattern=name)
    assert set(config.functions) == {"draft_email", "extract_contact"}
    assert config.warnings == ()
