"""Query parameters (``{name:Type}`` in SQL) as the ClickHouse HTTP interface wants them.

A value travels as text in the engine's "escaped" form (tab-separated values, one field);
elements of arrays and maps are quoted inside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

Scalar = str | int | float | bool | UUID | None
Parameter = Scalar | Sequence[Scalar] | Mapping[str, str]

_ESCAPES = str.maketrans(
    {
        "\\": "\\\\",
        "\t": "\\t",
        "\n": "\\n",
        "\r": "\\r",
        "\0": "\\0",
        "\b": "\\b",
        "\f": "\\f",
    }
)


def encode_parameter(value: Parameter) -> str:
    """Text of one parameter: ``None`` is ``\\N``, lists are arrays, dicts are maps."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, UUID)):
        return str(value)
    if isinstance(value, Mapping):
        pairs = (f"{_quoted(key)}:{_quoted(item)}" for key, item in value.items())
        return "{" + ",".join(pairs) + "}"
    return "[" + ",".join(_quoted(item) for item in value) + "]"


def encode_parameters(params: Mapping[str, Parameter] | None) -> dict[str, str]:
    """Name → text, without the ``param_`` that the HTTP interface puts before names."""
    return {name: encode_parameter(value) for name, value in (params or {}).items()}


def _quoted(value: Scalar) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return "'" + str(value).translate(_ESCAPES).replace("'", "\\'") + "'"


def quote_string(value: str) -> str:
    """A SQL string literal (for statements that take no parameters, such as ``SET``)."""
    return _quoted(value)


def quote_identifier(name: str) -> str:
    """A SQL identifier in backticks."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
