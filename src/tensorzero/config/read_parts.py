"""Parts that several sections share: timeouts, retries, extra entries, names."""

from __future__ import annotations

from typing import Any

from tensorzero.config.reader import Faults, Table
from tensorzero.config.timeouts import TimeoutsConfig
from tensorzero.config.variant import RetryConfig
from tensorzero.types.extra import ExtraBody, ExtraHeader


def read_timeouts(owner: Table, global_ms: int) -> TimeoutsConfig:
    """``timeouts``; every value must stay within the gateway's outbound limit."""
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
            if value is not None and value > global_ms:
                owner.faults.error(
                    f"{owner.path}: The `timeouts.{group}.{name}` value `{value}` is greater than "
                    f"`gateway.global_outbound_http_timeout_ms`: `{global_ms}`"
                )
        inner.finish()
    table.finish()
    ttft, total = values.get("streaming_ttft_ms"), values.get("streaming_total_ms")
    if ttft is not None and total is not None and total < ttft:
        owner.faults.warn(
            f"{table.path}: `streaming.total_ms` is less than `streaming.ttft_ms`, so it acts first"
        )
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
    delay = table.number("max_delay_s")
    table.finish(tolerant=True)
    return RetryConfig(retries or 0, 10.0 if delay is None else delay)


def _edit(table: Table) -> tuple[Any, bool]:
    value, delete = table.raw("value"), table.raw("delete")
    if delete is False:
        table.faults.error(
            f"{table.path}: Error deserializing replacement config: `delete` must be `true`, or "
            "not set"
        )
    elif delete is not None and delete is not True:
        table.wrong("delete", "`true`")
    elif value is None and delete is None:
        table.faults.error(f"{table.path}: exactly one of `value` and `delete = true` is needed")
    elif value is not None and delete is not None:
        table.faults.error(f"{table.path}: `value` and `delete` exclude each other")
    return value, delete is True


def read_extra_body(owner: Table) -> tuple[ExtraBody, ...]:
    out = []
    for table in owner.entries("extra_body") or ():
        pointer = table.string("pointer", required=True)
        value, delete = _edit(table)
        table.finish(tolerant=True)
        out.append(ExtraBody(pointer or "", value, delete))
    return tuple(out)


def read_extra_headers(owner: Table) -> tuple[ExtraHeader, ...]:
    out = []
    for table in owner.entries("extra_headers") or ():
        name = table.string("name", required=True)
        value, delete = _edit(table)
        if value is not None and not isinstance(value, str):
            table.wrong("value", "a string")
        table.finish(tolerant=True)
        out.append(ExtraHeader(name or "", value if isinstance(value, str) else None, delete))
    return tuple(out)


def check_namespace(name: str | None, where: str, faults: Faults) -> None:
    if name is None:
        return
    if name == "":
        faults.error(f"{where}: Namespace identifier cannot be empty")
    elif name.startswith("tensorzero::"):
        faults.error(f"{where}: Namespace cannot start with `tensorzero::`: {name}")
