"""Reads ``[tools.*]``."""

from __future__ import annotations

from tensorzero.config.read_schemas import read_schema
from tensorzero.config.reader import Table
from tensorzero.types.tools import FunctionTool


def read_tools(root: Table) -> dict[str, FunctionTool]:
    """Tools by key; every schema is compiled, used or not."""
    out: dict[str, FunctionTool] = {}
    for key, table in root.tables("tools").items():
        if key.startswith("tensorzero::"):
            table.fault(f"Tool name cannot start with 'tensorzero::': {key}")
        description = table.string("description", required=True)
        schema = read_schema(table, "parameters", required=True)
        name = table.string("name")
        strict = table.boolean("strict") or False
        table.finish()
        out[key] = FunctionTool(
            key, key if name is None else name, description or "", schema, strict
        )
    return out
