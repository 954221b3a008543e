"""``type = "gcp_vertex_anthropic"``: Claude on GCP Vertex AI.

Source: the contract's page on Anthropic and Bedrock, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tensorzero.providers.gcp.vertex import VertexProvider
from tensorzero.providers.messages_api.provider import MessagesProvider

VERSION = "vertex-2023-10-16"
LIMITS = {
    "claude-3-haiku": 4096,
    "claude-3-5-haiku": 8192,
    "claude-3-5-sonnet": 8192,
    "claude-3-5-sonnet-v2": 8192,
    "claude-opus-4": 32000,
    "claude-opus-4-1": 32000,
    "claude-3-7-sonnet": 64000,
    "claude-sonnet-4": 64000,
    "claude-haiku-4-5": 64000,
    "claude-sonnet-4-5": 64000,
    "claude-sonnet-4-6": 64000,
    "claude-opus-4-5": 64000,
    "claude-opus-4-6": 128000,
}
"""By names without their version (``…@20251001``)."""


class GCPVertexAnthropicProvider(MessagesProvider, VertexProvider):
    """The Messages API as Vertex AI serves it: without a model in the body or JSON by schema."""

    type = "gcp_vertex_anthropic"
    display_name = "GCP Vertex Gemini"
    """The contract's name of both Vertex types where credentials are missing."""
    warning_name = "GCP Vertex Anthropic"
    limit_name = "GCP Vertex AI Anthropic"
    publisher = "anthropic"
    methods = ("rawPredict", "streamRawPredict")
    strict_tools = False
    writes_json = False
    parameters = ("temperature", "thinking", "stop_sequences", "top_p")
    output_limits: ClassVar[Mapping[str, int]] = {
        pattern: limit for name, limit in LIMITS.items() for pattern in (name, f"{name}@*")
    }

    def model(self) -> str:
        options = self.config.options
        name: str = options.get("model_id") or f"endpoints/{options['endpoint_id']}"
        return name

    def head(self) -> dict[str, str]:
        return {"anthropic_version": VERSION}
