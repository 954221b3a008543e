"""``type = "gcp_vertex_gemini"``: Gemini, and models tuned from it, on GCP Vertex AI."""

from __future__ import annotations

from tensorzero.providers.failures import redacted
from tensorzero.providers.gcp.vertex import VertexProvider
from tensorzero.providers.gemini.failures import GeminiFailures
from tensorzero.providers.gemini.provider import GeminiProvider
from tensorzero.types.errors import GatewayError
from tzcore.client import Response, Target

NOT_FOUND = (
    "Model or endpoint not found. You may be specifying the wrong one of these. Standard GCP "
    "models should use a `model_id` and not an `endpoint_id`, while fine-tuned models should use "
    "an `endpoint_id`."
)


class VertexGeminiFailures(GeminiFailures):
    """A 404 says what is probably wrong, instead of the vendor's page."""

    def refusal(self, response: Response, raw_request: str, target: Target) -> GatewayError:
        if response.status != 404:
            return super().refusal(response, raw_request, target)
        text = redacted(response.body.decode("utf-8", "replace"), target)
        return self.server(NOT_FOUND, raw_request, text)


class GCPVertexGeminiProvider(GeminiProvider, VertexProvider):
    """The Gemini API of Vertex AI."""

    type = "gcp_vertex_gemini"
    display_name = "GCP Vertex Gemini"
    publisher = "google"
    methods = ("generateContent", "streamGenerateContent?alt=sse")
    failures_type = VertexGeminiFailures
    null_tools = False
    final_usage_only = False
    parameter_order = ("max_tokens", "top_p", "presence_penalty", "frequency_penalty", "seed")
