"""``type = "tgi"``: a server of Hugging Face's Text Generation Inference."""

from __future__ import annotations

import logging
from typing import Any

from tensorzero.providers.chat_completions.events import ChatCompletionsReader
from tensorzero.providers.chat_completions.figures import count, finish_reasons
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.types.errors import InvalidTool
from tensorzero.types.model import Attempt, ModelRequest, ToolCallChunk
from tensorzero.types.usage import Usage

log = logging.getLogger(__name__)


class TGIReader(ChatCompletionsReader):
    """A stream of TGI's: its tool deltas cannot be told apart."""

    def tool_call(self, call: Any) -> ToolCallChunk:
        raise ValueError("tgi does not support tools in streams")


class TGIProvider(ChatCompletionsProvider):
    """One model a server, so its name does not matter."""

    type = "tgi"
    display_name = "TGI"
    keys = (
        "model temperature max_tokens seed top_p presence_penalty frequency_penalty stream "
        "stream_options tools tool_choice parallel_tool_calls stop"
    )
    finish_reasons = finish_reasons(stop_sequence="stop_sequence")
    stream_reader = TGIReader

    def model(self) -> str:
        return "tgi"

    def check(self, request: ModelRequest, attempt: Attempt) -> None:
        super().check(request, attempt)
        config = request.tool_config
        if request.stream and config is not None and config.allowed_function_tools():
            raise InvalidTool("TGI does not support tool use in streaming mode")
        if request.json_mode != "off":
            log.warning('tgi has no JSON mode: it is not sent; use `json_mode = "tool"`')

    @staticmethod
    def usage(value: Any) -> Usage:
        figures = value if isinstance(value, dict) else {}
        return Usage(count(figures.get("prompt_tokens")), count(figures.get("completion_tokens")))
