"""Names of the built-in ``dummy`` provider's models: ``<behaviour>[?option=value&…]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

BEHAVIOURS = (
    "text",
    "echo",
    "json",
    "invalid_json",
    "tool_call",
    "thought",
    "empty",
    "none",
    "unknown",
    "request",
    "error",
)
"""What a dummy model may do."""

INTEGER_OPTIONS = (
    "latency_ms",
    "jitter_ms",
    "chunks",
    "interval_ms",
    "fail_every",
    "fail_first",
    "stream_error_at",
    "stream_fatal_at",
    "ttft_ms",
    "input_tokens",
    "output_tokens",
    "rand_seed",
    "status",
    "n",
)
NUMBER_OPTIONS = ("error_rate",)
TEXT_OPTIONS = ("text", "value", "args", "signature", "message", "finish", "usage")
FINISHES = ("stop", "stop_sequence", "length", "tool_call", "content_filter", "unknown")


@dataclass(frozen=True, slots=True)
class DummyModel:
    """A parsed name: what to do, and the options as text (checked)."""

    behaviour: str
    options: Mapping[str, str]

    def integer(self, name: str, default: int) -> int:
        return int(self.options.get(name, default))

    def number(self, name: str, default: float) -> float:
        return float(self.options.get(name, default))


def parse_dummy_model(name: str) -> DummyModel:
    """Parse a model name; raises ``ValueError`` saying what would be right."""
    behaviour, _, query = name.partition("?")
    if behaviour not in BEHAVIOURS:
        raise ValueError(
            f"unknown dummy behaviour `{behaviour}`, expected one of {', '.join(BEHAVIOURS)}"
        )
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key, value in options.items():
        _check_option(key, value)
    return DummyModel(behaviour, options)


def _check_option(key: str, value: str) -> None:
    if key in INTEGER_OPTIONS:
        if not (value.isascii() and value.isdigit()):
            raise ValueError(f"option `{key}` of a dummy model takes a whole number, not `{value}`")
        if key == "status" and not 100 <= int(value) <= 599:
            raise ValueError(f"option `status` of a dummy model takes 100 to 599, not `{value}`")
        if key in ("chunks", "n", "fail_every") and int(value) == 0:
            raise ValueError(f"option `{key}` of a dummy model must be at least 1")
    elif key in NUMBER_OPTIONS:
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0.0 <= number <= 1.0:
            raise ValueError(f"option `{key}` of a dummy model takes 0 to 1, not `{value}`")
    elif key not in TEXT_OPTIONS:
        known = ", ".join(sorted((*INTEGER_OPTIONS, *NUMBER_OPTIONS, *TEXT_OPTIONS)))
        raise ValueError(f"unknown option `{key}` of a dummy model, expected one of {known}")
    elif key == "finish" and value not in FINISHES:
        raise ValueError(f"option `finish` takes one of {', '.join(FINISHES)}, not `{value}`")
    elif key == "usage" and value != "none":
        raise ValueError("option `usage` of a dummy model takes `none` only")
