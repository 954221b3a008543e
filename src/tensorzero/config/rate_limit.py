"""``[rate_limiting]``."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Resource = Literal["model_inferences", "tokens", "cost"]
Window = Literal["second", "minute", "hour", "day", "week", "month"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket: at most ``capacity``, filled up by ``refill_rate`` every ``window``.

    Units of ``resource``: calls, tokens, dollars.
    """

    resource: Resource
    window: Window
    capacity: Decimal
    refill_rate: Decimal


@dataclass(frozen=True, slots=True, order=True)
class RateLimitScope:
    """One entry of ``scope``: a tag (``key`` is its name) or an API key (``key`` is empty).

    ``value`` may be ``tensorzero::each`` or ``tensorzero::total``.
    """

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class RateLimitRule:
    """``priority`` is ``None`` for a rule that always applies."""

    limits: tuple[RateLimit, ...]
    scope: tuple[RateLimitScope, ...] = ()
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimitingConfig:
    """``default_cost`` in dollars, taken before a call whose cost is not known yet."""

    enabled: bool = True
    backend: Literal["auto", "postgres", "valkey"] = "auto"
    default_cost: float = 1.0
    rules: tuple[RateLimitRule, ...] = ()
