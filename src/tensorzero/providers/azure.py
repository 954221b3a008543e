"""``type = "azure"``: OpenAI's models in deployments of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from tensorzero.config.credentials import DynamicCredential
from tensorzero.config.urls import parse_url
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.credentials import api_key
from tensorzero.types.errors import DynamicEndpointNotFound, InvalidDynamicEndpoint
from tensorzero.types.model import Attempt
from tzcore.client import Target

API_VERSION = "2025-04-01-preview"


class AzureProvider(ChatCompletionsProvider):
    """Azure's API. The deployment is in the URL, the endpoint may come with requests."""

    type = "azure"
    display_name = "Azure"
    keys = (
        "temperature top_p stop presence_penalty frequency_penalty max_completion_tokens seed "
        "stream stream_options response_format tools tool_choice reasoning_effort service_tier "
        "verbosity"
    )
    sends_detail = True
    restricts_tools = True
    required_choice = "auto"
    service_tiers = frozenset({"auto", "default"})

    def model(self) -> str:
        name: str = self.config.options["deployment_id"]
        return name

    def url(self, *, stream: bool) -> str:
        return azure_url(self.config.options, {}, "chat/completions")

    def auth_headers(self, key: str) -> list[tuple[str, str]]:
        return [("api-key", key)]

    def target(self, attempt: Attempt, *, stream: bool) -> Target:
        if not isinstance(self.config.options["endpoint"], DynamicCredential):
            return super().target(attempt, stream=stream)
        key = api_key(self.config.credential, attempt.credentials, self.display_name)
        url = azure_url(self.config.options, attempt.credentials, "chat/completions")
        return self.make_target([] if key is None else self.auth_headers(key), stream, url)


def azure_url(options: Mapping[str, Any], credentials: Mapping[str, str], path: str) -> str:
    """Where a deployment is; raises ``GatewayError`` for an endpoint of the request's that is
    none."""
    endpoint: str | DynamicCredential = options["endpoint"]
    if isinstance(endpoint, DynamicCredential):
        given = credentials.get(endpoint.key)
        if given is None:
            raise DynamicEndpointNotFound(endpoint.key)
        try:
            parts = parse_url(given)
        except ValueError:
            raise InvalidDynamicEndpoint(endpoint.key) from None
    else:
        parts = urlsplit(endpoint)
    deployment = quote(options["deployment_id"], safe="")
    full = f"{parts.path.rstrip('/')}/openai/deployments/{deployment}/{path}"
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit((parts.scheme, parts.netloc, full, f"{query}api-version={API_VERSION}", ""))
