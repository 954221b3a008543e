"""The engine's face: keys, files, includes, escaping, variables, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tensorzero.templates import (
    DynamicLoadError,
    TemplateEngine,
    TemplateMissingError,
    TemplateParseError,
    TemplateRenderError,
)


def render(source: str, key: str = "main.minijinja", **arguments: Any) -> str:
    return TemplateEngine({key: source}).template(key).render(arguments)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a\n", "a"),
        ("a\n\n", "a\n"),
        ("a\r\n", "a"),
        ("a\r\n\r\n", "a\r\n"),
        ("a\r", "a\r"),
        ("{{ x }}\r\nb\n", "1\r\nb"),
        ("  {% if x %}\n  y\n  {% endif %}\n", "  \n  y\n  "),
        ("", ""),
        ("{# only a comment #}", ""),
        ("just { text } and %}", "just { text } and %}"),
    ],
)
def test_newlines_and_white_space_of_a_file(source: str, text: str) -> None:
    assert render(source, x=1) == text


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("t", "<&>\"'/"),
        ("t.txt", "<&>\"'/"),
        ("t.minijinja", "<&>\"'/"),
        ("t.html", "&lt;&amp;&gt;&quot;&#x27;&#x2f;"),
        ("t.htm.jinja", "&lt;&amp;&gt;&quot;&#x27;&#x2f;"),
        ("a/b.xml.jinja2", "&lt;&amp;&gt;&quot;&#x27;&#x2f;"),
        ("t.html.j2", "&lt;&amp;&gt;&quot;&#x27;&#x2f;"),
        ("t.html.txt", "<&>\"'/"),
        ("t.json", '"<&>\\"\'/"'),
        ("t.json5", '"<&>\\"\'/"'),
        ("t.js.j2", '"<&>\\"\'/"'),
        ("t.yaml", '"<&>\\"\'/"'),
        ("t.yml", '"<&>\\"\'/"'),
    ],
)
def test_escaping_follows_the_extension(key: str, text: str) -> None:
    assert render("{{ x }}", key, x="<&>\"'/") == text


def test_json_templates_print_values_as_json() -> None:
    assert (
        render("{{ x }}", "t.json", x={"b": [1.0, None], "a": True}) == '{"a":true,"b":[1.0,null]}'
    )


def test_maps_are_sorted_everywhere() -> None:
    arguments = {"m": {"b": 1, "a": {"z": 1, "y": 2}, "Ä": 3}}
    source = "{{ m }} {{ m|tojson }} {{ m|items }} {% for k in m %}{{ k }}{% endfor %} {{ {'b':1,'a':2} }}"
    assert render(source, **arguments) == (
        '{"a": {"y": 2, "z": 1}, "b": 1, "Ä": 3} {"a":{"y":2,"z":1},"b":1,"Ä":3} '
        '[["a", {"y": 2, "z": 1}], ["b", 1], ["Ä", 3]] abÄ {"a": 2, "b": 1}'
    )


def test_what_cannot_be_seen_is_escaped_inside_lists() -> None:
    assert render("{{ [x] }}", x="a b'é世\u00a0\u0301\u09be\u200b\u2028\x07\ue000") == (
        '["a b\'é世\\u{a0}\\u{301}\\u{9be}\\u{200b}\\u{2028}\\u{7}\\u{e000}"]'
    )


def test_numbers_keep_their_kind() -> None:
    assert render(
        "{{ a }} {{ b }} {{ a is integer }} {{ [b, c] }} {{ c }}", a=30, b=1.0, c=1e20
    ) == ("30 1.0 true [1.0, 1e20] 100000000000000000000.0")


def test_no_arguments_at_all() -> None:
    engine = TemplateEngine({"t": "{{ x is defined }}"})
    assert engine.template("t").render(None) == "false"


def test_rendering_leaves_the_arguments_alone() -> None:
    arguments: dict[str, Any] = {"x": {"b": 1, "a": [3, 1]}}
    source = "{% set x = 1 %}{% set y = 2 %}{% for z in [1] %}{% set x = z %}{% endfor %}{{ x }}"
    assert render(source, **arguments) == "1"
    engine = TemplateEngine({"t": source, "u": "{% include 't' %}"})
    engine.template("t").render(arguments)
    engine.template("u").render(arguments)
    assert arguments == {"x": {"b": 1, "a": [3, 1]}}
    assert list(arguments["x"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        ("{{ user_text }}", {"user_text"}),
        ("{{ user_text.x }}", {"user_text.x"}),
        ("{{ a.b.c }}{{ a['b'] }}", {"a.b.c", "a"}),
        ("{% for x in items %}{{ x.y }}{{ loop.index }}{% endfor %}", {"items"}),
        ("{% set y = x %}{{ y }}", {"x"}),
        ("{% with y = x %}{{ y }}{% endwith %}", {"x"}),
        ("{% macro m(a, b=c) %}{{ a }}{{ d }}{% endmacro %}{{ m(1) }}", {"c", "d"}),
        (
            "{{ range(3) }}{{ namespace() }}{{ dict() }}{{ debug() }}",
            {"range", "namespace", "dict", "debug"},
        ),
        ("{% import 'x' as m %}{% from 'x' import n as o %}{{ m.a }}{{ o }}", set()),
        ("{% include name %}", {"name"}),
        ("{% include 'other' %}", set()),
        ("{% block b %}{{ self.b }}{{ super() }}{% endblock %}", set()),
        ("{{ x if y else z }}{{ {'k': v} }}{{ f(g) }}", {"x", "y", "z", "v", "f", "g"}),
        ("{{ true }}{{ None }}", set()),
    ],
)
def test_variables(source: str, variables: set[str]) -> None:
    assert TemplateEngine({"t": source}).template("t").variables == variables


def test_a_configured_key_is_included_without_a_base_path() -> None:
    engine = TemplateEngine({"a": "{% include 'dir/b.txt' %}!", "dir/b.txt": "b {{ x }}\n"})
    assert engine.template("a").render({"x": 1}) == "b 1!"
    assert engine.extra_templates == {}


def test_an_unknown_include_fails_when_reached() -> None:
    engine = TemplateEngine({"a": "{% if x %}{% include 'b' %}{% endif %}"})
    assert engine.template("a").render({"x": False}) == ""
    with pytest.raises(TemplateRenderError, match="Could not load template 'b' - "):
        engine.template("a").render({"x": True})


def test_includes_below_the_base_path(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "one.txt").write_text("one {% include 'sub/two.txt' %}\n")
    (tmp_path / "sub" / "two.txt").write_text("two {{ x }}\r\n", newline="")
    (tmp_path / "known").write_text("from disk")
    engine = TemplateEngine(
        {
            "main": "{% include 'one.txt' %}, {% include 'known' %}, "
            "{% include ['nowhere', 'sub/two.txt'] %}{% include 'gone' ignore missing %}",
            "known": "configured",
        },
        base_path=tmp_path,
    )
    assert engine.extra_templates == {
        "one.txt": "one {% include 'sub/two.txt' %}\n",
        "sub/two.txt": "two {{ x }}\r\n",
    }
    assert len(engine.warnings) == 2
    assert "nowhere" in engine.warnings[0] + engine.warnings[1]
    for file in tmp_path.rglob("*.txt"):
        file.unlink()
    assert engine.template("main").render({"x": 5}) == "one two 5, configured, two 5"


@pytest.mark.parametrize(
    "name",
    ["../secret", "./secret", ".secret", "sub/.secret", "sub/../secret", "a\\b", "/secret", ""],
)
def test_names_that_lead_elsewhere_are_not_read(name: str, tmp_path: Path) -> None:
    for file in (tmp_path / "secret", tmp_path / "base" / ".secret", tmp_path / "base" / "secret",
                 tmp_path / "base" / "sub" / ".secret", tmp_path / "base" / "a\\b"):  # fmt: skip
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("secret")
    literal = name.replace("\\", "\\\\")
    source = "{% include '" + literal + "' %}"
    engine = TemplateEngine({"main": source}, base_path=tmp_path / "base")
    assert engine.extra_templates == {}
    assert len(engine.warnings) == 1
    with pytest.raises(TemplateRenderError) as caught:
        engine.template("main").render({})
    assert f"Could not load template '{name}': the file was missing." in str(caught.value)


def test_both_arms_and_lists_are_scanned(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).write_text(name)
    source = "{% include 'a' if x else 'b' %}{% import 'c' as c %}{% extends ('d', 'd') %}"
    engine = TemplateEngine({"main": source}, base_path=tmp_path)
    assert set(engine.extra_templates) == {"a", "b", "c", "d"}
    assert engine.template("main").render({"x": False}) == "bd"


def test_computed_names_stop_the_start_when_a_base_path_is_set(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("x\n{% if y %}{% include z %}{% include 'b' ~ y %}{% endif %}")
    sources = {"a": "line one\n  {% include 'b' %}{%- import name as n %}"}
    with pytest.raises(DynamicLoadError) as caught:
        TemplateEngine(sources, base_path=tmp_path)
    assert str(caught.value) == (
        "Cannot statically analyze all template dependencies. Found 3 dynamic load(s): "
        "a:2:20, b:2:11, b:2:26"
    )
    engine = TemplateEngine({**sources, "b": "B", "c": "C"})
    assert engine.template("a").render({"name": "c"}) == "line one\n  B"


def test_shadowing_templates() -> None:
    engine = TemplateEngine({"a": "A{% include 'b' %}", "b": "b1"})
    shadowed = engine.with_templates({"b": "b2", "c": "{% include 'a' %}"})
    assert engine.template("a").render({}) == "Ab1"
    assert shadowed.template("a").render({}) == "Ab2"
    assert shadowed.template("c").render({}) == "Ab2"
    with pytest.raises(TemplateMissingError, match="Template not found: c"):
        engine.template("c")


def test_shadowing_keeps_what_was_loaded_from_disk(tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("inner {{ x }}")
    engine = TemplateEngine({"a": "{% include 'inner' %}"}, base_path=tmp_path)
    (tmp_path / "inner").unlink()
    shadowed = engine.with_templates({"n": "{% include 'inner' %}{% include q %}"})
    assert shadowed.extra_templates == engine.extra_templates
    with pytest.raises(TemplateRenderError, match=r"'q': the file was missing\."):
        shadowed.template("n").render({"x": 1, "q": "q"})


@pytest.mark.parametrize(
    ("source", "problem", "line"),
    [
        ("{% if x %}", "Unexpected end of template", 1),
        ("a\n{{ 1 + }}", "unexpected", 2),
        ("a\n\n{% zzz %}", "unknown statement zzz", 3),
        ("{% break %}", "'break' must be placed inside a loop", 1),
        ("{{ ü }}", "unexpected char", 1),
        ("{% set loop = 1 %}", "cannot assign to reserved variable name loop", 1),
        ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", "block 'a' defined twice", 2),
        (
            "{% macro m() %}{% block a %}{% endblock %}{% endmacro %}",
            "block tags in macros are not allowed",
            1,
        ),
        ("{% for x in y %}{% extends 'a' %}{% endfor %}", "`extends` must stand outside", 1),
        ("{% set x %}{% extends 'a' %}{% endset %}", "`extends` must stand outside", 1),
        ("{{ '\\ud800' }}", "bad string escape", 1),
        ("{{ 340282366920938463463374607431768211456 }}", "invalid integer", 1),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply", 1),
        ("{% for x in y %}" * 30 + "{% endfor %}" * 30, "nested too deeply", 1),
    ],
)
def test_a_template_that_does_not_parse(source: str, problem: str, line: int) -> None:
    with pytest.raises(TemplateParseError) as caught:
        TemplateEngine({"dir/bad.txt": source})
    message = str(caught.value)
    assert message.startswith("Failed to add template `dir/bad.txt`: syntax error: ")
    assert problem in message
    assert message.endswith(f" (in dir/bad.txt:{line})")
    assert caught.value.template == "dir/bad.txt"


def test_the_text_of_a_render_error() -> None:
    with pytest.raises(TemplateRenderError) as caught:
        render("Hello\n  {{ user.name ~ greeting }}!\n", user={"name": "Ann"})
    assert str(caught.value) == (
        "Error rendering template main.minijinja: Could not render template: undefined value "
        "(in main.minijinja:2)\n"
        "2 >   {{ user.name ~ greeting }}!\n"
        "Referenced variables: {\n"
        "    greeting: undefined,\n"
        '    user: {"name": "Ann"},\n'
        "}"
    )
    assert caught.value.template == "main.minijinja"


def test_the_line_is_that_of_the_expression() -> None:
    source = "{% for x in xs %}\n{{ x }}\n{{\n  x ~\n  missing\n}}{% endfor %}"
    with pytest.raises(TemplateRenderError, match=r"undefined value \(in main\.minijinja:[45]\)"):
        render(source, xs=[1])


def test_the_error_of_an_included_template_names_both() -> None:
    engine = TemplateEngine({"a": "one\n{% include 'b' %}", "b": "\n\n{{ 1 // x }}"})
    with pytest.raises(TemplateRenderError) as caught:
        engine.template("a").render({"x": 0})
    assert str(caught.value) == (
        'Error rendering template a: Could not render template: could not render include: error in "b" '
        "(in a:2)\n"
        "2 > {% include 'b' %}\n"
        "No referenced variables\n"
        "caused by: invalid operation: unable to calculate 1 // 0 (in b:3)"
    )


def test_an_error_in_an_imported_macro_names_its_own_template() -> None:
    engine = TemplateEngine(
        {
            "a": "{% from 'b' import m %}\n\n{{ m() }}",
            "b": "{% macro m() %}\n{{ oops }}{% endmacro %}",
        }
    )
    with pytest.raises(
        TemplateRenderError, match=r"undefined value \(in b:2\)\n2 > \{\{ oops \}\}"
    ):
        engine.template("a").render({})


def test_long_values_are_cut_in_error_texts() -> None:
    with pytest.raises(TemplateRenderError) as caught:
        render("{{ x ~ y }}", x="v" * 100_000)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("{{ 1|zzz }}", "unknown filter: filter zzz is unknown"),
        ("{{ 1 is zzz }}", "unknown test: test zzz is unknown"),
        ("{{ zzz() }}", "unknown function: zzz is unknown"),
    ],
)
def test_unknown_names_show_only_when_reached(source: str, cause: str) -> None:
    guarded = "{% if x %}" + source + "{% endif %}"
    assert render(guarded, x=False) == ""
    with pytest.raises(TemplateRenderError, match=cause):
        render(guarded, x=True)


@pytest.mark.parametrize(
    "name",
    [
        "center",
        "filesizeformat",
        "forceescape",
        "random",
        "striptags",
        "truncate",
        "urlencode",
        "urlize",
        "wordcount",
        "wordwrap",
        "xmlattr",
        "pluralize",
    ],
)
def test_filters_of_jinja2_that_are_not_there(name: str) -> None:
    with pytest.raises(TemplateRenderError, match=f"unknown filter: filter {name} is unknown"):
        render("{{ x|" + name + " }}", x="a")


@pytest.mark.parametrize("name", ["lipsum", "cycler", "joiner"])
def test_globals_of_jinja2_that_are_not_there(name: str) -> None:
    with pytest.raises(TemplateRenderError, match=f"unknown function: {name} is unknown"):
        render("{{ " + name + "() }}")


def test_debug_shows_the_variables_in_sight() -> None:
    text = render("{% set y = 2 %}{{ debug() }}", x=[1])
    assert text.startswith("State {")
    assert '"x": [\n            1,\n        ]' in text
    assert '"y": 2' in text
    assert render("{{ debug(x) }}", x=[1]) == "[\n    1,\n]"
    assert render("{{ debug }}", debug="mine") == "mine"
