"""``type = "openai"`` with ``api_type = "responses"``: OpenAI's Responses API."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.chat_completions.files import goes_by_content
from tensorzero.providers.chat_completions.tools import scoped_provider_tools
from tensorzero.providers.failures import request_id_note
from tensorzero.providers.files import FileContents
from tensorzero.providers.http import Answer, HttpProvider, join_api_base
from tensorzero.providers.reader import StreamReader
from tensorzero.providers.responses.answers import read_answer
from tensorzero.providers.responses.events import ResponsesReader
from tensorzero.providers.responses.items import map_items
from tensorzero.providers.responses.plain import read_plain_answer
from tensorzero.providers.responses.tools import map_choice, map_tools
from tensorzero.providers.tails import Tails
from tensorzero.types.content import Message
from tensorzero.types.files import File
from tensorzero.types.model import Attempt, ModelRequest
from tensorzero.types.usage import ApiType
from tzcore.client import Response, ResponseStream

log = logging.getLogger(__name__)

LACKING = ("stop_sequences", "thinking_budget_tokens")
PARAMETERS = {
    "temperature": "temperature",
    "max_output_tokens": "max_tokens",
    "seed": "seed",
    "top_p": "top_p",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
"""Our parameters by the keys that carry them, in order."""


class OpenAIResponsesProvider(HttpProvider):
    """The Responses API, of OpenAI's or of a server that speaks it."""

    type = "openai"
    display_name = "OpenAI"
    api_type: ApiType = "responses"

    def __init__(self, context: ProviderContext, config: ProviderConfig, api_base: str) -> None:
        super().__init__(context, config)
        self.model_name: str = config.options["model_name"]
        self.own_tools: list[Any] = list(config.options.get("provider_tools") or ())
        self.include_reasoning = bool(config.options.get("include_encrypted_reasoning"))
        self._parts = Tails(self._around_input)
        self._url = join_api_base(api_base, "responses")

    def url(self, *, stream: bool) -> str:
        return self._url

    def inlines(self, file: File, request: ModelRequest) -> bool:
        return goes_by_content(file, request)

    def body_for(
        self,
        request: ModelRequest,
        messages: list[Message],
        files: FileContents,
        attempt: Attempt,
    ) -> dict[str, Any]:
        body = super().body_for(request, messages, files, attempt)
        if request.tool_config is not None:
            body["tools"] += scoped_provider_tools(request.tool_config, attempt)
        return body

    def body(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> dict[str, Any]:
        params, config = request.params, request.tool_config
        text: dict[str, Any] = {"format": _text_format(request)}
        if params.verbosity is not None:
            text["verbosity"] = params.verbosity
        body: dict[str, Any] = {
            "model": self.model_name,
            "input": map_items(request, messages, files),
            "text": text,
            "tools": map_tools(config, self.own_tools),
        }
        if config is not None:
            parallel = config.parallel_tool_calls
            sequential_o1 = parallel is False and self.model_name.lower().startswith("o1")
            if parallel is not None and not sequential_o1:
                body["parallel_tool_calls"] = parallel
            body["tool_choice"] = map_choice(config)
        for key, name in PARAMETERS.items():
            value = getattr(params, name)
            if value is not None:
                body[key] = value
        if self.include_reasoning:
            body["include"] = ["reasoning.encrypted_content"]
        if params.reasoning_effort is not None:
            body["reasoning"] = {"effort": params.reasoning_effort}
        if params.service_tier is not None:
            body["service_tier"] = params.service_tier
        body["stream"] = request.stream
        for name in LACKING:
            if getattr(params, name) is not None:
                log.warning("the Responses API has no `%s`: it is not sent", name)
        return body

    def plain_body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        """The input between two parts that are made once for a set of parameters."""
        if request.tool_config is not None:
            return None
        parts = self._parts.get(request)
        if parts is None:
            return None
        items = map_items(request, messages, {})
        try:
            return parts[0] + orjson.dumps(items) + parts[1]
        except TypeError:
            return None

    def _around_input(self, request: ModelRequest) -> tuple[bytes, bytes] | None:
        body = self.body(request, [], {})
        head = orjson.dumps({"model": body.pop("model")})[:-1] + b',"input":'
        del body["input"]
        try:
            return head, b"," + orjson.dumps(body)[1:]
        except TypeError:  # nested too deep: the general way says so
            return None

    def plain_answer(self, body: bytes) -> Answer | None:
        return read_plain_answer(body)

    def answer(self, body: Any, attempt: Attempt) -> Answer:
        return read_answer(body, attempt)

    def reader(self, attempt: Attempt) -> StreamReader:
        return ResponsesReader(attempt, self.config.discard_unknown_chunks)

    def error_note(self, response: Response | ResponseStream) -> str:
        return request_id_note(response)


def _text_format(request: ModelRequest) -> dict[str, Any]:
    if request.json_mode == "off":
        return {"type": "text"}
    if request.json_mode == "on" or request.output_schema is None:
        return {"type": "json_object"}
    schema = request.output_schema.value
    return {"type": "json_schema", "name": "response_schema", "schema": schema, "strict": True}
