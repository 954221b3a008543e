"""Reads the sampling parameters of a variant."""

from __future__ import annotations

from typing import Any, cast

from tensorzero.config.read_parts import F32_MAX
from tensorzero.config.reader import Table
from tensorzero.types.params import ChatCompletionParams, JsonMode, ServiceTier, single_precision

JSON_MODES = ("off", "on", "strict", "tool", "implicit_tool")
SERVICE_TIERS = ("auto", "default", "priority", "flex")
U32 = 2**32 - 1


def read_params(table: Table, *, tier: bool = True, reasoning: bool = True) -> ChatCompletionParams:
    """The parameters, ``json_mode`` too; ``tier`` and ``reasoning`` say which of them exist."""
    values: dict[str, Any] = {}
    for key in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        number = table.number(key, high=F32_MAX)
        values[key] = None if number is None else single_precision(number)
    for key in ("max_tokens", "seed"):
        values[key] = table.integer(key, high=U32)
    values["stop_sequences"] = table.strings("stop_sequences")
    if reasoning:
        for key in ("reasoning_effort", "verbosity"):
            values[key] = table.string(key)
    if tier:
        values["service_tier"] = cast(
            "ServiceTier | None", table.choice("service_tier", SERVICE_TIERS)
        )
    values["thinking_budget_tokens"] = table.integer(
        "thinking_budget_tokens", low=-(2**31), high=2**31 - 1
    )
    mode = table.choice("json_mode", JSON_MODES)
    values["json_mode"] = cast("JsonMode | None", "tool" if mode == "implicit_tool" else mode)
    return ChatCompletionParams(**values)
