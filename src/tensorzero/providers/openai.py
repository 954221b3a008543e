"""``type = "openai"``: Chat Completions of OpenAI, and of every server that speaks it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import Provider, ProviderContext
from tensorzero.providers.chat_completions.files import default_form
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.chat_completions.tools import map_custom_tool
from tensorzero.providers.failures import request_id_note
from tensorzero.providers.http import Answer
from tensorzero.providers.openai_batch import OpenAIBatches
from tensorzero.providers.openai_responses import OpenAIResponsesProvider
from tensorzero.types.model import Attempt
from tensorzero.types.tools import ToolCallConfig
from tzcore.client import Response, ResponseStream

log = logging.getLogger(__name__)

DEFAULT_API_BASE = "https://api.openai.com/v1/"


class OpenAIProvider(ChatCompletionsProvider):
    """Chat Completions as OpenAI defines them."""

    type = "openai"
    display_name = "OpenAI"
    api_base = DEFAULT_API_BASE
    keys = (
        "model temperature max_completion_tokens seed top_p presence_penalty frequency_penalty "
        "stream stream_options response_format tools tool_choice parallel_tool_calls stop "
        "reasoning_effort service_tier verbosity"
    )
    sends_detail = True
    restricts_tools = True
    takes_custom_tools = True
    model_rules = frozenset({"3.5", "o1", "o1-mini"})

    def form(self, mime_type: str) -> str:
        overrides: dict[str, str] = self.config.options.get("content_type_overrides") or {}
        return overrides.get(mime_type) or default_form(mime_type)

    def custom_tools(self, config: ToolCallConfig) -> list[dict[str, Any]]:
        return [map_custom_tool(tool) for tool in config.custom_tools]

    def answer(self, body: Any, attempt: Attempt) -> Answer:
        answer = super().answer(body, attempt)
        if not answer.output:
            log.warning("openai answered without content (a refusal is not passed on)")
        return answer

    def error_note(self, response: Response | ResponseStream) -> str:
        return request_id_note(response)


def make_openai(context: ProviderContext, config: ProviderConfig) -> Provider:
    """The provider of an ``openai`` entry, by its ``api_type``."""
    provider: OpenAIProvider | OpenAIResponsesProvider
    if config.options.get("api_type") == "responses":
        api_base = config.options.get("api_base") or DEFAULT_API_BASE
        provider = OpenAIResponsesProvider(context, config, api_base)
    else:
        provider = OpenAIProvider(context, config)
    # Items of batches are Chat Completions in any case, with files in their default forms.
    options = {
        name: value
        for name, value in config.options.items()
        if name not in ("api_type", "content_type_overrides")
    }
    provider.batches = OpenAIBatches(OpenAIProvider(context, replace(config, options=options)))
    return provider
