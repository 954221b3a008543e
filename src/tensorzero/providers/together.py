"""``type = "together"``."""

from __future__ import annotations

from typing import Any

from tensorzero.providers.chat_completions.figures import finish_reasons
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.chat_completions.think import ThinkAnswers, ThinkMessages, ThinkReader
from tensorzero.providers.chat_completions.tools import OBJECT_SCHEMA_FORMATS
from tensorzero.types.tools import ToolCallConfig


class TogetherProvider(ChatCompletionsProvider):
    """Together AI's API. A choice of no tool is a call without tools."""

    type = "together"
    display_name = "Together"
    api_base = "https://api.together.xyz/v1/"
    keys = (
        "model temperature top_p presence_penalty frequency_penalty max_tokens seed stream "
        "response_format tools tool_choice parallel_tool_calls stop reasoning_effort"
    )
    json_formats = OBJECT_SCHEMA_FORMATS
    json_instruction = False
    required_choice = "auto"
    reasoning_field = "reasoning"
    finish_reasons = finish_reasons(eos="stop")
    message_mapper = ThinkMessages
    answer_reader = ThinkAnswers
    stream_reader = ThinkReader

    def tool_fields(self, config: ToolCallConfig) -> dict[str, Any]:
        return {} if config.tool_choice == "none" else super().tool_fields(config)
