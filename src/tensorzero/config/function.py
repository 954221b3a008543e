"""``[functions.<name>]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tensorzero.config.experimentation import ExperimentationConfig
from tensorzero.config.variant import VariantConfig
from tensorzero.types.schema import ANY_JSON, JSONSchema
from tensorzero.types.tools import FunctionTool, ToolChoice


@dataclass(frozen=True, slots=True)
class FunctionConfig:
    """A function of either type. ``output_schema`` counts for json functions, the tool fields
    for chat functions.

    ``schemas`` maps names (``system``, ``user``, ``assistant``, any other) to schemas.
    ``explicit_templates`` are the template names that accept arguments in at least one variant.
    """

    name: str
    type: Literal["chat", "json"]
    variants: Mapping[str, VariantConfig]
    schemas: Mapping[str, JSONSchema] = field(default_factory=dict)
    output_schema: JSONSchema = ANY_JSON
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    description: str | None = None
    experimentation: ExperimentationConfig | None = None
    explicit_templates: frozenset[str] = frozenset()
