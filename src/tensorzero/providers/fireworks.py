"""``type = "fireworks"``."""

from __future__ import annotations

from tensorzero.providers.chat_completions.figures import finish_reasons
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.chat_completions.think import ThinkAnswers, ThinkMessages, ThinkReader
from tensorzero.providers.chat_completions.tools import OBJECT_SCHEMA_FORMATS
from tensorzero.providers.http import Answer
from tzcore.client import Response

CACHED_TOKENS = b"fireworks-cached-prompt-tokens"


class FireworksProvider(ChatCompletionsProvider):
    """Fireworks' API. Cached tokens of complete answers stand in a header."""

    type = "fireworks"
    display_name = "Fireworks"
    api_base = "https://api.fireworks.ai/inference/v1/"
    keys = (
        "model temperature top_p presence_penalty frequency_penalty stop max_tokens stream "
        "response_format tools tool_choice reasoning_effort"
    )
    json_formats = OBJECT_SCHEMA_FORMATS
    json_instruction = False
    strict_tools = False
    finish_reasons = finish_reasons(function_call="unknown")
    message_mapper = ThinkMessages
    answer_reader = ThinkAnswers
    stream_reader = ThinkReader
    reads_headers = True

    def read_headers(self, answer: Answer, response: Response) -> None:
        cached = response.header(CACHED_TOKENS)
        if cached is not None:
            tokens = int(cached) if cached.isdigit() else None
            answer.usage.provider_cache_read_input_tokens = tokens
