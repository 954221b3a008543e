"""``[functions.<f>.evaluators.<e>]`` and ``[evaluations.<n>]``: read and checked for their shape;
running them comes with evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EvaluatorConfig:
    """One evaluator; ``options`` are its type's own keys."""

    name: str
    type: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """``[evaluations.<name>]``."""

    name: str
    function_name: str
    evaluators: Mapping[str, EvaluatorConfig]
    description: str | None = None
