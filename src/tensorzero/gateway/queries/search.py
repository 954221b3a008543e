"""``search_query_experimental``: how often a text occurs in stored JSON."""

from __future__ import annotations

import orjson

from tensorzero.gateway.queries.sql import Bindings


def hits(query: str, input_column: str, output_column: str, bind: Bindings) -> str:
    """SQL of the number of occurrences, case ignored, in two columns of JSON text; an output may
    be NULL. The query is looked for as JSON writes it."""
    needle = bind.string(orjson.dumps(query).decode()[1:-1])
    count = "countSubstringsCaseInsensitiveUTF8"
    return f"{count}({input_column}, {needle}) + ifNull({count}({output_column}, {needle}), 0)"
