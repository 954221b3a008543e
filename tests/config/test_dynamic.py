"""``internal_dynamic_variant_config``: a variant in its JSON form."""

from __future__ import annotations

from typing import Any

import pytest

from config.folder import DUMMY, OBJECT_SCHEMA, Folder, chat
from tensorzero.config.config import Config
from tensorzero.config.dynamic import load_dynamic_variant
from tensorzero.config.variant import ChatCompletionConfig
from tensorzero.types.errors import ConfigError, DynamicTemplateLoad


def embedded(name: str, content: str) -> dict[str, str]:
    return {"__tensorzero_remapped_path": name, "__data": content}


def read(config: Config, **keys: Any) -> Any:
    table = {"type": "chat_completion", "model": "dummy::text", **keys}
    return load_dynamic_variant(config, config.functions["f"], table)


@pytest.fixture
def config(folder: Folder) -> Config:
    return folder.load(chat(f"{DUMMY}templates.a.path = 'a.txt'"), {"a.txt": "configured"})


def test_its_templates_shadow_configured_ones(config: Config) -> None:
    variant, engine = read(
        config,
        templates={"a": {"path": embedded("a.txt", "mine")}, "b": {"path": embedded("b", "B")}},
        temperature=0.5,
        weight=None,
    )
    assert isinstance(variant, ChatCompletionConfig)
    assert variant.name == "tensorzero::dynamic_variant" and variant.params.temperature == 0.5
    assert engine.template("a.txt").render({}) == "mine"
    assert engine.template("b").render({}) == "B"
    assert config.templates.template("a.txt").render({}) == "configured"


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"model": "nope"}, "Model name 'nope' not found in model table"),
        ({"enable_agi": True}, "unknown field `enable_agi`"),
        ({"system_template": "a.txt"}, "Expected a string"),
        ({"json_mode": "on"}, "JSON mode is not supported"),
        (
            {"system_template": embedded("s", "{{ name }}")},
            "template needs variables: [name] but only `system_text` is allowed",
        ),
    ],
)
def test_a_fault_in_it(config: Config, keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(config, **keys)
    assert text in str(caught.value)


def test_every_schema_needs_its_template(folder: Folder) -> None:
    config = folder.load(
        chat(f"{DUMMY}user_template = 'u'", "user_schema = 's.json'"),
        {"u": "{{ name }}", "s.json": OBJECT_SCHEMA},
    )
    with pytest.raises(ConfigError, match="template is required when schema is specified"):
        read(config)


def test_a_template_that_does_not_parse(config: Config) -> None:
    with pytest.raises(DynamicTemplateLoad, match="Failed to add template `b`"):
        read(config, templates={"b": {"path": embedded("b", "{{ x")}})
