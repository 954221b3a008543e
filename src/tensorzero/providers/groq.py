"""``type = "groq"``."""

from __future__ import annotations

import logging
from typing import Any

from tensorzero.providers.chat_completions.events import ChatCompletionsReader
from tensorzero.providers.chat_completions.messages import MessageMapper
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.types.files import File
from tensorzero.types.model import ModelRequest

log = logging.getLogger(__name__)


class GroqReader(ChatCompletionsReader):
    thought_id = "reasoning"


class GroqProvider(ChatCompletionsProvider):
    """Groq's API. Thoughts go back only where ``reasoning_format`` is configured."""

    type = "groq"
    display_name = "Groq"
    api_base = "https://api.groq.com/openai/v1/"
    keys = (
        "model temperature max_completion_tokens seed top_p presence_penalty frequency_penalty "
        "stream stream_options response_format tools tool_choice parallel_tool_calls stop "
        "reasoning_effort service_tier reasoning_format"
    )
    service_tiers = frozenset({"auto", "flex"})
    restricts_tools = True
    model_rules = frozenset({"o1-mini"})
    stream_reader = GroqReader

    def mapper(self) -> MessageMapper:
        mapper = super().mapper()
        configured = self.config.options.get("reasoning_format") is not None
        mapper.reasoning_field = "reasoning" if configured else None
        return mapper

    def form(self, mime_type: str) -> str:
        return "image_url"

    def inlines(self, file: File, request: ModelRequest) -> bool:
        inlined = super().inlines(file, request)
        if not inlined and file.mime_type is None:
            log.info("groq is sent the URL of a file as an image: give its `mime_type`")
        return inlined

    def response_format(self, request: ModelRequest) -> Any:
        return super().response_format(request) or {"type": "text"}
