"""What a variant refers to outside of its function while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tensorzero.config.credential_defaults import CredentialReader
from tensorzero.config.model import ModelConfig
from tensorzero.config.read_templates import TemplateSources


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Models, the gateway's outbound limit, and where the texts of templates are gathered.

    ``credentials`` is ``None`` for a variant in a request: nothing is read from the environment
    for it.
    """

    models: Mapping[str, ModelConfig]
    embedding_models: frozenset[str]
    global_ms: int
    credentials: CredentialReader | None
    sources: TemplateSources = field(default_factory=TemplateSources)
