"""JSON Schemas: compiled once, asked often.

One seam over two engines. ``jsonschema-rs`` knows all drafts (4, 6, 7, 2019-09, 2020-12; chosen
by ``$schema``, 2020-12 by default) and words its errors as clients of the reference know them.
Where its wheel is missing, ``fastjsonschema`` serves schemas that stay inside draft 7; it would
silently ignore newer keywords, so others are refused there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

try:
    import jsonschema_rs
except ImportError:  # no wheel for this platform
    jsonschema_rs = None  # type: ignore[assignment]  # the seam below asks for None

NEWER_THAN_DRAFT_7 = frozenset(
    {
        "$anchor",
        "$defs",
        "$dynamicAnchor",
        "$dynamicRef",
        "$recursiveAnchor",
        "$recursiveRef",
        "$vocabulary",
        "dependentRequired",
        "dependentSchemas",
        "maxContains",
        "minContains",
        "prefixItems",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords that ``fastjsonschema`` does not know."""


class SchemaError(ValueError):
    """The schema itself is wrong, or refers to something outside itself."""


def _refuse_remote(uri: str) -> Any:
    raise ValueError(f"`{uri}` is outside the schema; only references inside the file are followed")


class JSONSchema:
    """A schema, its JSON text, and a compiled check.

    ``value`` keeps the key order of the source: it is sent to providers as it was written.
    """

    __slots__ = ("_first_error", "_is_valid", "text", "value")

    def __init__(self, value: Any) -> None:
        """Compile; raises ``SchemaError`` with the engine's reason."""
        self.value = value
        try:
            self.text: str = orjson.dumps(value).decode()
        except TypeError as error:  # deeper than 254 levels, or no JSON value
            raise SchemaError(f"the schema cannot be written as JSON: {error}") from None
        compiler = _compile_fast if jsonschema_rs is None else _compile_rs
        self._is_valid, self._first_error = compiler(value)

    def is_valid(self, instance: Any) -> bool:
        """Whether the instance satisfies the schema."""
        return self._is_valid(instance)

    def first_error(self, instance: Any) -> str | None:
        """The first fault in the engine's words, or ``None``."""
        return self._first_error(instance)

    def __repr__(self) -> str:
        return f"JSONSchema({self.text})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JSONSchema) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class UncompilableSchema(JSONSchema):
    """A request's schema that is not one: sent and recorded as it is, and nothing fits it."""

    __slots__ = ()

    def __init__(self, value: Any) -> None:
        super().__init__(False)
        self.value = value
        self.text = orjson.dumps(value).decode()


def request_schema(value: Any) -> JSONSchema:
    """A schema that a request brings; one that does not compile is no error."""
    try:
        return JSONSchema(value)
    except SchemaError:
        return UncompilableSchema(value)


_Check = tuple[Callable[[Any], bool], Callable[[Any], str | None]]


def _compile_rs(value: Any) -> _Check:
    if not isinstance(value, (bool, dict)):
        raise SchemaError("a JSON Schema is an object, `true` or `false`")
    try:
        validator = jsonschema_rs.validator_for(value, retriever=_refuse_remote)
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(error.message) from None
    except ValueError as error:
        raise SchemaError(str(error)) from None

    def first_error(instance: Any) -> str | None:
        for error in validator.iter_errors(instance):
            return str(error.message)
        return None

    return validator.is_valid, first_error


def _compile_fast(value: Any) -> _Check:
    import fastjsonschema

    if value is True or value is False:
        verdict: bool = value
        return (lambda _: verdict), (lambda _: None if verdict else "False schema allows nothing")
    if not isinstance(value, dict):
        raise SchemaError("a JSON Schema is an object, `true` or `false`")
    newer = sorted(NEWER_THAN_DRAFT_7 & _keywords(value))
    if newer:
        raise SchemaError(
            f"keywords {', '.join(newer)} need the package `jsonschema-rs`, which is not installed"
        )
    try:
        validate = fastjsonschema.compile(
            value,
            handlers={"http": _refuse_remote, "https": _refuse_remote, "file": _refuse_remote},
        )
    except (fastjsonschema.JsonSchemaDefinitionException, ValueError, AttributeError) as error:
        raise SchemaError(str(error)) from None

    def first_error(instance: Any) -> str | None:
        try:
            validate(instance)
        except fastjsonschema.JsonSchemaValueException as error:
            return str(error.message)
        return None

    return (lambda instance: first_error(instance) is None), first_error


def _keywords(value: Any) -> set[str]:
    found: set[str] = set()
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            found.update(node)
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return found


ANY_JSON = JSONSchema({})
"""The schema of a JSON function that names none."""
