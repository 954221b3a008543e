"""What the use cases of one worker share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tensorzero.config.config import Config
from tensorzero.gateway.database import Reads
from tensorzero.gateway.feedback_targets import FeedbackTargets
from tensorzero.gateway.files import ObjectStore
from tensorzero.gateway.metrics import Metrics
from tensorzero.gateway.recorder import Recorder
from tensorzero.models.embedding import EmbeddingTable
from tensorzero.models.table import ModelTable
from tensorzero.variants.sampling import drawable_variants


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
    reads: Reads
    feedback_targets: FeedbackTargets
    metrics: Metrics
    waits_for_database: bool = False
    lock_dir: str = ""
    """Where the gateway's workers lock what one of them may do at a time."""
    drawable: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.drawable = drawable_variants(self.config)
