"""Whatever the arguments are: a render ends with a text or a ``TemplateRenderError``, and soon."""

from __future__ import annotations

import contextlib
import string
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from templates.generated import NAMES, expressions, templates
from tensorzero.templates import TemplateEngine, TemplateParseError, TemplateRenderError

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
_contexts = st.dictionaries(
    st.sampled_from(NAMES) | st.sampled_from(["loop", "self", "range", "caller", "debug", "frame"]),
    _json,
    max_size=6,
)
_SETTINGS = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

EVERY_FILTER = [
    "abs",
    "attr('n')",
    "batch(3)",
    "bool",
    "capitalize",
    "chain([1])",
    "count",
    "d",
    "default(1)",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format(1)",
    "groupby('n')",
    "indent(3)",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map('string')",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr('n')",
    "replace('a','b')",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr('n')",
    "slice(3)",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip([1])",
]


@seed(1)
@settings(_SETTINGS, max_examples=100)
@given(st.one_of(templates, expressions.map("{{{{ {} }}}}".format)), _contexts)
def test_generated_templates_on_any_arguments(source: str, context: dict[str, Any]) -> None:
    template = TemplateEngine({"t": source}).template("t")
    try:
        assert isinstance(template.render(context), str)
    except TemplateRenderError as error:
        assert str(error).startswith("Error rendering template t: Could not render template: ")


_ENGINES = {
    ending: TemplateEngine({f"{name}.{ending}": "{{ x|" + name + " }}" for name in EVERY_FILTER})
    for ending in ("txt", "html", "json")
}


@seed(2)
@settings(_SETTINGS, max_examples=80)
@given(_json, st.sampled_from(sorted(_ENGINES)))
def test_every_filter_on_any_value(value: Any, ending: str) -> None:
    for name in EVERY_FILTER:
        try:
            text = _ENGINES[ending].template(f"{name}.{ending}").render({"x": value})
        except TemplateRenderError as error:
            assert "Error: " not in str(error), "a fault of Python's, not of the template"
        else:
            assert isinstance(text, str)


@seed(3)
@settings(_SETTINGS, max_examples=300)
@given(st.text(string.printable + "{}%#é\u2028\x00", max_size=60))
def test_any_source_compiles_or_is_refused(source: str) -> None:
    try:
        template = TemplateEngine({"t": "{{ " + source}).template("t")
    except TemplateParseError as error:
        assert "Failed to add template `t`" in str(error)
        return
    with contextlib.suppress(TemplateRenderError):
        template.render({})


_tojson = TemplateEngine({"alone": "{{ x|tojson }}", "beside": "{{ [x, range]|tojson }}",
                          "lines": "{{ x|tojson(2) }}", "more lines": "{{ [x, range]|tojson(2) }}"})  # fmt: skip
_RANGE = '"minijinja::functions::builtins::range"'


@seed(4)
@settings(_SETTINGS, max_examples=200)
@given(_json)
def test_json_is_the_same_on_the_short_and_on_the_long_way(value: Any) -> None:
    """A function beside it keeps a value from the fast writer."""
    alone = _tojson.template("alone").render({"x": value})
    assert _tojson.template("beside").render({"x": value}) == f"[{alone},{_RANGE}]"
    lines = _tojson.template("lines").render({"x": value}).replace("\n", "\n  ")
    assert _tojson.template("more lines").render({"x": value}) == f"[\n  {lines},\n  {_RANGE}\n]"


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "source",
    [
        "{{ x }}", "{{ x|tojson }}", "{{ x|pprint }}", "{{ x == x }}", "{{ x|sort }}", "{{ [x]|unique }}",
        "{{ x < x }}", "{{ x ~ '' }}", "{{ x|string }}", "{% for a in x recursive %}{{ loop(a) }}{% endfor %}",
    ],
)  # fmt: skip
def test_deeply_nested_arguments(source: str) -> None:
    template = TemplateEngine({"t": source}).template("t")
    try:
        template.render({"x": _nested(100_000)})
    except TemplateRenderError as error:
        assert "recursion limit exceeded" in str(error) or "not iterable" in str(error)


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("{{ x ** y }}", {"x": 10**18, "y": 10**18}),
        ("{{ x * y }}", {"x": "a" * 1000, "y": 10**12}),
        ("{{ x * y }}", {"x": [1] * 1000, "y": 10**12}),
        ("{{ range(x) }}", {"x": 10**12}),
        ("{{ range(-x, x, 1)|list }}", {"x": 10**12}),
        ("{{ 'a'|indent(x, true) }}", {"x": 10**12}),
        ("{{ {'a': 1}|tojson(x) }}", {"x": 10**12}),
        ("{{ [1]|batch(x, 0) }}", {"x": 10**12}),
        ("{{ [1]|slice(x) }}", {"x": 10**12}),
        ("{{ x|format(1) }}", {"x": "%999999999999d"}),
        ("{{ x|format(1.5) }}", {"x": "%.99999999f"}),
        ("{{ x|replace('', x) }}", {"x": "a" * 100_000}),
        ("{{ y|join(x) }}", {"x": "a" * 100_000, "y": [1] * 100_000}),
        ("{{ 1.5|round(x) }}", {"x": 10**12}),
        ("{% for a in x %}{% for a in x %}{% for a in x %}{% endfor %}{% endfor %}{% endfor %}", {"x": [1] * 1000}),
        ("{% for a in y %}{{ x }}{% endfor %}", {"x": "a" * 100_000, "y": [1] * 100_000}),
        ("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(x) }}", {"x": 60}),
        ("{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(x) }}", {"x": 1}),
        ("{% include 't' %}", {}),
        ("{{ x|int }}", {"x": "9" * 100_000}),
        ("{% for a in x %}{{ x }}{% endfor %}", {"x": [1] * 100_000}),
        ("{% for a in x %}{% if y in x %}{% endif %}{% endfor %}", {"x": [1] * 100_000, "y": 2}),
        ("{% for a in x %}{% set y = x|sort %}{% endfor %}", {"x": [1] * 100_000}),
        ("{% set n = namespace(t='') %}{% for a in x %}{% set n.t = n.t ~ y %}{% endfor %}",
         {"x": [1] * 100_000, "y": "a" * 500}),
        ("{% set n = namespace(t=[]) %}{% for a in x %}{% set n.t = n.t + [a] %}{% endfor %}",
         {"x": [1] * 500_000}),
        ("{% for a in x %}{% set z = y|upper %}{% endfor %}", {"x": [1] * 500_000, "y": "a" * 10_000_000}),
        ("{% for a in x %}{% set z = y[1:] %}{% endfor %}", {"x": [1] * 500_000, "y": [1] * 1_000_000}),
    ],
)  # fmt: skip
def test_work_out_of_proportion_is_refused_or_small(source: str, arguments: dict[str, Any]) -> None:
    template = TemplateEngine({"t": source}).template("t")
    start = time.process_time()
    try:
        text = template.render(arguments)
    except TemplateRenderError:
        text = ""
    assert len(text) < 1000
    # Processor time, generous: it is there to catch work without bounds.
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    "path",
    [
        "x.__class__", "x['__class__']", "x|attr('__class__')", "[x]|map(attribute='__class__')|first",
        "x.__class__.__mro__", "range.__globals__", "range.function", "m.body", "m.frame", "loop.frame",
        "loop.items", "loop.recurse", "ns.values", "m.call", "x.keys", "x|attr('keys')", "''.join",
        "(1).real", "x.items", "cycler", "x.append", "m.__call__", "ns.__init__",
    ],
)  # fmt: skip
def test_nothing_of_python_is_in_reach(path: str) -> None:
    source = (
        "{% set ns = namespace() %}{% macro m() %}{% endmacro %}{% for i in [1] %}{{ ("
        + path
        + ") is defined }}{% endfor %}"
    )
    for value in ({}, [], "text", 1, None):
        template = TemplateEngine({"t": source}).template("t")
        try:
            assert template.render({"x": value}) == "false"
        except TemplateRenderError as error:
            assert "undefined value" in str(error)


def test_format_reads_no_attributes() -> None:
    template = TemplateEngine({"t": "{{ x|format(y) }}"}).template("t")
    assert template.render({"x": "{0.__class__} %s", "y": "v"}) == "{0.__class__} v"


def test_arguments_are_data_not_templates() -> None:
    template = TemplateEngine({"t": "{{ x }}{{ [x] }}"}).template("t")
    assert template.render({"x": "{{ 7 * 7 }}"}) == '{{ 7 * 7 }}["{{ 7 * 7 }}"]'


def test_arguments_named_like_the_engine_s_own_variables() -> None:
    names = [
        "frame",
        "state",
        "out",
        "plain",
        "loop",
        "self",
        "caller",
        "show",
        "TEMPLATE",
        "__builtins__",
    ]
    source = "{% for i in [1] %}{{ i }}{% endfor %}" + "".join(
        "{{ " + name + " }}" for name in names
    )
    template = TemplateEngine({"t": source}).template("t")
    assert template.render({name: name[0] for name in names}) == "1" + "".join(n[0] for n in names)
