"""Holds an input against the function's schemas, before any variant is chosen."""

from __future__ import annotations

from typing import Any

import orjson

from tensorzero.config.function import FunctionConfig
from tensorzero.types.content import Input, Template, Text
from tensorzero.types.errors import InvalidMessage, JsonSchemaValidation
from tensorzero.types.schema import JSONSchema


def validate_input(function: FunctionConfig, given: Input, *, debug: bool) -> None:
    """Raise ``InvalidMessage`` or ``JsonSchemaValidation`` for the first fault, system first."""
    schemas = function.schemas
    _validate_system(function, given.system, debug)
    for index, message in enumerate(given.messages):
        for block in message.content:
            kind = type(block)
            if kind is Text:
                if schemas:
                    schema = schemas.get(message.role)
                    if schema is not None:
                        _check(schema, block.text, debug)  # type: ignore[union-attr]  # kind is Text
            elif kind is Template:
                _validate_template(function, block, index, debug)  # type: ignore[arg-type]  # kind is Template


def _validate_system(function: FunctionConfig, system: Any, debug: bool) -> None:
    schema = function.schemas.get("system")
    if schema is not None:
        if system is None:
            raise InvalidMessage("`input.system` is missing, and the function has a schema for it")
        _check(schema, system, debug)
    elif isinstance(system, dict) and "system" not in function.explicit_templates:
        raise InvalidMessage(
            "`input.system` is an object, but the function has neither a schema nor a template "
            "`system` that takes arguments"
        )


def _validate_template(function: FunctionConfig, block: Template, index: int, debug: bool) -> None:
    schema = function.schemas.get(block.name)
    if schema is not None:
        _check(schema, block.arguments, debug)
    elif block.name not in function.explicit_templates:
        raise InvalidMessage(
            f"Message at index {index} has a template block `{block.name}`, but no variant of the "
            "function has a template of that name that takes arguments"
        )


def _check(schema: JSONSchema, value: Any, debug: bool) -> None:
    if schema.is_valid(value):
        return
    data_text = orjson.dumps(value).decode() if debug else None
    raise JsonSchemaValidation(
        schema.first_error(value) or "the value does not satisfy the schema",
        schema=schema.value,
        data=value,
        schema_text=schema.text,
        data_text=data_text,
    )
