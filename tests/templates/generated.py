"""Hypothesis strategies: arguments, and templates that use them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "rows", "user", "missing")

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cn", "Co")), max_size=8)
plain_texts = st.sampled_from(["", "x", "Ab", "b c", "1", "2.5", "<i>", 'q"t', "é\n", "key", "n"])
numbers = st.one_of(
    st.integers(-20, 20),
    st.sampled_from([2**31, 2**53, 10**18, -(10**18), 0.5, -1.5, 1e16, 1e-7, 3.0, 0.0]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, plain_texts)
keys = st.sampled_from(["n", "key", "x", "B", "items"])


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3))


values = st.recursive(scalars, _nested, max_leaves=8)
arguments = st.fixed_dictionaries(
    {
        "a": values,
        "b": scalars,
        "c": texts,
        "rows": st.lists(st.dictionaries(keys, scalars, max_size=3), max_size=3),
        "user": st.dictionaries(keys, values, max_size=3),
    }
)

_literals = st.sampled_from(
    [
        "1",
        "0",
        "2.5",
        "'x'",
        "'Ab'",
        "''",
        "true",
        "none",
        "[]",
        "[1, 'a']",
        "{}",
        "{'n': 1}",
        "1.0",
    ]
)
_names = st.sampled_from(
    [*NAMES, "a.n", "user.key", "user['x']", "rows[0]", "rows[0].n", "a[0]", "a[-1]"]
)
_binary = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in"]
)
_filters = st.sampled_from(
    [
        "abs", "attr('n')", "batch(2)", "bool", "capitalize", "count", "default('d')",
        "default(0, true)", "dictsort", "escape", "first", "float", "format(1)", "groupby('n')",
        "indent(2)", "int", "items", "join", "join(', ')", "last", "length", "lines", "list", "lower",
        "map('upper')", "map(attribute='n')", "max", "min", "pprint", "reject('none')",
        "rejectattr('n')", "replace('a', 'b')", "reverse", "round", "safe", "select", "select('number')",
        "selectattr('n', 'defined')", "slice(2)", "sort", "sort(reverse=true)", "split", "string",
        "sum", "title", "tojson", "trim", "unique", "upper", "zip([1, 2])", "tojson(2)", "list|length",
    ]
)  # fmt: skip
_tests = st.sampled_from(
    [
        "boolean", "defined", "divisibleby 3", "endingwith 'x'", "eq 1", "even", "false", "float",
        "ge 1", "gt 1", "in [1, 'x']", "integer", "iterable", "le 1", "lower", "lt 1", "mapping",
        "ne 1", "none", "number", "odd", "safe", "sequence", "startingwith 'x'", "string", "true",
        "undefined", "upper", "not none", "not string", "sameas 1",
    ]
)  # fmt: skip


def _larger_expression(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, _binary, inner),
        st.builds("({} {} {})".format, _names, st.sampled_from(["and", "or"]), inner),
        st.builds("{}|{}".format, inner, _filters),
        st.builds("({} is {})".format, inner, _tests),
        st.builds("(not {})".format, inner),
        st.builds("(-({}))".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'k': {}}}".format, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("({})[{}:]".format, inner, st.sampled_from(["0", "1", "-1", "-2", "5", ""])),
        st.builds("({}).n".format, inner),
    )


expressions = st.recursive(st.one_of(_names, _literals), _larger_expression, max_leaves=5)
_data = st.sampled_from(["text ", "\n", " <b> ", "{# note #}", "é", "  "])


# The package forgets variables in slices and block tags when it looks for what a macro encloses.
_macro_bodies = st.lists(
    st.one_of(
        _data,
        _names.map("{{{{ {} }}}}".format),
        st.builds("{{% if {} is {} %}}{{{{ b }}}}{{% endif %}}".format, _names, _tests),
        st.builds("{{% set b = {}|{} %}}".format, _names, _filters),
    ),
    max_size=3,
).map("".join)


def _larger_statement(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bodies = st.lists(inner, max_size=2).map("".join)
    return st.one_of(
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, expressions, bodies, bodies),
        st.builds("{{%- if {} -%}}{}{{%- endif -%}}".format, expressions, bodies),
        st.builds("{{% for a in {} %}}{{{{ loop.index }}}}{}{{% else %}}-{{% endfor %}}".format, expressions, bodies),
        st.builds("{{% for b in rows if {} %}}{}{{% endfor %}}".format, expressions, bodies),
        st.builds("{{% for k, v in {}|items %}}{{{{ k }}}}{}{{% endfor %}}".format, expressions, bodies),
        st.builds("{{% with b = {} %}}{}{{% endwith %}}".format, expressions, bodies),
        st.builds("{{% set c %}}{}{{% endset %}}".format, bodies),
        st.builds("{{% filter upper %}}{}{{% endfilter %}}".format, bodies),
        st.builds("{{% macro m(a, b=1) %}}{}{{% endmacro %}}{{{{ m({}) }}}}".format, _macro_bodies, expressions),
        st.builds("{{% autoescape true %}}{}{{% endautoescape %}}".format, bodies),
        st.builds("{{% block x{} %}}{}{{% endblock %}}".format, st.integers(0, 10**9), bodies),
    )  # fmt: skip


statements = st.recursive(
    st.one_of(
        _data,
        expressions.map("{{{{ {} }}}}".format),
        st.builds("{{% set {} = {} %}}".format, st.sampled_from(["a", "b", "new"]), expressions),
    ),
    _larger_statement,
    max_leaves=6,
)
templates = st.lists(statements, min_size=1, max_size=4).map("".join)
