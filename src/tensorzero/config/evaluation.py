"""``[functions.<f>.evaluators.<e>]`` and ``[evaluations.<n>]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tensorzero.config.pattern import Pattern


@dataclass(frozen=True, slots=True)
class ExactMatchConfig:
    """``type = "exact_match"``: the output equals the datapoint's."""

    cutoff: float | None = None
    type: Literal["exact_match"] = "exact_match"


@dataclass(frozen=True, slots=True)
class RegexConfig:
    """``type = "regex"``: patterns that the text must (not) hold; at least one is set."""

    must_match: Pattern | None = None
    must_not_match: Pattern | None = None
    type: Literal["regex"] = "regex"


@dataclass(frozen=True, slots=True)
class ToolUseConfig:
    """``type = "tool_use"``; ``tools`` counts for the last three behaviours."""

    behavior: Literal["none", "any", "none_of", "any_of", "all_of"]
    tools: tuple[str, ...] = ()
    type: Literal["tool_use"] = "tool_use"


@dataclass(frozen=True, slots=True)
class LLMJudgeConfig:
    """``type = "llm_judge"``: ``function_name`` is the JSON function that judges."""

    function_name: str
    input_format: Literal["serialized", "messages"] = "serialized"
    include_reference_output: bool = False
    description: str | None = None
    cutoff: float | None = None
    type: Literal["llm_judge"] = "llm_judge"


@dataclass(frozen=True, slots=True)
class TypescriptConfig:
    """``type = "typescript"``: accepted, never run."""

    source: str
    type: Literal["typescript"] = "typescript"


EvaluatorOptions = (
    ExactMatchConfig | RegexConfig | ToolUseConfig | LLMJudgeConfig | TypescriptConfig
)


@dataclass(frozen=True, slots=True)
class EvaluatorConfig:
    """One evaluator; ``metric_name`` is the metric under which its values are stored."""

    name: str
    metric_name: str
    options: EvaluatorOptions

    @property
    def type(self) -> str:
        return self.options.type


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """``[evaluations.<name>]``."""

    name: str
    function_name: str
    evaluators: Mapping[str, EvaluatorConfig]
    description: str | None = None
