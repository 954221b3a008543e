"""Path keys: relative to the file that holds them, read at start."""

from __future__ import annotations

import os

import pytest

from config.folder import DUMMY, OBJECT_SCHEMA, Folder, chat


def test_paths_are_relative_to_their_file_not_to_the_working_directory(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write({"sub/x.toml": chat(function='user_schema = "s.json"'), "s.json": OBJECT_SCHEMA})
    monkeypatch.chdir(folder.path)
    errors = folder.errors(pattern="sub/*.toml")
    assert any(
        f"`functions.f.user_schema`: Failed to resolve path `s.json` (base: `{folder.path}/sub`)"
        in line
        for line in errors
    )
    folder.write({"sub/s.json": OBJECT_SCHEMA})
    errors = folder.errors(pattern="sub/*.toml")
    assert len(errors) == 1 and "template is required" in errors[0]


def test_absolute_paths_are_taken(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere") / "t.txt"
    other.write_text("Hello\n")
    config = folder.load(chat(f'{DUMMY}templates.system.path = "{other}"'))
    variant = config.functions["f"].variants["v"]
    assert config.templates.template(variant.templates["system"].key).render({}) == "Hello"  # type: ignore[union-attr]  # a chat completion


@pytest.mark.parametrize(
    ("value", "found"),
    [("123", "integer"), ("true", "boolean"), ("1.5", "float"), ("[]", "array"), ("{}", "table")],
)
def test_a_path_is_a_string(folder: Folder, value: str, found: str) -> None:
    error = folder.error(f"[functions.f]\ntype='chat'\nvariants={{}}\nsystem_schema={value}")
    assert error.startswith(f"`functions.f.system_schema`: Expected a string, found {found}")


def test_the_json_form_of_a_path_is_refused_in_toml(folder: Folder) -> None:
    embedded = '{ __tensorzero_remapped_path = "a", __data = "b" }'
    error = folder.error(chat(f"{DUMMY}system_template = {embedded}"))
    assert "`functions.f.variants.v.system_template`: Expected a string, found table" in error


def test_a_folder_where_a_file_is_due(folder: Folder) -> None:
    folder.write({"d/x": ""})
    error = folder.error(chat(f'{DUMMY}templates.t.path = "d"'))
    assert f"Expected a file path, but '{folder.path}/d' is a directory. Please provide" in error


def test_a_file_that_is_not_utf_8(folder: Folder) -> None:
    error = folder.error(chat(f'{DUMMY}templates.t.path = "t"'), {"t": b"\xff"})
    assert "`functions.f.variants.v.templates.t.path`: Failed to read file at" in error


def test_a_device_is_not_read(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe")
    error = folder.error(chat(f'{DUMMY}templates.t.path = "pipe"'))
    assert "not a regular file" in error


def test_a_parent_that_is_no_table(folder: Folder) -> None:
    error = folder.error(chat(f'{DUMMY}templates.x = "f"'))
    assert "`functions.f.variants.v.templates.x`: Expected a table, found string" in error


def test_strange_paths_are_errors_not_crashes(folder: Folder) -> None:
    (folder.path / "circle").symlink_to("circle")
    for value in ("\\u0000", "circle", "x" * 5000):
        error = folder.error(chat(f'{DUMMY}templates.t.path = "{value}"'))
        assert "Failed to resolve path" in error


@pytest.mark.parametrize(
    "key",
    [
        "functions.f.variants.v.evaluator.templates.t.path",
        "functions.f.evaluators.e.variants.v.system_instructions",
        "functions.f.evaluators.e.typescript_file",
        "evaluations.n.evaluators.e.variants.v.system_instructions",
        "tools.t.parameters",
        "functions.f.schemas.s.path",
        "functions.f.output_schema",
        "functions.f.variants.v.input_wrappers.user",
        "gateway.template_filesystem_access.base_path",
    ],
)
def test_every_path_key_is_resolved(folder: Folder, key: str) -> None:
    errors = folder.errors(f'{key} = "missing"')
    assert any(line.startswith(f"`{key}`: Failed to resolve path `missing`") for line in errors), (
        errors
    )


def test_template_keys_leave_out_the_common_parent(folder: Folder) -> None:
    config = folder.load(
        chat(f'{DUMMY}templates.a.path = "p/a.txt"\ntemplates.b.path = "p/q/b.txt"'),
        {"p/a.txt": "A", "p/q/b.txt": "B"},
    )
    keys = {
        name: template.key
        for name, template in config.functions["f"].variants["v"].templates.items()  # type: ignore[union-attr]  # a chat completion
    }
    assert keys == {"a": "a.txt", "b": "q/b.txt"}


def test_a_single_file_is_its_own_key(folder: Folder) -> None:
    config = folder.load(chat(f'{DUMMY}templates.a.path = "p/q/a.txt"'), {"p/q/a.txt": "A"})
    assert config.templates.template("a.txt").render({}) == "A"


def test_names_on_disk_need_not_be_utf_8(folder: Folder) -> None:
    strange = os.fsdecode(b"t\xff.txt")
    folder.write({strange: "Hi"})
    (folder.path / "link").symlink_to(strange)
    config = folder.load(chat(f"{DUMMY}templates.t.path = 'link'"))
    assert config.templates.template("t\\xff.txt").render({}) == "Hi"
    assert config.snapshot.hash.isdigit()


def test_line_ends_of_templates_are_kept(folder: Folder) -> None:
    config = folder.load(chat(f'{DUMMY}templates.a.path = "a.txt"'), {"a.txt": b"one\r\ntwo\r\n"})
    assert config.templates.template("a.txt").render({}) == "one\r\ntwo"
