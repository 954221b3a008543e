"""``type = "sglang"``: a server of SGLang's."""

from __future__ import annotations

from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.chat_completions.tools import SCHEMA_FORMATS
from tensorzero.types.errors import InvalidRequest
from tensorzero.types.model import Attempt, ModelRequest


class SGLangProvider(ChatCompletionsProvider):
    """SGLang's own server. Its JSON mode is that of a schema."""

    type = "sglang"
    display_name = "SGLang"
    keys = (
        "model temperature max_tokens seed top_p presence_penalty frequency_penalty stream "
        "stream_options response_format tools tool_choice parallel_tool_calls stop reasoning_effort"
    )
    json_formats = SCHEMA_FORMATS

    def check(self, request: ModelRequest, attempt: Attempt) -> None:
        super().check(request, attempt)
        if request.json_mode != "off" and request.output_schema is None:
            raise InvalidRequest(
                "sglang has no JSON mode without a schema: give an `output_schema`, or use "
                '`json_mode = "off"`'
            )
