"""An inference on its way, from its request to its rows."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from tensorzero.config.function import FunctionConfig
from tensorzero.config.variant import VariantConfig
from tensorzero.gateway.files import RequestFiles
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.services import Services
from tensorzero.types.model import EarlyAnswer
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import ToolCallConfig
from tensorzero.variants.context import VariantContext


class Begun(Struct):
    """An inference that was begun the short way and goes on the long one. ``early`` is what came of
    its first attempt; ``None``: the attempt is to be made once more."""

    inference_id: str
    episode_id: str
    early: EarlyAnswer | None


class Inference(Struct):
    """A request on its way: what was decided before a variant runs, and what came of it."""

    request: InferenceRequest
    services: Services
    received_at: float
    id: str = ""
    episode_id: str = ""
    function: FunctionConfig = field(default=None)  # type: ignore[assignment]  # set by prepare
    variants: Mapping[str, VariantConfig] = field(default_factory=dict)
    pinned: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    tools: ToolCallConfig | None = None
    schema: JSONSchema | None = None
    context: VariantContext = field(default=None)  # type: ignore[assignment]  # set by prepare
    files: RequestFiles | None = None
    sole_variant: str | None = None
    """The variant that answered, when no other was tried."""

    @property
    def implicit_tool(self) -> bool:
        return self.request.params.json_mode == "tool"

    def answer_schema(self) -> JSONSchema:
        """What a json answer is held against."""
        return self.schema or self.function.output_schema
