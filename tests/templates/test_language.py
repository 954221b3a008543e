"""The language, feature by feature, with the texts the contract gives (configuration page, section 14)."""

from __future__ import annotations

from typing import Any

import pytest

from tensorzero.templates import TemplateEngine, TemplateRenderError

Case = tuple[str, dict[str, Any], str]

PRINTED: list[Case] = [
    ("{{ none }} {{ true }} {{ None }} {{ True }} {{ 'a' ~ none ~ true }}", {}, "none true none true anonetrue"),
    ("{{ [1,'a',none,true,1.5] }}", {}, '[1, "a", none, true, 1.5]'),
    ("{{ {'b':1,'a':'x'} }}", {}, '{"a": "x", "b": 1}'),
    ("{{ [x] }}", {"x": "\"\\\n\t\r\u200b'é"}, "[\"\\\"\\\\\\n\\t\\r\\u{200b}'é\"]"),
    ("{{ x }} {{ x|items }} {% for k in x %}{{ k }}{% endfor %} {{ x|tojson }}", {"x": {"b": 1, "a": 2}},
     '{"a": 2, "b": 1} [["a", 2], ["b", 1]] ab {"a":2,"b":1}'),
    ("{{ dict(b=1, a=2) }}", {}, '{"a": 2, "b": 1}'),
    ("{{ x }} {{ y }} {{ z }}", {"x": 1.0, "y": 1e20, "z": 1e-7}, "1.0 100000000000000000000.0 0.0000001"),
    ("{{ [x, y, z] }} {{ [x, y, z]|tojson }}", {"x": 1e20, "y": 1e-7, "z": 1e16}, "[1e20, 1e-7, 1e16] [1e20,1e-7,1e16]"),
    ("{{ x }} {{ y }}", {"x": 1.0, "y": 30}, "1.0 30"),
    ("{{ 10/2 }} {{ 1/0 }} {{ 7//2 }} {{ -7//2 }} {{ 7%3 }}", {}, "5.0 inf 3 -4 1"),
    ("{{ x|tojson }}", {"x": {"a": [1, 2], "b": "<é>&'"}}, '{"a":[1,2],"b":"\\u003cé\\u003e\\u0026\\u0027"}'),
    ("{{ x|tojson(true) }}|{{ x|tojson(indent=1) }}|{{ x|tojson(4) }}", {"x": {"a": [1]}},
     '{\n  "a": [\n    1\n  ]\n}|{\n "a": [\n  1\n ]\n}|{\n    "a": [\n        1\n    ]\n}'),
    ("{{ missing|tojson }}", {}, "null"),
    ("{{ missing is defined }} {{ missing|default('d') }} {{ [missing] }}{% set x = missing %}", {}, "false d [undefined]"),
    ("{{ x.a is defined }} {{ x.items }}", {"x": {"items": 5}}, "false 5"),
    ("{{ ''|default('d') }}|{{ ''|default('d', true) }}", {}, "|d"),
    ("{{ 1 if false }}", {}, ""),
    ("{{ '%s'|format(x) }}", {"x": 1}, "1"),
    ("{{ 'a b'|split }} {{ 'a b'|split|list }}", {}, '<iterator> ["a", "b"]'),
    ("{{ x|sort }} {{ x|sort(case_sensitive=true) }} {{ x|min }} {{ x|max }}", {"x": ["b", "A", "a", "B"]},
     '["A", "a", "b", "B"] ["A", "B", "a", "b"] A b'),
    ("{{ x|sort }}", {"x": [{"a": 1}, [1], "t", 2, True, None]}, '[none, true, 2, "t", [1], {"a": 1}]'),
    ("{{ x|unique }} {{ {'B':1,'a':2}|dictsort }}", {"x": ["a", "A", "b"]}, '["a", "b"] [["a", 2], ["B", 1]]'),
    ("{{ 'false'|bool }} {{ ''|bool }}", {}, "true false"),
    ("{{ (1, 2) }} {% for k, v in x|items %}{{ k }}{{ v }}{% endfor %}", {"x": {"a": 1}}, "[1, 2] a1"),
    ("{{ 2**100 }} {{ 2**126 - 1 + 2**126 }}", {}, "1267650600228229401496703205376 170141183460469231731687303715884105727"),
    ("{% for x in [1,2,3] %}{{ loop.previtem|default('-') }}{{ loop.nextitem|default('-') }}{{ loop.changed(x > 1) }}"
     "{{ loop.cycle('a','b') }} {% endfor %}", {}, "-2truea 13trueb 2-falsea "),
]  # fmt: skip

FAILS: list[Case] = [
    ("{{ missing }}", {}, "undefined value"),
    ("{% if missing %}{% endif %}", {}, "undefined value"),
    ("{{ not missing }}", {}, "undefined value"),
    ("{{ missing and 1 }}", {}, "undefined value"),
    ("{{ missing == 1 }}", {}, "undefined value"),
    ("{{ 1 in missing }}", {}, "undefined value"),
    ("{{ missing ~ 'a' }}", {}, "undefined value"),
    ("{% for x in missing %}{% endfor %}", {}, "undefined value"),
    ("{{ missing|upper }}", {}, "undefined value"),
    ("{{ x.a.b is defined }}", {"x": {}}, "undefined value"),
    ("{{ x.items() }}", {"x": {}}, "unknown method: map has no method named items"),
    ("{{ x.upper() }}", {"x": "a"}, "unknown method: string has no method named upper"),
    ("{{ x.append(1) }}", {"x": []}, "unknown method: sequence has no method named append"),
    ("{{ '%s' % x }}", {"x": 1}, "invalid operation: tried to use % operator on unsupported types string and number"),
    ("{{ 1 // 0 }}", {}, "invalid operation: unable to calculate 1 // 0"),
    ("{{ x % 0 }}", {"x": 5}, "invalid operation: unable to calculate 5 % 0"),
    ("{{ 2**127 }}", {}, "invalid operation: unable to calculate 2 ** 127"),
    ("{{ 2**126 + 2**126 }}", {}, "invalid operation: unable to calculate"),
    ("{{ 'x'|int }}", {}, "invalid operation: invalid float literal"),
    ("{{ '1'|int(0) }}", {}, "too many arguments"),
    ("{{ 'x'|float }}", {}, "invalid operation: invalid float literal"),
    ("{{ range(100001) }}", {}, "invalid operation: range has too many elements"),
    ("{% macro m() %}{{ varargs }}{% endmacro %}{{ m() }}", {}, "undefined value"),
    ("{{ 9 is divisibleby 0 }}", {}, "invalid operation: cannot divide by zero"),
    ("{{ {[1]: 2} }}", {}, "invalid operation: a sequence cannot be the key of a map"),
    ("{{ [1]|chain(5) }}", {}, "invalid operation: number is not iterable"),
    ("{{ self.zzz() }}", {}, "unknown block: block 'zzz' not found"),
    ("{% for x in [1] %}{{ loop.zzz() }}{% endfor %}", {}, "unknown method: loop object has no method named zzz"),
    ("{% for x in [1] %}{{ loop(1) }}{% endfor %}", {}, "invalid operation: cannot recurse outside of recursive loop"),
    ("{% for x in [1] %}{{ loop.cycle() }}{% endfor %}", {}, "missing argument"),
    ("{{ x|sort(**{'zzz': 1}) }}", {"x": []}, "too many arguments: unknown keyword argument 'zzz'"),
    ("{{ x|upper(*[1]) }}", {"x": "a"}, "too many arguments"),
    ("{{ 1 is divisibleby(*[]) }}", {}, "missing argument"),
    ("{{ x|indent(1, width=2) }}", {"x": "a"}, "too many arguments: an argument is given twice"),
    ("{{ x|default(1, zzz=2) }}", {"x": "a"}, "too many arguments: unknown keyword argument 'zzz'"),
    ("{{ dict(missing) }}", {}, "undefined value"),
    ("{{ dict(1, 2) }}", {}, "too many arguments"),
    ("{{ range(3, a=1) }}", {}, "invalid operation: cannot convert map to isize"),
    ("{{ dict(**5) }}", {}, "invalid operation: ** wants a map"),
    ("{{ debug(a=1) }}", {}, "too many arguments"),
    ("{{ x[missing:] }}", {"x": [1]}, "undefined value"),
]  # fmt: skip

OURS: list[Case] = [
    # where MiniJinja stumbles over itself
    ("{% for x in [1, 2] %}a{% set y %}b{% break %}{% endset %}{% endfor %}c", {}, "ac"),
    ("{% for x in [1, 2] %}a{% with x = 5 %}{% continue %}{% endwith %}{% endfor %}{{ x is defined }}", {}, "aafalse"),
    ("{% for x in [1, 2] %}{% autoescape true %}{{ '<' }}{% continue %}{% endautoescape %}{% endfor %}{{ '<' }}", {}, "&lt;&lt;<"),
    ("{% for x in [1] %}{% filter upper %}a{% break %}{% endfilter %}{% endfor %}b", {}, "b"),
    ("{{ -x.y }}", {"x": {"y": 2}}, "-2"),
    # arguments spread into filters and tests
    ("{{ 'abc'|replace(*['a', 'b']) }}{{ x|sort(**{'reverse': true}) }}{{ 4 is divisibleby(*[2]) }}", {"x": [1, 2]}, "bbc[2, 1]true"),
    # recursion with a condition
    ("{% for x in [[1, 2], 3] if x != 2 recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}", {}, "13"),
    # objects of the engine as values
    ("{% for x in [1] %}{{ loop|tojson }}{% endfor %}", {},
     '{"depth":1,"depth0":0,"first":true,"index":1,"index0":0,"last":true,"length":1,"nextitem":null,'
     '"previtem":null,"revindex":1,"revindex0":0}'),
    ("{% set n = namespace(b=1, a=[2]) %}{{ n|tojson }}{{ n|length }}{{ n|items }}{{ 'a' in n }}{{ n == {'a': [2], 'b': 1} }}"
     "{{ n|list }}{{ n|first }}{{ n|bool }}{{ n|tojson(1) }}", {},
     '{"a":[2],"b":1}2[["a", [2]], ["b", 1]]truetrue["a", "b"]atrue{\n "a": [\n  2\n ],\n "b": 1\n}'),
    ("{{ range|tojson }} {{ [1, 1.5, none, true, 'a', [], {}, x]|tojson(3) }}", {"x": [{}, []]},
     '"minijinja::functions::builtins::range" [\n   1,\n   1.5,\n   null,\n   true,\n   "a",\n   [],\n   {},\n   '
     "[\n      {},\n      []\n   ]\n]"),
    ("{{ {1: 'a', true: 'b', 2.5: 'c'}|tojson }}", {}, '{"1":"b","2.5":"c"}'),
    ("{{ 123456789012345678901234567890|tojson }} {{ [1e22, 1e-5]|tojson }}", {}, "123456789012345678901234567890 [1e22,0.00001]"),
    ("{% import 'lib' as l %}{{ l|tojson }}{{ l.a }}", {}, '{"a":1}1'),
    ("{{ undefined_x|reverse is defined }}", {}, "false"),
    ("{{ sum }}{{ self }}", {"sum": 1, "self": 2}, "12"),
]  # fmt: skip


def render(source: str, arguments: dict[str, Any]) -> str:
    engine = TemplateEngine({"t": source, "lib": "{% set a = 1 %}"})
    return engine.template("t").render(arguments)


@pytest.mark.parametrize(("source", "arguments", "text"), [*PRINTED, *OURS])
def test_prints(source: str, arguments: dict[str, Any], text: str) -> None:
    assert render(source, arguments) == text


@pytest.mark.parametrize(("source", "arguments", "cause"), FAILS)
def test_fails(source: str, arguments: dict[str, Any], cause: str) -> None:
    with pytest.raises(TemplateRenderError) as caught:
        render(source, arguments)
    assert f"Could not render template: {cause}" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "abs",
        "attr",
        "batch",
        "bool",
        "capitalize",
        "chain",
        "count",
        "d",
        "default",
        "dictsort",
        "e",
        "escape",
        "first",
        "float",
        "format",
        "groupby",
        "indent",
        "int",
        "items",
        "join",
        "last",
        "length",
        "lines",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "pprint",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "safe",
        "select",
        "selectattr",
        "slice",
        "sort",
        "split",
        "string",
        "sum",
        "title",
        "tojson",
        "trim",
        "unique",
        "upper",
        "zip",
    ],
)
def test_every_filter_is_there(name: str) -> None:
    assert render(f"{{{{ '{name}' is filter }}}}", {}) == "true"


@pytest.mark.parametrize(
    "name",
    [
        "boolean",
        "defined",
        "divisibleby",
        "endingwith",
        "eq",
        "equalto",
        "==",
        "escaped",
        "even",
        "false",
        "filter",
        "float",
        "ge",
        "gt",
        "greaterthan",
        ">=",
        ">",
        "in",
        "int",
        "integer",
        "iterable",
        "le",
        "lessthan",
        "lt",
        "<=",
        "<",
        "lower",
        "mapping",
        "ne",
        "!=",
        "none",
        "number",
        "odd",
        "safe",
        "sameas",
        "sequence",
        "startingwith",
        "string",
        "test",
        "true",
        "undefined",
        "upper",
    ],
)
def test_every_test_is_there(name: str) -> None:
    assert render(f"{{{{ '{name}' is test }}}}", {}) == "true"


def test_a_child_escapes_as_its_own_name_says() -> None:
    engine = TemplateEngine(
        {
            "a.html": "{% extends 'base' %}{% block b %}{{ x }}{% endblock %}",
            "base": "{{ x }}{% block b %}{% endblock %}",
        }
    )
    assert engine.template("a.html").render({"x": "<"}) == "&lt;&lt;"


def test_white_space_control_and_raw() -> None:
    source = "a  {%- if true %}  b  {%- endif -%}  c {{- ' d ' -}} e {#- x -#} f{% raw %} {{ g }} {% endraw %}"
    assert render(source, {}) == "a  bc d ef {{ g }} "


def test_sets_leave_a_branch_but_not_a_loop() -> None:
    source = "{% if true %}{% set x = 1 %}{% endif %}{% for i in [2] %}{% set x = i %}{% endfor %}{{ x }}"
    assert render(source, {}) == "1"
