"""Reads ``cost`` and ``batch_cost`` of model providers.

Rules and texts: the contract's page on models and providers, section 2.
"""

from __future__ import annotations

from decimal import Decimal

from tensorzero.config.model import CostEntry
from tensorzero.config.reader import Table


def read_cost(owner: Table, key: str, *, split: bool) -> tuple[CostEntry, ...] | None:
    """The entries; ``split`` allows a pointer each for streamed and other responses.

    ``None`` (absent: no cost is computed) is not ``()`` (everything is free).
    """
    entries = owner.entries(key)
    if entries is None:
        return None
    return tuple(_entry(owner, key, table, split) for table in entries)


def _entry(owner: Table, key: str, table: Table, split: bool) -> CostEntry:
    def wrong(text: str) -> None:
        owner.error(text, key)

    pointer = table.string("pointer")
    plain = table.string("pointer_nonstreaming") if split else None
    streamed = table.string("pointer_streaming") if split else None
    if not split and "pointer" not in table.value:
        wrong("missing field `pointer`")
    elif split:
        given = {name for name in table.value if name.startswith("pointer")}
        if given not in ({"pointer"}, {"pointer_nonstreaming", "pointer_streaming"}):
            wrong(
                "invalid pointer configuration: specify either `pointer` alone, or both "
                "`pointer_nonstreaming` and `pointer_streaming`"
            )
    for text in (pointer, plain, streamed):
        if text is not None and not _is_pointer(text):
            wrong(
                f"invalid JSON pointer `{text}`: expected an empty text or one that starts with "
                "`/`, with `~0` and `~1` as the only escapes"
            )
    million, unit = table.number("cost_per_million"), table.number("cost_per_unit")
    if ("cost_per_million" in table.value) == ("cost_per_unit" in table.value):
        wrong("must specify exactly one of `cost_per_million` or `cost_per_unit`")
    rate = Decimal(repr(unit)) if unit is not None else Decimal(repr(million or 0.0)) / 1_000_000
    required = table.boolean("required") or False
    table.finish(tolerant=True)
    return CostEntry(pointer or plain or "", pointer or streamed or "", rate, required)


def _is_pointer(text: str) -> bool:
    rest = text.replace("~0", "").replace("~1", "")
    return (text == "" or text.startswith("/")) and "~" not in rest
