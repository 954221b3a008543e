"""JSON Schema files: parsed and compiled at start."""

from __future__ import annotations

import orjson

from tensorzero.config.paths import LoadedFile
from tensorzero.config.reader import Table
from tensorzero.types.schema import ANY_JSON, JSONSchema, SchemaError


def read_schema(table: Table, key: str, *, required: bool = False) -> JSONSchema:
    """The schema in the file that ``key`` names; any JSON where there is none."""
    value = table.raw(key, required=required)
    if not isinstance(value, LoadedFile) or not value:
        return ANY_JSON  # absent, or reported as unreadable
    try:
        return JSONSchema(orjson.loads(value.content))
    except orjson.JSONDecodeError as error:
        table.fault(f"`{table.at(key)}`: Failed to parse JSON Schema `{value}`: {error}", key)
    except SchemaError as error:
        table.fault(f"`{table.at(key)}`: Failed to compile JSON Schema `{value}`: {error}", key)
    return ANY_JSON
