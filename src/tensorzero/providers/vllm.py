"""``type = "vllm"``: a server of vLLM's."""

from __future__ import annotations

from typing import Any

from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider, Source
from tensorzero.types.model import ModelRequest


class VLLMProvider(ChatCompletionsProvider):
    """vLLM's own server; a schema goes as ``guided_json``."""

    type = "vllm"
    display_name = "vLLM"
    keys = (
        "model temperature top_p presence_penalty frequency_penalty max_tokens stream "
        "stream_options guided_json seed stop tools tool_choice parallel_tool_calls"
    )
    json_instruction = False
    reasoning_field = "reasoning"

    def source(self, key: str) -> Source:
        return _guided_json if key == "guided_json" else super().source(key)


def _guided_json(request: ModelRequest) -> Any:
    if request.json_mode == "off" or request.output_schema is None:
        return None
    return request.output_schema.value
