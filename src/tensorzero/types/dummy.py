"""Names of the built-in ``dummy`` provider's models: ``<behaviour>[?option=value&…]``.

``docs/dummy.md`` says what each does. Names come from requests too (``dummy::…``), so every
number has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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

EMBEDDING_BEHAVIOURS = ("embed", "error")
"""What a dummy embedding model may do."""

HOUR_MS = 3_600_000
COUNT = 10**9
INTEGER_OPTIONS: Mapping[str, tuple[int, int]] = {
    "latency_ms": (0, HOUR_MS),
    "jitter_ms": (0, HOUR_MS),
    "ttft_ms": (0, HOUR_MS),
    "interval_ms": (0, HOUR_MS),
    "chunks": (1, 10_000),
    "n": (1, 100),
    "fail_every": (1, COUNT),
    "fail_first": (0, COUNT),
    "stream_error_at": (1, COUNT),
    "stream_fatal_at": (1, COUNT),
    "input_tokens": (0, COUNT),
    "output_tokens": (0, COUNT),
    "rand_seed": (0, COUNT),
    "polls": (0, COUNT),
    "dims": (1, 100_000),
    "status": (300, 599),
}
"""Whole numbers, from and to."""

NUMBER_OPTIONS = ("error_rate",)
TEXT_OPTIONS = ("text", "template", "value", "args", "signature", "message", "finish", "usage")
FINISHES = ("stop", "stop_sequence", "length", "tool_call", "content_filter", "unknown")
PLACEHOLDERS = ("user", "system", "model", "provider", "call", "messages", "tools")
"""What ``template`` may name in braces."""

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class DummyModel:
    """A parsed name: what to do, and the options (checked; numbers apart from texts)."""

    behaviour: str
    options: Mapping[str, str] = field(default_factory=dict)
    integers: Mapping[str, int] = field(default_factory=dict)
    error_rate: float = 0.0

    def integer(self, name: str, default: int) -> int:
        return self.integers.get(name, default)


def parse_dummy_model(name: str) -> DummyModel:
    """Parse a model name; raises ``ValueError`` saying what would be right."""
    return _parse(name, BEHAVIOURS)


def parse_dummy_embedding(name: str) -> DummyModel:
    """The same for the name of an embedding model."""
    return _parse(name, EMBEDDING_BEHAVIOURS)


def _parse(name: str, behaviours: tuple[str, ...]) -> DummyModel:
    behaviour, _, query = name.partition("?")
    if behaviour not in behaviours:
        raise ValueError(
            f"unknown dummy behaviour `{behaviour}`, expected one of {', '.join(behaviours)}"
        )
    texts: dict[str, str] = {}
    integers: dict[str, int] = {}
    error_rate = 0.0
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in INTEGER_OPTIONS:
            integers[key] = _integer(key, value)
        elif key in NUMBER_OPTIONS:
            error_rate = _share(key, value)
        elif key in TEXT_OPTIONS:
            _check_text(key, value)
            texts[key] = value
        else:
            known = ", ".join(sorted((*INTEGER_OPTIONS, *NUMBER_OPTIONS, *TEXT_OPTIONS)))
            raise ValueError(f"unknown option `{key}` of a dummy model, expected one of {known}")
    return DummyModel(behaviour, texts, integers, error_rate)


def _integer(key: str, value: str) -> int:
    low, high = INTEGER_OPTIONS[key]
    if not (value.isascii() and value.isdigit() and len(value) <= 10 and low <= int(value) <= high):
        raise ValueError(
            f"option `{key}` of a dummy model takes a whole number from {low} to {high}, "
            f"not `{value}`"
        )
    return int(value)


def _share(key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"option `{key}` of a dummy model takes 0 to 1, not `{value}`")
    return number


def _check_text(key: str, value: str) -> None:
    if key == "finish" and value not in FINISHES:
        raise ValueError(f"option `finish` takes one of {', '.join(FINISHES)}, not `{value}`")
    if key == "usage" and value != "none":
        raise ValueError("option `usage` of a dummy model takes `none` only")
    if key == "template":
        fill_template(value, dict.fromkeys(PLACEHOLDERS, ""))


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """``template`` with ``{name}`` replaced; ``{{`` and ``}}`` stand for braces.

    Raises ``ValueError`` for another name and for a brace alone.
    """

    def replace(match: re.Match[str]) -> str:
        found = match[0]
        if found in ("{{", "}}"):
            return found[0]
        value = values.get(match[1]) if match[1] is not None else None
        if value is None:
            raise ValueError(
                f"`{found}` in the template of a dummy model is none of "
                + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            )
        return value

    return _PLACEHOLDER.sub(replace, template)
