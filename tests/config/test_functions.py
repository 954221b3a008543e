"""``[functions.*]``, ``[tools.*]``, ``[metrics.*]``, schemas and names."""

from __future__ import annotations

import pytest

from config.folder import DUMMY, OBJECT_SCHEMA, Folder, chat, json_function

JSON = DUMMY + 'json_mode = "strict"\n'


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        (
            "[functions.'tensorzero::x']\ntype = 'chat'\nvariants = {}",
            "User-defined function name cannot start with `tensorzero::`: tensorzero::x",
        ),
        (
            f"[functions.f]\ntype = 'chat'\n[functions.f.variants.'tensorzero::v']\n{DUMMY}",
            "Variant name cannot start with 'tensorzero::': tensorzero::v",
        ),
        (
            "[tools.'tensorzero::t']\ndescription = 'd'\nparameters = 's.json'",
            "Tool name cannot start with 'tensorzero::': tensorzero::t",
        ),
        (
            "[metrics.'tensorzero::m']\ntype = 'float'\noptimize = 'min'\nlevel = 'episode'",
            "Metric name cannot start with 'tensorzero::': tensorzero::m",
        ),
        (
            "[metrics.comment]\ntype = 'float'\noptimize = 'min'\nlevel = 'episode'",
            "Metric name 'comment' is reserved and cannot be used",
        ),
        (
            "[metrics.demonstration]\ntype = 'float'\noptimize = 'min'\nlevel = 'episode'",
            "Metric name 'demonstration' is reserved and cannot be used",
        ),
        (
            "[metrics.'a b']\ntype = 'float'\noptimize = 'min'\nlevel = 'episode'",
            "Metric name `a b` contains characters that are not allowed",
        ),
        (
            "[metrics.'']\ntype = 'float'\noptimize = 'min'\nlevel = 'episode'",
            "Metric name `` contains characters that are not allowed",
        ),
        (
            "[functions.'tensorzero::optimization::gepa::analyze']\ntype='chat'\nvariants = {}",
            "User-defined function name cannot start with `tensorzero::`",
        ),
    ],
)
def test_reserved_names(folder: Folder, toml: str, text: str) -> None:
    assert text in folder.error(toml, {"s.json": OBJECT_SCHEMA})


def test_any_other_name_is_free_and_case_counts(folder: Folder) -> None:
    config = folder.load(
        "[functions.\"a.b\"]\ntype = 'chat'\nvariants = {}\n[functions.'é ü']\ntype = 'chat'\n"
        "variants = {}\n[functions.F]\ntype='chat'\nvariants = {}\n[functions.f]\ntype='chat'\n"
        "variants = {}\n[metrics.'a/b.c:d-e_f']\ntype='float'\noptimize='min'\nlevel='episode'"
    )
    assert list(config.functions) == ["a.b", "é ü", "F", "f"]
    assert "tensorzero::default" not in config.functions


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("type = 'chat'", "functions.f: missing field `variants`"),
        ("variants = {}", "functions.f: missing tag field `type`"),
        ("type = 'foo'\nvariants = {}", "unknown variant `foo`, expected `chat` or `json`"),
        ("type = 1\nvariants = {}", "missing tag field `type`"),
        ("type = 'chat'\nvariants = {}\nnope = 1", "functions.f.nope: unknown field `nope`"),
        ("type = 'chat'\nvariants = {}\noutput_schema = 's.json'", "unknown field `output_schema`"),
        ("type = 'json'\nvariants = {}\ntools = []", "unknown field `tools`"),
        ("type = 'json'\nvariants = {}\ntool_choice = 'auto'", "unknown field `tool_choice`"),
        ("type = 'json'\nvariants = {}\nparallel_tool_calls = true", "unknown field `parallel"),
        (
            "type = 'chat'\nvariants = {}\ntools = ['missing']",
            "`functions.f.tools`: tool `missing` is not present in the config",
        ),
        ("type = 'chat'\nvariants = {}\ntools = 'x'", "expected a sequence of strings"),
        ("type = 'chat'\nvariants = {}\ntool_choice = 'any'", "functions.f.tool_choice: expected"),
        ("type = 'chat'\nvariants = {}\ntool_choice = {specific = 1}", "functions.f.tool_choice"),
        ("type = 'chat'\nvariants = {}\ndescription = 1", "functions.f.description: invalid type"),
        (
            "type = 'chat'\nvariants = {}\nschemas.user.path = 's.json'\nuser_schema = 's.json'",
            "functions.f: Cannot specify both `schemas.user.path` and `user_schema`",
        ),
        ("type = 'chat'\nvariants = {}\nschemas.s = {}", "functions.f.schemas.s: missing field"),
        (
            "type = 'chat'\nvariants = {}\nschemas.s = {path = 's.json', x = 1}",
            "functions.f.schemas.s.x: unknown field `x`, expected `path`",
        ),
        ("type = 'chat'\nvariants = {v = 1}", "functions.f.variants.v: invalid type: integer `1`"),
    ],
)
def test_a_fault_in_a_function(folder: Folder, toml: str, text: str) -> None:
    assert text in folder.error(f"[functions.f]\n{toml}", {"s.json": OBJECT_SCHEMA})


def test_a_misspelt_key_is_recognised(folder: Folder) -> None:
    error = folder.error(chat(f"{DUMMY}temprature = 1"))
    assert "unknown field `temprature`, expected one of" in error
    assert "(did you mean `temperature`?)" in error


def test_a_function_without_variants_starts(folder: Folder) -> None:
    assert folder.load("[functions.f]\ntype = 'chat'\nvariants = {}").functions["f"].variants == {}


def test_a_function_whole(folder: Folder) -> None:
    config = folder.load(
        chat(
            f"{DUMMY}templates.system.path = 't'\ntemplates.ticket.path = 't'\nuser_template = 't'",
            "description = 'd'\ntools = ['search']\ntool_choice = {specific = 'search'}\n"
            "parallel_tool_calls = false\nschemas.ticket.path = 's.json'\nuser_schema = 's.json'",
        )
        + "[tools.search]\ndescription = 'x'\nparameters = 's.json'\nname = 'find'\nstrict = true",
        {"s.json": OBJECT_SCHEMA, "t": "Hi"},
    )
    function = config.functions["f"]
    assert set(function.schemas) == {"ticket", "user"}
    assert function.tools[0].name == "find" and function.tools[0].key == "search"
    assert function.tools[0].strict and function.tool_choice == {"specific": "search"}
    assert function.parallel_tool_calls is False and function.description == "d"
    assert function.explicit_templates == {"system", "ticket", "user"}


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("parameters = 's.json'", "tools.t: missing field `description`"),
        ("description = 'd'", "tools.t: missing field `parameters`"),
        ("description = 'd'\nparameters = 's.json'\nx = 1", "tools.t.x: unknown field `x`"),
        ("description = 'd'\nparameters = 's.json'\nstrict = 1", "tools.t.strict: invalid type"),
    ],
)
def test_a_fault_in_a_tool(folder: Folder, toml: str, text: str) -> None:
    assert text in folder.error(f"[tools.t]\n{toml}", {"s.json": OBJECT_SCHEMA})


def test_a_fault_in_a_metric(folder: Folder) -> None:
    errors = folder.errors("[metrics.m]\ntype = 'text'\noptimize = 'up'\nunit = 'x'")
    for text in (
        "metrics.m.type: unknown variant `text`, expected `boolean` or `float`",
        "metrics.m.optimize: unknown variant `up`",
        "metrics.m: missing field `level`",
        "metrics.m.unit: unknown field `unit`",
    ):
        assert any(text in line for line in errors), errors


def test_every_schema_is_compiled_used_or_not(folder: Folder) -> None:
    tool = "[tools.t]\ndescription = 'd'\nparameters = 'deep/s.json'\n[tools.u]\n"
    tool += "description = 'd'\nparameters = 'ok.json'"
    files = {"ok.json": OBJECT_SCHEMA}
    error = folder.error(tool, {**files, "deep/s.json": "{no json"})
    assert "Failed to parse JSON Schema `deep/s.json`" in error and "tools.t.parameters" in error
    error = folder.error(tool, {**files, "deep/s.json": '{"type":"text"}'})
    assert "Failed to compile JSON Schema `deep/s.json`" in error
    error = folder.error(tool, {**files, "deep/s.json": "[]"})
    assert "Failed to compile JSON Schema `deep/s.json`" in error


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ('{"$defs":{"x":{"type":"integer"}},"$ref":"#/$defs/x"}', 1, "a"),
        (
            '{"$schema":"http://json-schema.org/draft-07/schema#","definitions":'
            '{"x":{"type":"string","format":"date"}},"$ref":"#/definitions/x"}',
            "2026-01-01",
            "no date",
        ),
        ('{"prefixItems":[{"type":"string"}]}', ["a"], [1]),
        ('{"type":"string","pattern":"^\\\\p{Lu}"}', "É", "é"),
        ('{"$defs":{"y":{"$anchor":"here","const":1}},"$ref":"#here"}', 1, 2),
        ("true", 1, None),
    ],
)
def test_drafts_and_references(folder: Folder, schema: str, good: object, bad: object) -> None:
    config = folder.load(json_function(JSON, "output_schema = 's.json'"), {"s.json": schema})
    compiled = config.functions["f"].output_schema
    assert compiled.is_valid(good)
    assert bad is None or not compiled.is_valid(bad)


@pytest.mark.parametrize("uri", ["http://example.com/s.json", "file:///etc/passwd", "other.json"])
def test_references_out_of_the_file_are_refused(folder: Folder, uri: str) -> None:
    error = folder.error(
        json_function(JSON, "output_schema = 's.json'"),
        {"s.json": f'{{"$ref":"{uri}"}}', "other.json": "{}"},
    )
    assert "Failed to compile JSON Schema `s.json`" in error and uri in error


@pytest.mark.parametrize("depth", [200, 900, 5000])
def test_deep_schemas_are_an_error_not_a_crash(folder: Folder, depth: int) -> None:
    errors = folder.errors(
        json_function(JSON, "output_schema = 's.json'"),
        {"s.json": '{"not":' * depth + "{}" + "}" * depth},
    )
    assert len(errors) == (depth > 254)
    assert all("JSON Schema `s.json`" in line for line in errors)


def test_the_key_order_of_a_schema_is_kept(folder: Folder) -> None:
    schema = '{"type":"object","properties":{"b":{},"a":{}}}'
    config = folder.load(json_function(JSON, "output_schema = 's.json'"), {"s.json": schema})
    assert config.functions["f"].output_schema.text == schema
