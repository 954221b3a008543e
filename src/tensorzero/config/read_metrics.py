"""Reads ``[metrics.*]``."""

from __future__ import annotations

import string
from typing import Literal, cast

from tensorzero.config.metric import MetricConfig
from tensorzero.config.reader import Table

CHARACTERS = frozenset(string.ascii_letters + string.digits + "_.:/-")
BUILT_IN = ("comment", "demonstration")


def read_metrics(root: Table) -> dict[str, MetricConfig]:
    out: dict[str, MetricConfig] = {}
    for name, table in root.tables("metrics").items():
        if name.startswith("tensorzero::"):
            table.fault(f"Metric name cannot start with 'tensorzero::': {name}")
        elif name in BUILT_IN:
            table.fault(f"Metric name '{name}' is reserved and cannot be used")
        elif not name or set(name) - CHARACTERS:
            table.fault(
                f"Metric name `{name}` contains characters that are not allowed. Use letters, "
                "digits and `_ . : / -`."
            )
        kind = table.choice("type", ("boolean", "float"), required=True)
        optimize = table.choice("optimize", ("min", "max"), required=True)
        level = table.choice("level", ("inference", "episode"), required=True)
        description = table.string("description")
        table.finish()
        out[name] = MetricConfig(
            name,
            cast(Literal["boolean", "float"], kind or "float"),
            cast(Literal["min", "max"], optimize or "max"),
            cast(Literal["inference", "episode"], level or "inference"),
            description,
        )
    return out
