"""The whole configuration, as the rest of the gateway sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tensorzero.config.evaluation import EvaluationConfig, EvaluatorConfig
from tensorzero.config.function import FunctionConfig
from tensorzero.config.gateway import ClickHouseConfig, GatewayConfig, ObjectStorageConfig
from tensorzero.config.metric import MetricConfig
from tensorzero.config.model import EmbeddingModelConfig, ModelConfig
from tensorzero.config.rate_limit import RateLimitingConfig
from tensorzero.config.shorthand import ShorthandModels
from tensorzero.config.snapshot import Snapshot
from tensorzero.templates import TemplateEngine
from tensorzero.types.tools import FunctionTool


@dataclass(frozen=True, slots=True)
class Config:
    """Validated, compiled, immutable. ``functions`` keeps file order and holds the judge
    functions that evaluators add; ``tensorzero::default`` is not in it.

    ``tools`` maps keys to tools. ``shorthands`` makes models such as ``openai::gpt-5-mini``.
    ``warnings`` are lines for the log at start. ``unserved_variants`` says by (function, variant)
    what this version cannot run. ``captured`` holds all files as
    they were read, for ``load_captured``.
    """

    gateway: GatewayConfig
    functions: Mapping[str, FunctionConfig]
    models: Mapping[str, ModelConfig]
    embedding_models: Mapping[str, EmbeddingModelConfig]
    shorthands: ShorthandModels
    tools: Mapping[str, FunctionTool]
    metrics: Mapping[str, MetricConfig]
    evaluators: Mapping[str, Mapping[str, EvaluatorConfig]]
    evaluations: Mapping[str, EvaluationConfig]
    optimizers: Mapping[str, Mapping[str, Any]]
    rate_limiting: RateLimitingConfig
    object_storage: ObjectStorageConfig | None
    clickhouse: ClickHouseConfig
    templates: TemplateEngine
    snapshot: Snapshot
    files: tuple[str, ...]
    warnings: tuple[str, ...]
    unserved_variants: Mapping[tuple[str, str], str] = field(default_factory=dict)
    captured: bytes = field(default=b"", repr=False)
