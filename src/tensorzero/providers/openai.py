"""``type = "openai"``: Chat Completions of OpenAI, and of every server that speaks it."""

from __future__ import annotations

import logging
from typing import Any

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import Provider, ProviderContext
from tensorzero.providers.chat_completions.answers import ChatCompletionsReader, read_answer
from tensorzero.providers.chat_completions.messages import default_form, map_messages
from tensorzero.providers.chat_completions.plain import PlainBodies, read_plain_answer
from tensorzero.providers.chat_completions.tools import (
    json_schema_format,
    map_custom_tool,
    map_tool,
    refuse_provider_tools,
    restricting_tool_choice,
)
from tensorzero.providers.http import (
    Answer,
    FileContents,
    HttpProvider,
    StreamReader,
    join_api_base,
)
from tensorzero.providers.unserved import UnservedProvider
from tensorzero.types.content import Message
from tensorzero.types.files import File
from tensorzero.types.model import Attempt, ModelRequest
from tzcore.client import Response, ResponseStream

log = logging.getLogger(__name__)

DEFAULT_API_BASE = "https://api.openai.com/v1/"


class OpenAIProvider(HttpProvider):
    """Chat Completions as OpenAI defines them."""

    type = "openai"
    display_name = "OpenAI"

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        super().__init__(context, config)
        self.model_name: str = config.options["model_name"]
        self.overrides: dict[str, str] = dict(config.options.get("content_type_overrides") or {})
        self._url = join_api_base(
            config.options.get("api_base") or DEFAULT_API_BASE, "chat/completions"
        )
        # o1-mini takes no system message: its bodies are built the general way.
        special = self.model_name.lower().startswith("o1-mini")
        self._plain = None if special else PlainBodies(self.body)

    def url(self, *, stream: bool) -> str:
        return self._url

    def check(self, request: ModelRequest, attempt: Attempt) -> None:
        if request.tool_config is not None:
            refuse_provider_tools(request, attempt, self.type)

    def plain_body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        return None if self._plain is None else self._plain.body(request, messages)

    def inlines(self, file: File, request: ModelRequest) -> bool:
        if file.url is None or request.fetch_files:
            return True
        return file.mime_type is not None and not file.mime_type.startswith("image/")

    def _form(self, mime_type: str) -> str:
        return self.overrides.get(mime_type) or default_form(mime_type)

    def body(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> dict[str, Any]:
        params = request.params
        mapped = map_messages(request, messages, files, form=self._form, json_instruction=True)
        lower_name = self.model_name.lower()
        if lower_name.startswith("o1-mini") and mapped and mapped[0]["role"] == "system":
            mapped[0]["role"] = "user"
        body: dict[str, Any] = {"messages": mapped, "model": self.model_name}
        if params.temperature is not None:
            body["temperature"] = params.temperature
        if params.max_tokens is not None:
            body["max_completion_tokens"] = params.max_tokens
        if params.seed is not None:
            body["seed"] = params.seed
        if params.top_p is not None:
            body["top_p"] = params.top_p
        if params.presence_penalty is not None:
            body["presence_penalty"] = params.presence_penalty
        if params.frequency_penalty is not None:
            body["frequency_penalty"] = params.frequency_penalty
        body["stream"] = request.stream
        if request.stream:
            body["stream_options"] = {"include_usage": True}
        if request.json_mode != "off":
            response_format = json_schema_format(request)
            if "3.5" in self.model_name and request.json_mode == "strict":
                response_format = {"type": "json_object"}
            body["response_format"] = response_format
        if request.tool_config is not None:
            self._add_tools(body, request, lower_name)
        if params.stop_sequences is not None:
            body["stop"] = list(params.stop_sequences)
        if params.reasoning_effort is not None:
            body["reasoning_effort"] = params.reasoning_effort
        if params.service_tier is not None:
            body["service_tier"] = params.service_tier
        if params.verbosity is not None:
            body["verbosity"] = params.verbosity
        if params.thinking_budget_tokens is not None:
            log.warning("openai has no `thinking_budget_tokens`: it is not sent")
        return body

    def _add_tools(self, body: dict[str, Any], request: ModelRequest, lower_name: str) -> None:
        config = request.tool_config
        if config is None or not (config.tools or config.custom_tools):
            return
        body["tools"] = [map_tool(tool) for tool in config.tools] + [
            map_custom_tool(tool) for tool in config.custom_tools
        ]
        body["tool_choice"] = restricting_tool_choice(config)
        parallel = config.parallel_tool_calls
        if parallel is not None and not (parallel is False and lower_name.startswith("o1")):
            body["parallel_tool_calls"] = parallel

    def plain_answer(self, body: bytes) -> Answer | None:
        return read_plain_answer(body)

    def answer(self, body: Any, attempt: Attempt) -> Answer:
        answer = read_answer(body, provider_type=self.type)
        if not answer.output:
            log.warning("openai answered without content (a refusal is not passed on)")
        return answer

    def reader(self, attempt: Attempt) -> StreamReader:
        return ChatCompletionsReader(self.type, attempt.model_inference_id)

    def error_note(self, response: Response | ResponseStream) -> str:
        request_id = response.header(b"x-request-id")
        return "" if request_id is None else f" [request_id: {request_id.decode('latin-1')}]"


def make_openai(context: ProviderContext, config: ProviderConfig) -> Provider:
    """The provider of an ``openai`` entry, by its ``api_type``."""
    if config.options.get("api_type") == "responses":
        return UnservedProvider(config.type, '`api_type = "responses"` of openai')
    return OpenAIProvider(context, config)
