"""Parts that several sections share: timeouts, retries, extra entries, namespaces."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time
from typing import Any

import orjson

from tensorzero.config.reader import Table, kind
from tensorzero.config.timeouts import TimeoutsConfig
from tensorzero.config.variant import RetryConfig
from tensorzero.types.extra import ExtraBody, ExtraHeader

F32_MAX = 3.4028234663852886e38
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def check_limit(owner: Table, key: str, value: int, global_ms: int) -> None:
    """A timeout must stay within the gateway's outbound limit."""
    if value > global_ms:
        owner.error(
            f"The `timeouts.{key}` value `{value}` is greater than "
            f"`gateway.global_outbound_http_timeout_ms`: `{global_ms}`"
        )


def read_timeouts(owner: Table, global_ms: int) -> TimeoutsConfig:
    """``timeouts`` of a model, provider or variant, in milliseconds."""
    table = owner.table("timeouts")
    if table is None:
        return TimeoutsConfig()
    values: dict[str, int | None] = {}
    for group, names in (("non_streaming", ("total_ms",)), ("streaming", ("ttft_ms", "total_ms"))):
        inner = table.table(group)
        if inner is None:
            continue
        for name in names:
            value = inner.integer(name)
            values[f"{group}_{name}"] = value
            if value is not None:
                check_limit(owner, f"{group}.{name}", value, global_ms)
        inner.finish()
    table.finish()
    ttft, total = values.get("streaming_ttft_ms"), values.get("streaming_total_ms")
    if ttft is not None and total is not None and total < ttft:
        table.warn("`streaming.total_ms` is less than `streaming.ttft_ms`, so it acts first")
    return TimeoutsConfig(
        values.get("non_streaming_total_ms"),
        values.get("streaming_ttft_ms"),
        values.get("streaming_total_ms"),
    )


def read_retries(owner: Table) -> RetryConfig:
    table = owner.table("retries")
    if table is None:
        return RetryConfig()
    retries = table.integer("num_retries")
    delay = table.number("max_delay_s", high=F32_MAX)
    if delay is not None and delay < 0:
        table.error("must not be negative", "max_delay_s")
    table.finish(tolerant=True)
    return RetryConfig(retries or 0, 10.0 if delay is None else delay)


def json_value(value: Any, table: Table, key: str) -> Any:
    """A TOML value as it goes into a JSON body: dates become text, numbers must fit."""
    converted = _json_value(value, table, key)
    try:
        orjson.dumps(converted)
    except TypeError:
        table.error("the value is nested too deeply for JSON", key)
        return None
    return converted


def _json_value(value: Any, table: Table, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _json_value(entry, table, key) for name, entry in value.items()}
    if isinstance(value, list):
        return [_json_value(entry, table, key) for entry in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        table.error(f"{kind(value)} cannot be written in JSON", key)
        return None
    if type(value) is int and not -(2**63) <= value < 2**64:
        table.error(f"{kind(value)} does not fit into 64 bits", key)
        return None
    return value


def _edit(table: Table) -> tuple[Any, bool]:
    value, delete = table.raw("value"), table.raw("delete")
    if delete is False:
        table.error("Error deserializing replacement config: `delete` must be `true`, or not set")
    elif delete is not None and delete is not True:
        table.wrong("delete", "`true`")
    elif value is None and delete is None:
        table.error("missing field `value`: either `value` or `delete = true` is needed")
    elif value is not None and delete is not None:
        table.error("`value` and `delete` exclude each other")
    return value, delete is True


def read_extra_body(owner: Table) -> tuple[ExtraBody, ...]:
    out = []
    for table in owner.entries("extra_body") or ():
        pointer = table.string("pointer", required=True)
        value, delete = _edit(table)
        table.finish(tolerant=True)
        out.append(ExtraBody(pointer or "", json_value(value, owner, "extra_body"), delete))
    return tuple(out)


def read_extra_headers(owner: Table) -> tuple[ExtraHeader, ...]:
    out = []
    for table in owner.entries("extra_headers") or ():
        name = table.string("name", required=True)
        if name is not None and not _HEADER_NAME.fullmatch(name):
            table.error("not the name of an HTTP header", "name")
        value, delete = _edit(table)
        if value is not None and not isinstance(value, str):
            table.wrong("value", "a string")
        elif value is not None and re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            table.error("an HTTP header holds no control characters", "value")
        table.finish(tolerant=True)
        out.append(ExtraHeader(name or "", value if isinstance(value, str) else None, delete))
    return tuple(out)


def read_namespace(table: Table) -> str | None:
    """``namespace`` of a model or variant."""
    name = table.string("namespace")
    return name if name is not None and check_namespace(name, table) else None


def check_namespace(name: str, table: Table) -> bool:
    """Whether a namespace may be called so."""
    if name == "":
        table.error("Namespace identifier cannot be empty")
    elif name.startswith("tensorzero::"):
        table.error(f"Namespace cannot start with `tensorzero::`: {name}")
    else:
        return True
    return False
