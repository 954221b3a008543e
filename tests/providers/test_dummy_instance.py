"""JSON that fits a schema, as the dummy makes it up."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.providers.dummy.instance import fitting_instance
from tensorzero.providers.dummy.pattern import matching_text
from tensorzero.types.schema import JSONSchema, SchemaError

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 18}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FITTING: list[Any] = [
    True,
    {},
    PERSON,
    {"const": [1, {"a": None}]},
    {"enum": ["x", "y"]},
    {"type": ["null", "string"], "minLength": 3},
    {"type": "string", "minLength": 9, "maxLength": 12},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"},
    {"type": "string", "pattern": "^(yes|no)\\s?(\\w+)?[^a-z0]$"},
    {"pattern": "^\\+?[0-9]+(\\.[0-9]{2})?$"},
    {"type": "integer", "exclusiveMinimum": 4},
    {"type": "integer", "minimum": 7, "multipleOf": 5},
    {"type": "integer", "maximum": -3},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "exclusiveMaximum": -2},
    {"type": "array", "items": PERSON, "minItems": 2},
    {"type": "array", "items": {"type": "integer"}, "minItems": 4, "uniqueItems": True},
    {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 3},
    {"type": "array", "contains": {"const": 5}, "minItems": 2},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 1},
    {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {}, "b": {"type": "string"}},
        "dependentRequired": {"a": ["b"]},
    },
    {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    {"oneOf": [{"type": "integer"}, {"type": "number"}, {"type": "string"}]},
    {"allOf": [PERSON, {"properties": {"name": {"const": "Ann"}}}]},
    {"allOf": [{"required": ["a"]}, {"required": ["b"], "properties": {"b": {"const": 1}}}]},
    {
        "$defs": {"p": PERSON, "list": {"type": "array", "items": {"$ref": "#/$defs/p"}}},
        "type": "object",
        "properties": {"all": {"$ref": "#/$defs/list", "minItems": 1}},
        "required": ["all"],
    },
    {
        "type": "object",
        "properties": {
            "kind": {"const": "leaf"},
            "children": {"type": "array", "items": {"$ref": "#"}},
        },
        "required": ["kind", "children"],
    },
    {
        "oneOf": [
            {
                "type": "object",
                "properties": {"t": {"const": "a"}, "x": {"type": "string"}},
                "required": ["t", "x"],
            },
            {"type": "object", "properties": {"t": {"const": "b"}}, "required": ["t"]},
        ],
        "type": "object",
    },
    {"type": "boolean", "enum": [True]},
    {"type": "boolean", "not": {"const": False}},
    {"type": "string", "default": "given"},
    {"type": "integer", "default": "wrong"},
]


@pytest.mark.parametrize("value", FITTING, ids=repr)
def test_it_fits(value: Any) -> None:
    schema = JSONSchema(value)
    instance = fitting_instance(schema)
    assert schema.is_valid(instance), instance


def test_small_and_required_only() -> None:
    optional = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert fitting_instance(JSONSchema(optional)) == {}
    assert fitting_instance(JSONSchema(PERSON)) == {"name": "text", "age": 18}
    assert fitting_instance(JSONSchema({"type": "string", "default": "given"})) == "given"


HOSTILE: list[Any] = [
    {"$ref": "#"},
    {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    {"type": "array", "minItems": 10**12},
    {"type": "array", "minItems": 10**6, "uniqueItems": True, "items": {"type": "integer"}},
    {
        "type": "array",
        "minItems": 1000,
        "items": {"type": "array", "minItems": 1000, "items": {"type": "array", "minItems": 1000}},
    },
    {"type": "array", "minItems": 10**6, "items": {"type": "string", "minLength": 10**9}},
    {"type": "object", "minProperties": 10**12},
    {"type": "string", "minLength": 10**12},
    {"type": "string", "pattern": "(a?){30}a{30}^x"},
    {"type": "string", "pattern": "(?=x)y"},
    {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
    {"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]},
    {"type": "object", "required": [f"k{n}" for n in range(5000)]},
    {"not": {}},
    False,
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:60])
def test_what_cannot_be_made_ends_soon(value: Any) -> None:
    schema = JSONSchema(value)
    started = monotonic()
    instance = fitting_instance(schema)
    assert monotonic() - started < 5
    assert len(repr(instance)) < 3_000_000


KEYWORDS = [
    "type",
    "items",
    "properties",
    "required",
    "anyOf",
    "allOf",
    "enum",
    "minItems",
    "$ref",
    "pattern",
    "dependentRequired",
    "minimum",
    "maxLength",
    "contains",
    "a",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(KEYWORDS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "items", "properties", "anyOf", "a"]), JSON))
def test_any_schema_that_compiles_is_tried(value: dict[str, Any]) -> None:
    try:
        schema = JSONSchema(value)
    except SchemaError:
        return
    fitting_instance(schema)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("abc", "abc"),
        ("^a{2,4}b*c+$", "aac"),
        ("[x-z][^a][\\d\\s]", "xb0"),
        ("(ab)\\1", "abab"),
        ("a|b", "a"),
        (".\\w\\W\\D\\S\\s", "aa-aa "),
        ("(?P<n>a)(?P=n)", "aa"),
        ("(", None),
        ("(?!a)b", None),
        ("a{999}", None),
        ("(((a{90}){90}){90})", None),
    ],
)
def test_texts_of_patterns(pattern: str, expected: str | None) -> None:
    assert matching_text(pattern, 100) == expected
