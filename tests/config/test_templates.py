"""Rules on templates and schemas that are checked at start."""

from __future__ import annotations

import pytest

from config.folder import DUMMY, OBJECT_SCHEMA, Folder, chat
from tensorzero.config.variant import ChatCompletionConfig
from tensorzero.templates import TemplateError

BEST = 'type = "experimental_best_of_n_sampling"\ncandidates = []\n[functions.f.variants.v.evaluator]\nmodel = "dummy::text"\n'
MIXTURE = 'type = "experimental_mixture_of_n"\ncandidates = []\n[functions.f.variants.v.fuser]\nmodel = "dummy::text"\n'
FILES = {
    "t": "Hi {{ name }}\n",
    "system": "{{ system_text }}!",
    "user": "{{ user_text }}!",
    "s.json": OBJECT_SCHEMA,
}


@pytest.mark.parametrize(
    ("variant", "function", "text"),
    [
        (
            f"{DUMMY}templates.user.path = 't'\nuser_template = 't'",
            "user_schema = 's.json'",
            "functions.f.variants.v: Cannot specify both `templates.user.path` and `user_template`",
        ),
        (
            f"{DUMMY}templates.user.path = 'user'\ninput_wrappers.user = 'user'",
            "",
            "Cannot specify both `templates.user.path` and `user_template`",
        ),
        (
            f"{DUMMY}input_wrappers.user = 'user'",
            "user_schema = 's.json'",
            "Cannot provide both `input_wrappers.user` and `user_schema`",
        ),
        (
            f"{DUMMY}input_wrappers.user = 'user'\nuser_template = 'user'",
            "",
            "Cannot provide both `input_wrappers.user` and `user` template",
        ),
        (
            DUMMY,
            "user_schema = 's.json'",
            "`functions.f.variants.v.user_template`: template is required when schema is specified",
        ),
        (
            DUMMY,
            "schemas.ticket.path = 's.json'",
            "`functions.f.variants.v.templates.ticket` is required when "
            "`functions.f.schemas.ticket` is specified",
        ),
        (
            BEST,
            "schemas.ticket.path = 's.json'",
            "`functions.f.variants.v.evaluator.templates.ticket` is required",
        ),
        (
            MIXTURE,
            "system_schema = 's.json'",
            "`functions.f.variants.v.fuser.system_template`: template is required",
        ),
        (
            f"{DUMMY}system_template = 't'",
            "",
            "`functions.f.variants.v.system_template`: template needs variables: [name] but only "
            "`system_text` is allowed when template has no schema",
        ),
        (f"{BEST}user_template = 't'", "", "v.evaluator.user_template`: template needs variables"),
        (f"{DUMMY}templates.t = {{}}", "", "functions.f.variants.v.templates.t: missing field"),
        (f"{DUMMY}templates.t = {{path='t', x=1}}", "", "templates.t.x: unknown field `x`"),
    ],
)
def test_a_fault_in_templates(folder: Folder, variant: str, function: str, text: str) -> None:
    errors = folder.errors(chat(variant, function), FILES)
    assert any(text in line for line in errors), errors


def test_the_variables_are_named_in_order(folder: Folder) -> None:
    files = {"t": "{{ system_text }}{{ b }}{{ a }}{{ range(3) }}{% set c = 1 %}{{ c }}"}
    error = folder.error(chat(f"{DUMMY}system_template = 't'"), files)
    assert "[a, b, range, system_text]" in error


def test_legacy_templates_may_use_their_one_variable(folder: Folder) -> None:
    assert not folder.errors(
        chat(f"{DUMMY}system_template = 'system'\nuser_template = 'user'"), FILES
    )
    assert not folder.errors(chat(f"{DUMMY}templates.system.path = 't'"), FILES)
    config = folder.load(chat(f"{DUMMY}input_wrappers.user = 'user'"), FILES)
    assert any("`input_wrappers` is deprecated" in line for line in config.warnings)
    variant = config.functions["f"].variants["v"]
    assert isinstance(variant, ChatCompletionConfig)
    assert variant.templates["user"].implicit
    assert config.functions["f"].explicit_templates == frozenset()


def test_a_typo_in_a_variable_shows_only_when_rendered(folder: Folder) -> None:
    config = folder.load(
        chat(f"{DUMMY}user_template = 'p/typo.minijinja'", "user_schema = 's.json'"),
        {"p/typo.minijinja": "{{ nmae }}", "s.json": OBJECT_SCHEMA},
    )
    with pytest.raises(TemplateError, match=r"p/typo\.minijinja"):
        config.templates.template("p/typo.minijinja").render({"name": "x"})


def test_every_template_that_does_not_parse_is_reported(folder: Folder) -> None:
    errors = folder.errors(
        chat(f"{DUMMY}templates.a.path = 'd/a'\ntemplates.b.path = 'd/b'\ntemplates.c.path='c'"),
        {"d/a": "{{ x", "d/b": "{% if %}", "c": "fine"},
    )
    assert len(errors) == 2
    for key in ("d/a", "d/b"):
        assert any(f"Failed to add template `{key}`" in line for line in errors), errors


def test_includes_without_base_path_fail_only_when_rendered(folder: Folder) -> None:
    config = folder.load(
        chat(f"{DUMMY}templates.a.path = 'a'"), {"a": "{% include 'x.txt' %}", "x.txt": "X"}
    )
    with pytest.raises(TemplateError, match=r"Could not load template 'x\.txt'"):
        config.templates.template("a").render({})


def test_configured_templates_include_each_other_without_base_path(folder: Folder) -> None:
    config = folder.load(
        chat(f"{DUMMY}templates.a.path = 'a'\ntemplates.b.path = 'b'"),
        {"a": "1{% include 'b' %}", "b": "2"},
    )
    assert config.templates.template("a").render({}) == "12"


ACCESS = "[gateway.template_filesystem_access]\nbase_path = 'shared'\n"


def test_includes_below_the_base_path_are_read_at_start(folder: Folder) -> None:
    files = {
        "a": "{% include 'x.txt' if yes else 'y/z.txt' %}",
        "shared/x.txt": "X{% include 'deep.txt' %}",
        "shared/deep.txt": "!",
        "shared/y/z.txt": "Z",
    }
    config = folder.load(ACCESS + chat(f"{DUMMY}templates.a.path = 'a'"), files)
    folder.write({"shared/x.txt": "changed"})
    assert config.templates.template("a").render({"yes": True}) == "X!"
    assert config.templates.template("a").render({"yes": False}) == "Z"
    assert set(config.snapshot.extra_templates) == {"x.txt", "deep.txt", "y/z.txt"}


def test_nothing_outside_the_base_path_is_read(folder: Folder) -> None:
    config = folder.load(
        ACCESS + chat(f"{DUMMY}templates.a.path = 'a'"),
        {"a": "{% include '../secret' %}", "secret": "S", "shared/x": ""},
    )
    assert any("../secret" in line for line in config.warnings)
    assert dict(config.snapshot.extra_templates) == {}
    with pytest.raises(TemplateError):
        config.templates.template("a").render({})


def test_computed_includes_need_no_base_path(folder: Folder) -> None:
    toml = chat(f"{DUMMY}templates.a.path = 'a'")
    files = {"a": "\n{% include name %}", "shared/x": ""}
    assert not folder.errors(toml, files)
    error = folder.error(ACCESS + toml, files)
    assert "Cannot statically analyze all template dependencies. Found 1 dynamic load(s)" in error
    assert "a:2:" in error
