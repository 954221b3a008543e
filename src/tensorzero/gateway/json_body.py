"""Reads a request body as JSON."""

from __future__ import annotations

from typing import Any

from tensorzero.gateway.fields import fault
from tensorzero.types import json_text
from tensorzero.types.errors import JsonRequest


def load_json(body: bytes) -> Any:
    """The body as JSON; raises ``JsonRequest`` with the parser's reason."""
    try:
        return json_text.loads(body)
    except ValueError as error:
        detail = str(error)
        if not body.strip():
            detail = "EOF while parsing a value at line 1 column 0"
        raise JsonRequest(
            f"Failed to parse the request body as JSON: {detail} (400 Bad Request)"
        ) from None


def json_object(body: bytes) -> dict[str, Any]:
    """The body, which must be an object; raises ``JsonRequest``."""
    data = load_json(body)
    if type(data) is not dict:
        raise fault("", f"invalid type: {_type_name(data)}, expected an object")
    return data


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "integer", float: "floating point", list: "sequence"}.get(
        type(value), "map"
    )
