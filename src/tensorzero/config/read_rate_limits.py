"""Reads ``[rate_limiting]``.

Rules: the contract's operations page, section 3.1.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, cast

from tensorzero.config.rate_limit import (
    RateLimit,
    RateLimitingConfig,
    RateLimitRule,
    RateLimitScope,
    Resource,
    Window,
)
from tensorzero.config.reader import Table

RESOURCES = ("model_inferences", "tokens", "cost")
WINDOWS = ("second", "minute", "hour", "day", "week", "month")
KEYS = {
    f"{resource}_per_{window}": (resource, window) for resource in RESOURCES for window in WINDOWS
}
EACH, TOTAL = "tensorzero::each", "tensorzero::total"
PUBLIC_ID_LENGTH = 12


def read_rate_limits(root: Table) -> RateLimitingConfig:
    """All rules, checked. Enforcing them is not built: rules that count stop the start."""
    table = root.table("rate_limiting")
    if table is None:
        return RateLimitingConfig()
    enabled = table.boolean("enabled") is not False
    backend = table.choice("backend", ("auto", "postgres", "valkey")) or "auto"
    if backend == "postgres":
        table.warn("`postgres` is not used by this gateway", "backend")
    default_cost = table.number("default_cost")
    if default_cost is not None and default_cost < 0:
        table.error("must not be negative", "default_cost")
    rules = tuple(_rule(rule) for rule in table.entries("rules") or ())
    table.finish(tolerant=True)
    scopes = [frozenset(rule.scope) for rule in rules]
    for index, scope in enumerate(scopes):
        if scope in scopes[:index]:
            table.error(
                f"rules {scopes.index(scope)} and {index} have the same scope; put their limits "
                "into one rule",
                "rules",
            )
    if rules and enabled:
        table.error(
            "rate limits are not provided by this version yet; remove the rules, or set "
            "`rate_limiting.enabled = false`, to start without",
            "rules",
        )
    elif rules:
        table.warn("`enabled = false`: the rules are not enforced")
    return RateLimitingConfig(
        enabled,
        cast(Literal["auto", "postgres", "valkey"], backend),
        1.0 if default_cost is None else default_cost,
        rules,
    )


def _rule(table: Table) -> RateLimitRule:
    limits = tuple(_limit(table, key) for key in table.value if key in KEYS)
    for key in table.value:
        if "_per_" in key and key not in KEYS:
            table.raw(key)
            table.error(
                f"unknown rate limit `{key}`: expected `<resource>_per_<window>` with one of "
                f"{', '.join(f'`{name}`' for name in RESOURCES)} and one of "
                f"{', '.join(f'`{name}`' for name in WINDOWS)}",
                key,
            )
    scope = _scope(table)
    priority = table.integer("priority")
    always = table.boolean("always")
    if ("priority" in table.value) == (always is True):
        table.error("exactly one of `priority` and `always = true` is needed")
    table.finish(tolerant=True)
    return RateLimitRule(limits, scope, None if always else priority)


def _limit(table: Table, key: str) -> RateLimit:
    resource, window = KEYS[key]
    value = table.raw(key)
    if isinstance(value, dict):
        inner = Table(value, table.at(key), table.faults)
        capacity = _amount(inner, "capacity", resource)
        refill = _amount(inner, "refill_rate", resource)
        inner.finish()
    else:
        capacity = refill = _amount(table, key, resource)
    return RateLimit(cast(Resource, resource), cast(Window, window), capacity, refill)


def _amount(table: Table, key: str, resource: str) -> Decimal:
    if resource != "cost":
        return Decimal(table.integer(key, required=True) or 0)
    amount = table.number(key, required=True)
    if amount is not None and amount < 0:
        table.error("must not be negative", key)
    return Decimal(repr(amount or 0.0))


def _scope(table: Table) -> tuple[RateLimitScope, ...]:
    out: list[RateLimitScope] = []
    for entry in table.entries("scope") or ():
        scope = _scope_entry(entry)
        if scope is None:
            continue
        if scope in out:
            entry.error("the same scope is listed twice")
        out.append(scope)
    return tuple(out)


def _scope_entry(entry: Table) -> RateLimitScope | None:
    if "api_key_public_id" in entry.value:
        value = entry.string("api_key_public_id")
        entry.finish(tolerant=True)
        if value is None:
            return None
        if value != EACH and (value.startswith("tensorzero::") or len(value) != PUBLIC_ID_LENGTH):
            entry.error(
                f"expected `{EACH}` or a public id of {PUBLIC_ID_LENGTH} characters",
                "api_key_public_id",
            )
        return RateLimitScope("", value)
    key = entry.string("tag_key", required=True)
    value = entry.string("tag_value", required=True)
    entry.finish(tolerant=True)
    if key is None or value is None:
        return None
    if value.startswith("tensorzero::") and value not in (EACH, TOTAL):
        entry.error(f"expected `{EACH}`, `{TOTAL}` or a value of the tag", "tag_value")
    return RateLimitScope(key, value)
