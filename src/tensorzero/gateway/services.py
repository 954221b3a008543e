"""What the use cases of one worker share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tensorzero.config.config import Config
from tensorzero.gateway.files import ObjectStore
from tensorzero.gateway.metrics import Metrics
from tensorzero.gateway.recorder import Recorder
from tensorzero.models.embedding import EmbeddingTable
from tensorzero.models.table import ModelTable
from tensorzero.variants.sampling import drawable_variants


class WorkflowRuns(Protocol):
    """Looks up the episodes of workflow-evaluation runs."""

    async def find(self, episode_id: str) -> WorkflowEpisode:
        """Raises ``InvalidWorkflowEvaluationRun`` when there is none, ``ClickHouseConnection``
        when the database cannot be asked."""


@dataclass(frozen=True, slots=True)
class WorkflowEpisode:
    """An episode of a run: which variants it pins, the tags it brings, the run's id."""

    run_id: str
    variant_pins: dict[str, str]
    tags: dict[str, str]


@dataclass(slots=True)
class Services:
    """What inferences share in one worker; made once, in ``server``."""

    config: Config
    models: ModelTable
    embeddings: EmbeddingTable
    recorder: Recorder
    records: bool
    store: ObjectStore | None
    store_decided: bool
    workflow_runs: WorkflowRuns
    metrics: Metrics
    waits_for_database: bool = False
    drawable: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.drawable = drawable_variants(self.config)
